"""Looking at a folder that somebody else may have prepared: plain files only, nothing followed."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from lewm_evidence.errors import RefusedError
from lewm_evidence.seal.names import Names

BLOCK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How much a bundle may hold before reading it is refused.

    Attributes:
        files: number of files and folders.
        size: bytes of all files together.
        document: bytes of one manifest or JSON document, which is read into memory.
        links: whether files may be hard links, as in a store. Not for what comes from elsewhere.
    """

    files: int = 200_000
    size: int = 64 << 30
    document: int = 64 << 20
    links: bool = False


@dataclass(frozen=True)
class Stored:
    """The content of a file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Tree:
    """What lies below a folder; paths are relative to it, with forward slashes.

    Attributes:
        files: size in bytes by path.
        folders: paths of the folders.
    """

    files: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)


def scan(root: Path, limits: Limits) -> Tree:
    """Returns what lies below `root`.

    Raises `RefusedError` for links, special files, names that a bundle may not hold, and more than `limits`.
    """
    tree, names, total = Tree(), Names(), 0
    for path, found in _walk(root):
        if fault := names.fault(path) or _fault_in_kind(found, limits.links):
            raise RefusedError(f"{path!r}: {fault}")
        if stat.S_ISDIR(found.st_mode):
            tree.folders.add(path)
        else:
            tree.files[path] = found.st_size
            total += found.st_size
        if total > limits.size:
            raise RefusedError(f"{path}: more than {limits.size} bytes in all up to here")
        if len(tree.files) + len(tree.folders) > limits.files:
            raise RefusedError(f"{path}: more than {limits.files} files and folders up to here")
    return tree


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(root / folder) as found:
            for entry in sorted(found, key=lambda entry: os.fsencode(entry.name)):
                path = f"{folder}/{entry.name}" if folder else entry.name
                state = entry.stat(follow_symlinks=False)
                # Yielded before it is entered: a name that is refused is never used as a path.
                yield path, state
                if stat.S_ISDIR(state.st_mode):
                    folders.append(path)


def _fault_in_kind(found: os.stat_result, links: bool) -> str | None:
    if stat.S_ISDIR(found.st_mode):
        return None
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link; a bundle holds plain files only"
    if not stat.S_ISREG(found.st_mode):
        return "is a special file (fifo, socket or device); a bundle holds plain files only"
    if found.st_nlink != 1 and not links:
        return f"is a hard link ({found.st_nlink} names for one file); a bundle holds plain files only"
    if stat.S_IMODE(found.st_mode) & 0o7000:
        return "has the set-user, set-group or sticky bit"
    return None


def open_plain(path: Path) -> BufferedReader:
    """Opens the regular file at `path` for reading; raises `RefusedError` for a link or a special file."""
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise RefusedError(f"{path}: is a symbolic link")
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise RefusedError(f"{path}: is not a plain file")
    return os.fdopen(handle, "rb")


def blocks(file: BufferedReader) -> Iterator[bytes]:
    """Yields the rest of `file` in blocks."""
    while block := file.read(BLOCK):
        yield block


def stored(path: Path) -> Stored:
    """Returns digest and size of the plain file at `path`, from one reading."""
    with open_plain(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Stored(digest, file.tell())


def parents(path: str) -> Iterator[str]:
    """Yields the folders above a relative path, innermost first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
