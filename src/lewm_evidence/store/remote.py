"""Places elsewhere that hold bundles: a folder, an S3 bucket, a repository on the hub.

Each holds objects by name: `blobs/sha256/aa/<hex>`, and for each bundle `bundles/<address>.json`, written last, which
lists its files. A place is not trusted: what comes from it is checked against the digests that were asked for.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from lewm_evidence.errors import BundleError, EvidenceError
from lewm_evidence.seal.tree import blocks, open_plain
from lewm_evidence.store.layout import make_folder, sync


class Remote(Protocol):
    """A place that holds objects by name. Every method raises `BundleError` when the place cannot be used."""

    where: str

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Returns the size in bytes of those of `names` that are there."""

    def put(self, files: Mapping[str, Path]) -> None:
        """Sends files, each whole or not at all, by the name each gets there."""

    def read(self, name: str) -> Iterator[bytes]:
        """Yields the content of an object in blocks."""

    def bundles(self) -> list[str]:
        """Returns the names of the objects below `bundles/`."""


def open_remote(where: str) -> Remote:
    """Returns the place `s3://bucket[/prefix]`, `hf://owner/name`, `hf://datasets/owner/name`, or a folder.

    Raises:
        EvidenceError: naming the extra to install when the client that the place needs is not there.
    """
    try:
        if where.startswith("s3://"):
            from lewm_evidence.store.s3 import S3

            return S3(where)
        if where.startswith("hf://"):
            from lewm_evidence.store.hub import Hub

            return Hub(where)
    except ModuleNotFoundError as error:
        extra = "s3" if where.startswith("s3://") else "pipeline"
        raise EvidenceError(f"{where} needs the package {error.name!r}; install lewm-evidence[{extra}]") from error
    if "://" in where:
        raise EvidenceError(f"{where!r} is not a place this program knows; give a folder, s3://… or hf://…")
    return Folder(Path(where))


class Folder:
    """A folder, say on another disk."""

    def __init__(self, root: Path) -> None:
        self.where = str(root)
        self._root = root
        if (root / "lock").exists():
            raise BundleError(f"{root} is a store itself; give `--store {root}` to `store add` or `store get` instead")

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Returns the size in bytes of those of `names` that are there."""
        return {name: (self._root / name).stat().st_size for name in names if (self._root / name).is_file()}

    def put(self, files: Mapping[str, Path]) -> None:
        """Copies files, durably, by the name each gets there."""
        for name, source in files.items():
            try:
                self._put(source, self._root / name)
            except OSError as error:
                raise BundleError(f"{error.filename or self.where}: {error.strerror or error}") from error

    def _put(self, source: Path, target: Path) -> None:
        make_folder(target.parent)
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=".part.")
        try:
            with os.fdopen(handle, "wb") as copy, open_plain(source) as original:
                for block in blocks(original):
                    copy.write(block)
                copy.flush()
                os.fsync(handle)
            Path(part).chmod(0o644)
            Path(part).replace(target)
        finally:
            Path(part).unlink(missing_ok=True)
        sync(target.parent)

    def read(self, name: str) -> Iterator[bytes]:
        """Yields the content of an object in blocks."""
        try:
            with open_plain(self._root / name) as file:
                yield from blocks(file)
        except OSError as error:
            raise BundleError(f"{self._root / name}: {error.strerror or error}") from error

    def bundles(self) -> list[str]:
        """Returns the names of the objects below `bundles/`."""
        return [f"bundles/{path.name}" for path in sorted((self._root / "bundles").glob("*.json"))]
