"""A loopback server that speaks the hub's protocol for uploads and listings, as far as the real client asks.

Uploads: `preupload` says which files are large, the LFS batch where to put them, `commit` takes the rest and the names.
Reading: `paths-info`, `tree` and `resolve`. The hub's newer transfer (Xet) is not spoken here.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

# What the hub keeps as a large file is for it to say.
LARGE = 20_000


class Uploads:
    """What was uploaded, and how the server misbehaves.

    Attributes:
        repo: the only repository.
        files: its files by name.
        large: large contents by sha256; not yet files until a commit names them.
        commits: number of commits.
        puts: the sha256 of each large content sent.
        refuse: how many commits to answer with 500.
        token: who may ask; None is anybody.
    """

    def __init__(self, repo: str) -> None:
        self.repo = repo
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.commits = 0
        self.puts: list[str] = []
        self.refuse = 0
        self.token: str | None = None
        self.endpoint = ""

    def info(self, name: str) -> dict[str, Any]:
        """Returns what the hub says of a file."""
        data = self.files[name]
        about = {"type": "file", "path": name, "size": len(data), "oid": git_id(data)}
        if len(data) >= LARGE:
            about["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return about

    def commit(self, lines: list[dict[str, Any]]) -> None:
        """Takes the files of a commit."""
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                self.files[value["path"]] = self.large[value["oid"]]
        self.commits += 1


def git_id(data: bytes) -> str:
    """Returns the id that git gives a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def serve(hub: Uploads) -> Iterator[Uploads]:
    """Serves `hub` on loopback until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Uploads
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        """Answers preupload, LFS batch, commit and paths-info."""
        body = self._body()
        path = urlsplit(self.path).path
        if not self._allowed():
            return
        if "/preupload/" in path:
            files = [_mode(file) for file in json.loads(body)["files"]]
            self._json({"files": files, "commitOid": "0" * 40})
        elif path.endswith("/info/lfs/objects/batch"):
            self._json({"transfer": "basic", "objects": [self._action(one) for one in json.loads(body)["objects"]]})
        elif "/commit/" in path:
            if self.hub.refuse:
                self.hub.refuse -= 1
                self._json({"error": "try later"}, 500)
                return
            self.hub.commit([json.loads(line) for line in body.splitlines()])
            self._json({"commitUrl": f"{self.hub.endpoint}/{self.hub.repo}/commit/{'1' * 40}", "commitOid": "1" * 40})
        elif "/paths-info/" in path:
            names = parse_qs(body.decode()).get("paths", [])
            self._json([self.hub.info(name) for name in names if name in self.hub.files])
        else:
            self._json({"error": "not found"}, 404)

    def do_PUT(self) -> None:
        """Takes a large content."""
        data = self._body()
        sha256 = self.path.rpartition("/")[2]
        self.hub.puts.append(sha256)
        self.hub.large[sha256] = data
        self._json({})

    def do_HEAD(self) -> None:
        """Tells about a file."""
        self._file(body=False)

    def do_GET(self) -> None:
        """Sends a file or lists a folder."""
        path = unquote(urlsplit(self.path).path)
        if "/tree/" not in path:
            self._file(body=True)
            return
        below = path.partition("/tree/main/")[2]
        found = [self.hub.info(name) for name in sorted(self.hub.files) if name.startswith(f"{below}/")]
        if self._allowed() and found:
            self._json(found)
        elif not found:
            self._json({"error": "no such folder"}, 404, {"X-Error-Code": "EntryNotFound"})

    def _file(self, body: bool) -> None:
        name = unquote(urlsplit(self.path).path).partition("/resolve/main/")[2]
        if not self._allowed():
            return
        if name not in self.hub.files:
            self._json({"error": "no such file"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        data = self.hub.files[name]
        self.send_response(200)
        self.send_header("X-Repo-Commit", "1" * 40)
        self.send_header("ETag", f'"{git_id(data)}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _allowed(self) -> bool:
        if self.hub.repo not in self.path or (
            self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}"
        ):
            self._json({"error": "no such repository"}, 404, {"X-Error-Code": "RepoNotFound"})
            return False
        return True

    def _action(self, content: dict[str, Any]) -> dict[str, Any]:
        there = content["oid"] in self.hub.large
        href = f"{self.hub.endpoint}/{self.hub.repo}/put/{content['oid']}"
        return content if there else content | {"actions": {"upload": {"href": href}}}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, value: Any, status: int = 200, extra: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (extra or {}).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _mode(file: dict[str, Any]) -> dict[str, Any]:
    return {
        "path": file["path"],
        "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
        "shouldIgnore": False,
        "oid": None,
    }
