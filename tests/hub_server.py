"""A loopback server that speaks the hub's protocol for model files, as far as the real client asks.

`HEAD` and `GET` of `/<owner>/<name>/resolve/<revision>/<file>`: small files are answered directly, weights with a
redirect to another address, the way large files are. Faults can be switched on.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REVISION = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".pt", ".safetensors")


class Hub:
    """What the server offers, how it misbehaves, and what it was asked.

    Attributes:
        repo: the only repository, at revision `REVISION`.
        files: its files by name.
        altered: bodies to send instead, by name, under the headers of the right ones.
        drops: how many bodies to cut in the middle by closing the connection.
        silent: leave out the header by which the client knows a hub.
        requests: method, path and authorization header of every request.
    """

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        self.repo = repo
        self.files = files
        self.altered: dict[str, bytes] = {}
        self.drops = 0
        self.silent = False
        self.requests: list[tuple[str, str, str | None]] = []
        self.endpoint = ""

    def sha256(self) -> dict[str, str]:
        """Returns the sha256 of every file by name."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serves `hub` on a free loopback port while the block runs; `hub.endpoint` is its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *args: Any) -> None:
        pass

    def _answer(self, body: bool) -> None:
        hub = self.hub
        hub.requests.append((self.command, self.path, self.headers.get("Authorization")))
        if self.path.startswith("/cdn/"):
            self._send(self.path.removeprefix("/cdn/"), body)
            return
        repo, _, rest = self.path.removeprefix("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        if repo != hub.repo:
            self._refuse(401, "RepoNotFound")
        elif revision != REVISION:
            self._refuse(404, "RevisionNotFound")
        elif name not in hub.files:
            self._refuse(404, "EntryNotFound")
        elif name.endswith(LARGE):
            self._head(302, name, {"Location": f"{hub.endpoint}/cdn/{name}", "Content-Length": "0"})
        else:
            self._send(name, body)

    def _send(self, name: str, body: bool) -> None:
        data = self.hub.altered.get(name, self.hub.files[name])
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        status = 206 if begin else 200
        extra = {"Content-Length": str(len(data) - begin)}
        if begin:
            extra["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self._head(status, name, extra)
        if not body:
            return
        if self.hub.drops:
            self.hub.drops -= 1
            self.wfile.write(data[begin : begin + len(data) // 2])
            self.close_connection = True
            return
        self.wfile.write(data[begin:])

    def _head(self, status: int, name: str, extra: dict[str, str]) -> None:
        data = self.hub.files[name]
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        self.send_response(status)
        self.send_header("ETag", etag)
        if not self.hub.silent:
            self.send_header("X-Repo-Commit", REVISION)
        if name.endswith(LARGE):
            self.send_header("X-Linked-Etag", etag)
            self.send_header("X-Linked-Size", str(len(data)))
        for key, value in extra.items():
            self.send_header(key, value)
        self.end_headers()

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", "0")
        self.end_headers()
