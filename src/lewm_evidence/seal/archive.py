"""The archive of a bag: one tar for one tree, and a reader that takes nothing else.

The form is POSIX pax: members sorted by the bytes of their names, one modification time for all, user and group 0
without names, folders 0755, files 0644, zeros to the end of the last record. There is exactly one such archive for a
tree, so the reader rebuilds each header from name, kind and size and refuses any other bytes.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from lewm_evidence.errors import RefusedError
from lewm_evidence.seal.names import MAX_PATH, Names
from lewm_evidence.seal.progress import Digest, Progress
from lewm_evidence.seal.tree import BLOCK, Limits, Stored, blocks, open_plain, parents, scan
from lewm_evidence.seal.zstd import Writer, open_archive

# 1980-01-01 UTC: the earliest time every archive format can hold; GNU tar warns at 0.
MTIME = 315_532_800
_UNIT = 512
_RECORD = 20 * _UNIT
# A pax header holds one record, the path and its length.
_MAX_PAX = MAX_PATH + 64
# What 11 octal digits hold; larger files would need another kind of header.
_MAX_FILE = 8**11 - 1
_KINDS = {
    b"\0": "a file of the old tar format",
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a fifo",
    b"7": "a contiguous file",
    b"g": "a global pax header",
    b"x": "a second pax header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a sparse file",
}


def header(name: str, size: int | None) -> bytes:
    """Returns the header of a file of `size` bytes, or of a folder when `size` is None."""
    if size is not None and size > _MAX_FILE:
        raise RefusedError(f"{name}: has {size} bytes, an archive holds files up to {_MAX_FILE}")
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE if size is None else tarfile.REGTYPE
    info.mode = 0o755 if size is None else 0o644
    info.size = size or 0
    info.mtime = MTIME
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def archive_blocks(bag: Path, name: str, limits: Limits) -> Iterator[bytes]:
    """Yields the archive of the folder `bag` in blocks; inside it is called `name`."""
    tree = scan(bag, limits)
    written = 0
    sizes: dict[str, int | None] = {name: None}
    sizes |= {f"{name}/{path}": None for path in tree.folders}
    sizes |= {f"{name}/{path}": size for path, size in tree.files.items()}
    for member in sorted(sizes, key=str.encode):
        size = sizes[member]
        head = header(member, size)
        yield head
        if size is not None:
            yield from _body(bag / member.removeprefix(f"{name}/"), member, size)
            yield bytes(-size % _UNIT)
            written += size + -size % _UNIT
        written += len(head)
    yield bytes(_end(written))


def _body(path: Path, member: str, size: int) -> Iterator[bytes]:
    left = size
    with open_plain(path) as file:
        for block in blocks(file):
            left -= len(block)
            yield block
    if left:
        raise RefusedError(f"{member}: changed its size while it was read")


def _end(written: int) -> int:
    return 2 * _UNIT + -(written + 2 * _UNIT) % _RECORD


def write_archive(
    bag: Path, name: str, target: Path, limits: Limits | None = None, say: Callable[[str], None] | None = None
) -> Stored:
    """Writes the archive of the folder `bag` to the new file `target`, compressed when that ends in `.zst`.

    Args:
        bag: the folder.
        name: what it is called inside the archive.
        target: the new file.
        limits: how much the folder may hold.
        say: is told now and then how far it is.

    Returns:
        Digest and size of the tar, whether it is compressed or not.
    """
    limits = limits or Limits()
    progress = Progress(f"writing {target.name}", sum(scan(bag, limits).files.values()), say)
    with Digest() as digest, Writer(target) if target.suffix == ".zst" else target.open("xb") as file:
        for block in archive_blocks(bag, name, limits):
            digest.update(block)
            file.write(block)
            progress.add(len(block))
        return Stored(digest.hexdigest(), digest.size)


def archive_content(archive: Path, most: int) -> Stored:
    """Returns digest and size of the tar at `archive`, decompressing it if need be, but not beyond `most` bytes."""
    with Digest() as digest, open_archive(archive) as file:
        for block in blocks(file):
            digest.update(block)
            if digest.size > most:
                raise RefusedError(f"holds more than the {most} bytes it should")
        return Stored(digest.hexdigest(), digest.size)


def archive_digest(bag: Path, name: str, limits: Limits | None = None) -> str:
    """Returns the sha256 that the archive of the folder `bag` has."""
    with Digest() as digest:
        for block in archive_blocks(bag, name, limits or Limits()):
            digest.update(block)
        return digest.hexdigest()


@dataclass(frozen=True)
class Member:
    """A header that was read; `size` is None for a folder."""

    name: str
    size: int | None


class _Source:
    """Reads an archive from front to back, hashing what it reads."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.position = 0

    def take(self, size: int) -> bytes:
        """Returns the next `size` bytes; raises `RefusedError` when there are fewer."""
        data = self._file.read(size)
        self._digest.update(data)
        self.position += len(data)
        if len(data) != size:
            raise RefusedError(f"the archive ends at byte {self.position}, in the middle of a member")
        return data

    def at_end(self) -> bool:
        return not self._file.read(1)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> tuple[str, str]:
    """Unpacks `archive` into the empty folder `folder`.

    Returns:
        The name of the one folder at the archive's top, and the sha256 of the tar, also when it is compressed.

    Raises:
        RefusedError: for anything that `write_archive` would not have written. What was unpacked up to
            there stays in `folder`, which is the caller's to remove.
    """
    limits = limits or Limits()
    with open_archive(archive) as file:
        source, rules = _Source(file), _Rules(limits)
        while member := _next_member(source, rules):
            target = folder / member.name
            if member.size is None:
                target.mkdir(mode=0o755)
            else:
                _write_body(source, target, member)
        _check_end(source)
    if rules.top is None:
        raise RefusedError("the archive is empty")
    return rules.top, source.sha256


