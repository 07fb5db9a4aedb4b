"""What lies where in a store, and how it gets there so that a power cut loses nothing.

blobs/sha256/aa/<hex>      content by its sha256, read only
bundles/<address>/         a bundle folder whose files are hard links to blobs; address = sha256 of the tag manifest
pins/<address>             empty; this bundle is kept whatever its age
tmp/                       work in progress, invisible to readers; what a killed process left goes with the next prune
lock                       held shared while something is read or added, alone while something is removed
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lewm_evidence.errors import BundleError

ADDRESS = re.compile(r"[0-9a-f]{64}")


class Layout:
    """The places of the store at `root`.

    Attributes:
        root: the store.
        blobs: contents by sha256.
        bundles: bundle folders by address.
        pins: one empty file for each pinned bundle.
        tmp: work in progress.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs" / "sha256"
        self.bundles = root / "bundles"
        self.pins = root / "pins"
        self.tmp = root / "tmp"

    def blob(self, sha256: str) -> Path:
        """Returns where the content with this digest lies."""
        return self.blobs / sha256[:2] / sha256

    def make(self) -> None:
        """Makes the folders that are not there yet."""
        for folder in (self.blobs, self.bundles, self.pins, self.tmp):
            make_folder(folder)

    @contextmanager
    def lock(self, alone: bool, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Holds the store shared, or `alone`; calls `waiting` once when somebody else has to finish first."""
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            try:
                fcntl.flock(handle, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(handle, kind)
            yield
        finally:
            # Closing gives the lock back, as the end of the process would.
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Makes `folder` and those above it, each durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def sync(path: Path) -> None:
    """Returns when the file's content, or the folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def told(root: Path) -> Iterator[None]:
    """Turns an `OSError` into a sentence about the store at `root`."""
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"{error.filename or root}: {error.strerror or error}; what the store {root} held before is still there, "
            "and the same command can be given again"
        ) from error
