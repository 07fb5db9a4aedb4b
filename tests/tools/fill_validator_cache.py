"""Puts the vendored JSON-LD contexts into the cache that `rocrate-validator --offline` reads.

`python fill_validator_cache.py CACHE CONTEXTS`, with the validator's own interpreter. Nothing is fetched.
"""

import sys
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession

CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.jsonld",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.json",
}


class FromFolder(HTTPAdapter):
    """Answers with files instead of the network."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Returns the file that stands for the request's address."""
        raw = _raw((self.folder / CONTEXTS[str(request.url)]).read_bytes())
        return self.build_response(request, raw)


def _raw(body: bytes) -> Any:
    from io import BytesIO

    from urllib3 import HTTPResponse

    headers = {"Content-Type": "application/ld+json", "Content-Length": str(len(body))}
    return HTTPResponse(body=BytesIO(body), headers=headers, status=200, reason="OK", preload_content=False)


def main(cache: str, contexts: str) -> None:
    """Fills the cache at `cache` with the files in `contexts`."""
    session = CachedSession(cache_name=cache, backend="sqlite", expire_after=-1, allowable_codes=(200, 302, 404))
    session.mount("https://", FromFolder(Path(contexts)))
    headers = {"Accept": "application/ld+json, application/json;q=0.9, */*;q=0.1"}
    for address in CONTEXTS:
        session.get(address).raise_for_status()
        session.get(address, headers=headers).raise_for_status()


if __name__ == "__main__":
    main(*sys.argv[1:])