class _Rules:
    """What must hold of a member because of those before it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._names = Names()
        self._folders: set[str] = set()
        self._last = b""
        self._count = self._size = 0
        self.top: str | None = None

    def check_name(self, name: str) -> None:
        if fault := self._names.fault(name):
            raise RefusedError(f"{name!r}: {fault}")
        if name.encode() == self._last:
            raise RefusedError(f"{name}: is in the archive twice")
        if name.encode() < self._last:
            raise RefusedError(f"{name}: is not in its place; members are sorted by name")
        self._last = name.encode()

    def check_place(self, member: Member) -> None:
        self._count += 1
        self._size += member.size or 0
        if self._count > self._limits.files or self._size > self._limits.size:
            raise RefusedError(
                f"{member.name}: more than {self._limits.files} members or {self._limits.size} bytes up to here"
            )
        above = next(parents(member.name), None)
        if above is None and (self.top is not None or member.size is not None):
            raise RefusedError(f"{member.name}: the archive holds one folder at its top and nothing beside it")
        if above is not None and above not in self._folders:
            raise RefusedError(f"{member.name}: its folder {above} is not in the archive before it")
        if above is None:
            self.top = member.name
        if member.size is None:
            self._folders.add(member.name)


def _next_member(source: _Source, rules: _Rules) -> Member | None:
    block = source.take(_UNIT)
    if not any(block):
        return None
    read, path = block, None
    if block[156:157] == b"x":
        size = _number(block)
        if size > _MAX_PAX:
            raise RefusedError(f"a pax header at byte {source.position - _UNIT} has {size} bytes, more than a path")
        records = source.take(size + -size % _UNIT)
        path = _path_record(records[:size], source.position)
        block = source.take(_UNIT)
        read += records + block
    name = (block[:100].partition(b"\0")[0] if path is None else path).decode("utf-8", "surrogateescape")
    kind, size = block[156:157], _number(block)
    if kind == b"5":
        name = name.removesuffix("/")
    rules.check_name(name)
    if kind not in (b"0", b"5"):
        raise RefusedError(f"{name}: is {_KINDS.get(kind, 'of an unknown kind')}; a bundle holds plain files only")
    member = Member(name, size if kind == b"0" else None)
    rules.check_place(member)
    if header(name, member.size) != read:
        raise RefusedError(f"{name}: its header is not in the one form allowed (mode, owner, time or another field)")
    return member


def _number(block: bytes) -> int:
    text = block[124:136]
    if not re.fullmatch(rb"[0-7]{11}\0", text):
        raise RefusedError(f"{block[:100].partition(bytes(1))[0]!r}: its size field is {text!r}, not 11 octal digits")
    return int(text[:11], 8)


def _path_record(records: bytes, position: int) -> bytes:
    found = re.fullmatch(rb"[0-9]+ path=(.*)\n", records, re.DOTALL)
    if found is None:
        raise RefusedError(f"a pax header before byte {position} holds other records than a path")
    return found[1]


def _write_body(source: _Source, target: Path, member: Member) -> None:
    left = member.size or 0
    padding = -left % _UNIT
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(target, flags, 0o644), "wb") as file:
        while left:
            left -= file.write(source.take(min(left, BLOCK)))
    if any(source.take(padding)):
        raise RefusedError(f"{member.name}: is followed by bytes that are not zero")


def _check_end(source: _Source) -> None:
    # The first of the closing units is read already.
    rest = _end(source.position - _UNIT) - _UNIT
    if any(source.take(rest)):
        raise RefusedError("the archive goes on with other bytes than zeros after its last member")
    if not source.at_end():
        raise RefusedError(f"the archive goes on after its end at byte {source.position}")
