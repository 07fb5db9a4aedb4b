"""Bundles in a repository on the hub, over the hub's own client.

HF_ENDPOINT chooses another hub, HF_TOKEN is who asks.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, RepoFile
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

from lewm_evidence.errors import BundleError
from lewm_evidence.seal.tree import blocks, open_plain

# A commit of more files than this takes the hub long.
_AT_ONCE = 500


class Hub:
    """The repository of `hf://owner/name`, or of `hf://datasets/owner/name`; it must be there."""

    def __init__(self, where: str) -> None:
        place = where.removeprefix("hf://").strip("/")
        self.where = f"hf://{place}"
        kind, _, repo = place.rpartition("datasets/")
        if kind or repo.count("/") != 1 or not all(repo.split("/")):
            raise BundleError(f"{where!r} names no repository; give hf://owner/name or hf://datasets/owner/name")
        self._repo = repo
        self._type = "dataset" if place.startswith("datasets/") else "model"
        # The token from the environment only, never one that some login left in a file.
        self._api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=os.environ.get("HF_TOKEN") or False)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (HfHubHTTPError, httpx2.HTTPError, OSError, RuntimeError, ValueError) as error:
            raise BundleError(f"{self.where}: {error}") from error

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Returns the size in bytes of those of `names` that are there."""
        with self._told():
            found = self._api.get_paths_info(self._repo, list(names), repo_type=self._type)
        return {row.path: row.size for row in found if isinstance(row, RepoFile)}

    def put(self, files: Mapping[str, Path]) -> None:
        """Sends files by the name each gets there, in one commit or a few."""
        names = sorted(files)
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            additions = [CommitOperationAdd(name, files[name]) for name in part]
            with self._told():
                self._api.create_commit(
                    self._repo, additions, commit_message=f"Add {len(part)} files of a bundle", repo_type=self._type
                )

    def read(self, name: str) -> Iterator[bytes]:
        """Yields the content of an object in blocks."""
        with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as private:
            with self._told():
                path = self._api.hf_hub_download(self._repo, name, repo_type=self._type, local_dir=private)
            with open_plain(Path(path)) as file:
                yield from blocks(file)

    def bundles(self) -> list[str]:
        """Returns the names of the objects below `bundles/`."""
        try:
            with self._told():
                return sorted(row.path for row in self._api.list_repo_tree(self._repo, "bundles", repo_type=self._type))
        except BundleError as error:
            if isinstance(error.__cause__, EntryNotFoundError):
                return []
            raise
