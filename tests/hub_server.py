"""A loopback server that speaks the hub's protocol for model files, as far as the real client asks.

`HEAD` and `GET` of `/<owner>/<name>/resolve/<revision>/<file>`: small files are answered directly, weights with a
redirect to another address, the way large files are. `GET` of `/api/models/<owner>/<name>/revision/<revision>`:
commit, files and model card. Faults can be switched on.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".pt", ".safetensors")


class Hub:
    """What the server offers, how it misbehaves, and what it was asked.

    Attributes:
        repo: the only repository.
        files: its files by name, at revision `REVISION`.
        older: files of other revisions.
        branches: branch name to revision.
        moves: where the branch `main` goes as soon as it has been asked for.
        card: the model card's metadata.
        altered: bodies to send instead, by name, under the headers of the right ones.
        sizes: sizes to announce instead, by name.
        drops: how many bodies to cut in the middle by closing the connection.
        failures: how many requests to answer with 500, by method.
        delays: seconds to wait before each answer, by method.
        silent: leave out the header by which the client knows a hub.
        answers_for: the commit to claim in every answer, instead of the one asked for.
        large_at: another server's address, to which large files are redirected; this one's without it.
        redirects: send small files from another path of this server, as the hub does.
        xet: announce large files the way the hub does for its newer storage.
        requests: method, path and authorization header of every request.
        ranges: where each body sent began.
    """

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        self.repo = repo
        self.files = files
        self.older: dict[str, dict[str, bytes]] = {}
        self.branches = {"main": REVISION}
        self.moves: str | None = None
        self.card: dict[str, Any] = {"license": "mit"}
        self.altered: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.drops = 0
        self.failures: dict[str, int] = {}
        self.delays: dict[str, float] = {}
        self.silent = False
        self.answers_for: str | None = None
        self.large_at: str | None = None
        self.redirects = False
        self.xet = True
        self.requests: list[tuple[str, str, str | None]] = []
        self.ranges: list[int] = []
        self.endpoint = ""
        self.closing = threading.Event()

    def sha256(self) -> dict[str, str]:
        """Returns the sha256 of every file by name."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}

    def asked(self) -> list[str]:
        """Returns method and file of every request, oldest first."""
        return [f"{method} {path.rpartition('/')[2]}" for method, path, _ in self.requests]

    def at(self, revision: str) -> dict[str, bytes] | None:
        """Returns the files of a revision, or None when there is no such revision."""
        return self.files if revision == REVISION else self.older.get(revision)


@contextmanager
def serve(hub: Hub, address: str = "127.0.0.1") -> Iterator[Hub]:
    """Serves `hub` on a free port of a loopback address while the block runs; `hub.endpoint` is where."""
    server = ThreadingHTTPServer((address, 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://{address}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
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
        path = unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("Authorization")))
        if hub.closing.wait(hub.delays.get(self.command, 0)):
            self.close_connection = True
        elif hub.failures.get(self.command, 0):
            hub.failures[self.command] -= 1
            self._refuse(500)
        elif path.startswith(("/cdn/", "/api/resolve-cache/")):
            *_, revision, name = path.split("/")
            self._send(revision, name, body)
        elif path.startswith("/api/models/"):
            repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            self._describe(repo, revision or "main")
        else:
            repo, _, rest = path.removeprefix("/").partition("/resolve/")
            self._resolve(repo, *rest.partition("/")[::2], body)

    def _resolve(self, repo: str, revision: str, name: str, body: bool) -> None:
        revision = self.hub.branches.get(revision, revision)
        files = self.hub.at(revision)
        if repo != self.hub.repo:
            self._refuse(401, "RepoNotFound")
        elif files is None:
            self._refuse(404, "RevisionNotFound")
        elif name not in files:
            self._refuse(404, "EntryNotFound")
        elif name.endswith(LARGE):
            place = f"{self.hub.large_at or self.hub.endpoint}/cdn/{revision}/{name}"
            self._head(302, revision, name, {"Location": place, "Content-Length": "0"})
        elif self.hub.redirects:
            place = f"/api/resolve-cache/models/{repo}/{revision}/{name}"
            self._head(307, revision, name, {"Location": place, "Content-Length": "0"})
        else:
            self._send(revision, name, body)

    def _describe(self, repo: str, revision: str) -> None:
        hub = self.hub
        commit = hub.branches.get(revision, revision)
        files = hub.at(commit)
        if repo != hub.repo:
            self._refuse(401, "RepoNotFound")
            return
        if files is None:
            self._refuse(404, "RevisionNotFound")
            return
        if hub.moves and revision == "main":
            hub.branches["main"] = hub.moves
        siblings = [_sibling(name, data) for name, data in sorted(files.items())]
        about = {"_id": "0", "id": repo, "sha": commit, "siblings": siblings, "tags": [], "cardData": hub.card}
        data = json.dumps(about).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send(self, revision: str, name: str, body: bool) -> None:
        hub = self.hub
        data = hub.altered.get(name, (hub.at(revision) or {})[name])
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        status = 206 if begin else 200
        extra = {"Content-Length": str(len(data) - begin)}
        if not body and name in hub.sizes:
            extra["Content-Length"] = str(hub.sizes[name])
        if begin:
            extra["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self._head(status, revision, name, extra)
        if not body:
            return
        hub.ranges.append(begin)
        if hub.drops:
            hub.drops -= 1
            self.wfile.write(data[begin : begin + len(data) // 2])
            self.close_connection = True
            return
        self.wfile.write(data[begin:])

    def _head(self, status: int, revision: str, name: str, extra: dict[str, str]) -> None:
        hub = self.hub
        data = (hub.at(revision) or {})[name]
        self.send_response(status)
        if not hub.silent:
            self.send_header("X-Repo-Commit", hub.answers_for or revision)
        if name.endswith(LARGE):
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            self.send_header("X-Linked-Etag", etag)
            self.send_header("X-Linked-Size", str(hub.sizes.get(name, len(data))))
        else:
            etag = f'"{git_id(data)}"'
        if name.endswith(LARGE) and hub.xet:
            self.send_header("X-Xet-Hash", hashlib.sha256(b"xet" + data).hexdigest())
            route = f"{hub.endpoint}/api/models/{hub.repo}/xet-read-token/{revision}"
            self.send_header("Link", f'<{route}>; rel="xet-auth"')
        self.send_header("ETag", etag)
        for key, value in extra.items():
            self.send_header(key, value)
        self.end_headers()

    def _refuse(self, status: int, code: str | None = None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", "0")
        self.end_headers()


def git_id(data: bytes) -> str:
    """Returns the id that git gives a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _sibling(name: str, data: bytes) -> dict[str, Any]:
    about: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_id(data)}
    if name.endswith(LARGE):
        about["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return about
