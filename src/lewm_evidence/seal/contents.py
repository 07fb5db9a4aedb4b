"""What a finished file says: its readable pieces, decoded, so that nothing hides in a container or a compression.

Base installation only: event files, recordings, pictures, tensors and compressed files are taken apart here by
their framing, not by their libraries. A file whose framing is broken is refused, not skipped.
"""

import base64
import binascii
import bz2
import gzip
import html
import io
import lzma
import re
import struct
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from lewm_evidence.errors import InputError

PNG = b"\x89PNG\r\n\x1a\n"
# Of one file, after decompression.
MOST = 1 << 30
_DEEPEST = 6
_STRAY = 64
# Zstandard, 7z and RAR: what is in them cannot be told with the standard library.
_CLOSED = (b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07")
_TEXT = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*")
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w=.-]+)*),([A-Za-z0-9+/=_%.~!*'()-]*)")
_RRD_STORE, _RRD_END, _RRD_CHUNK, _RRD_PLAIN, _RRD_LZ4 = 1, 0, 2, 1, 2
_RRD_TAIL = 32


@dataclass(frozen=True)
class Piece:
    """Some content of a file.

    Attributes:
        place: where in the file, for a person; empty for the file as such.
        data: the bytes, decoded.
        text: whether they are text for a person; else numbers, pixels or unknown.
    """

    place: str
    data: bytes
    text: bool


class UnreadableError(InputError):
    """A file is not what its name or first bytes promise, so nobody knows what it says."""


def packed(name: str, start: bytes) -> bool:
    """Whether the file `name` that starts with `start` says more than its bytes do as they lie there."""
    return start.startswith((PNG, b"RRF2", b"\x1f\x8b\x08", b"PK\x03\x04", b"\xfd7zXZ", b"BZh", *_CLOSED)) or (
        "tfevents" in PurePosixPath(name).name
    )


def pieces(name: str, data: bytes) -> Iterator[Piece]:
    """Yields what the file `name` with content `data` says; raises `UnreadableError` when it cannot be decoded."""
    try:
        yield from _pieces(name, data, "", 0)
    except (struct.error, IndexError, ValueError, EOFError, zlib.error, OSError, zipfile.BadZipFile) as error:
        raise UnreadableError(f"cannot be decoded ({error or type(error).__name__})") from error


def _pieces(name: str, data: bytes, place: str, depth: int) -> Iterator[Piece]:
    if depth > _DEEPEST or len(data) > MOST:
        raise ValueError("too deep or too large to look inside")
    if data.startswith(PNG):
        yield from _png(data, place)
    elif data.startswith(b"RRF2"):
        yield from _recording(data, place)
    elif "tfevents" in PurePosixPath(name).name:
        yield from _event_file(data, place)
    elif data.startswith(b"\x1f\x8b\x08"):
        yield from _pieces("", _gunzip(data), f"{place}decompressed, ", depth + 1)
    elif data.startswith((b"\xfd7zXZ\0", b"BZh")):
        yield from _pieces("", _unpack(data), f"{place}decompressed, ", depth + 1)
    elif data.startswith(_CLOSED):
        raise ValueError("compressed in a way that is not known here")
    elif data.startswith(b"PK\x03\x04"):
        yield from _zip(data, place, depth)
    elif name.endswith(".safetensors") and (end := _header_end(data)):
        yield Piece(f"{place}header, ", data[8:end], True)
        yield Piece(f"{place}tensors, ", data[end:], False)
    else:
        yield from _plain(data, place, depth)


def _plain(data: bytes, place: str, depth: int) -> Iterator[Piece]:
    text = _as_text(data)
    if text is None:
        yield from _binary(data, place)
        return
    cut = _DATA_URI.sub("data:", text) if "data:" in text else text
    yield Piece(place, cut.encode(), True)
    plain = html.unescape(cut) if "&" in cut else cut
    if plain != cut:
        yield Piece(f"{place}unescaped, ", plain.encode(), True)
    if cut is not text:
        for number, found in enumerate(_DATA_URI.finditer(text), 1):
            yield from _pieces("", _data_uri(found), f"{place}data URI {number}, ", depth + 1)


def _as_text(data: bytes) -> str | None:
    if _TEXT.fullmatch(data) is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _data_uri(found: re.Match[str]) -> bytes:
    raw = urllib.parse.unquote_to_bytes(found[3])
    if ";base64" not in found[2]:
        return raw
    try:
        return base64.b64decode(raw.rstrip(b"=") + b"===", validate=False)
    except binascii.Error:
        return raw


def _binary(data: bytes, place: str) -> Iterator[Piece]:
    """Yields unknown bytes, and the text of the pictures among them."""
    start = search = wrong = 0
    while (found := data.find(PNG, search)) >= 0:
        end = _png_end(data, found)
        if end is None:
            # Each try may read on to the end, so that their number keeps the time in bounds.
            search, wrong = found + len(PNG), wrong + 1
            if wrong > _STRAY:
                raise ValueError("too many beginnings of pictures that are none")
            continue
        yield from _png(data[found:end], f"{place}picture at byte {found}, ")
        yield Piece(place, data[start:found], False)
        start = search = end
    yield Piece(place, data[start:], False)


def _png_chunks(data: bytes, start: int = 0) -> Iterator[tuple[bytes, bytes, int]]:
    """Yields kind, content and end of every chunk of the picture that starts at `start`."""
    at, kind = start + len(PNG), b""
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + size > len(data):
            raise ValueError(f"PNG chunk at byte {at} goes on after the end")
        yield kind, data[at + 8 : at + 8 + size], at + 12 + size
        at += 12 + size


def _png_end(data: bytes, start: int) -> int | None:
    try:
        return [end for _, _, end in _png_chunks(data, start)][-1]
    except (ValueError, struct.error):
        return None


def _png(data: bytes, place: str) -> Iterator[Piece]:
    end = len(PNG)
    for kind, content, chunk_end in _png_chunks(data):
        end = chunk_end
        where = f"{place}PNG chunk {kind.decode('latin-1')}, "
        if kind in (b"zTXt", b"iCCP"):
            keyword, _, packed = content.partition(b"\0")
            yield Piece(where, keyword + b"\n" + _inflate(packed[1:]), True)
        elif kind == b"iTXt":
            keyword, _, rest = content.partition(b"\0")
            fields = rest[2:].split(b"\0", 2)
            text = _inflate(fields[-1]) if rest[:1] == b"\1" else fields[-1]
            yield Piece(where, b"\n".join([keyword, *fields[:-1], text]), True)
        elif kind not in (b"IHDR", b"IDAT", b"PLTE", b"IEND"):
            yield Piece(where, content.replace(b"\0", b"\n"), True)
        elif kind == b"IDAT":
            yield Piece(where, content, False)
    if end < len(data):
        yield Piece(f"{place}after the picture, ", data[end:], True)


def _inflate(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    found = unpacker.decompress(data, MOST)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("compressed text is cut off or too large")
    return found


def _gunzip(data: bytes) -> bytes:
    with gzip.open(io.BytesIO(data)) as file:
        found = file.read(MOST + 1)
    if len(found) > MOST:
        raise ValueError("too large to look inside")
    return found


def _unpack(data: bytes) -> bytes:
    try:
        unpacker = lzma.LZMADecompressor() if data.startswith(b"\xfd") else bz2.BZ2Decompressor()
        found = unpacker.decompress(data, MOST)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("cut off, followed by something else, or too large to look inside")
    return found


def _zip(data: bytes, place: str, depth: int) -> Iterator[Piece]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST:
            raise ValueError("too large to look inside")
        for number, entry in enumerate(archive.infolist(), 1):
            where = f"{place}zip member {number}, "
            yield Piece(f"{where}name, ", entry.filename.encode("utf-8", "replace") + b"\n" + entry.comment, True)
            yield from _pieces(entry.filename, archive.read(entry), where, depth + 1)
        yield Piece(f"{place}zip comment, ", archive.comment, True)


def _header_end(data: bytes) -> int:
    """Returns where the tensors of a safetensors file begin; 0 when it is none."""
    if len(data) < 9:
        return 0
    end = 8 + int.from_bytes(data[:8], "little")
    return end if end <= len(data) and data[8:9] == b"{" else 0


def _event_file(data: bytes, place: str) -> Iterator[Piece]:
    """Yields what the records of a TensorBoard event file say (TFRecord framing, `tensorflow.Event` inside)."""
    at, number = 0, 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        end = at + 12 + size
        if end + 4 > len(data):
            raise ValueError(f"event record {number} goes on after the end")
        yield from _event(data[at + 12 : end], f"{place}event {number}, ")
        at, number = end + 4, number + 1


def _event(data: bytes, place: str) -> Iterator[Piece]:
    fields = _message(data)
    if fields is None:
        raise ValueError(f"{place}is not a protocol buffer")
    for key, value in fields:
        # Event.summary = 5, Summary.value = 1, Summary.Value.tag = 1 (tensorboard/compat/proto/summary.proto)
        values = _message(value) if key == 5 and value is not None else None
        for _, inner in values or [(0, value)]:
            tags = [text for number, text in (_message(inner or b"") or []) if number == 1 and text]
            tag = _as_text(tags[0]) if values and tags else None
            yield from _field_pieces(inner, f"{place}tag {tag!r}, " if tag else place, 0)


def _field_pieces(value: bytes | None, place: str, depth: int) -> Iterator[Piece]:
    """Yields what a field of unknown type says: a picture, text, fields of its own, or bytes; both where it may be."""
    if not value:
        return
    if value.startswith(PNG):
        yield from _png(value, place)
        return
    text = _as_text(value) is not None
    if text:
        yield Piece(place, value, True)
    inner = _message(value) if depth < 2 * _DEEPEST else None
    for _, part in inner or []:
        yield from _field_pieces(part, place, depth + 1)
    if not text and inner is None:
        yield from _binary(value, place)


def _message(data: bytes) -> list[tuple[int, bytes | None]] | None:
    """Returns the fields of a protocol buffer message, numbers as None; None when it is not one."""
    found: list[tuple[int, bytes | None]] = []
    at = 0
    try:
        while at < len(data):
            key, at = _varint(data, at)
            kind, value = key & 7, None
            if kind == 0:
                _, at = _varint(data, at)
            elif kind == 2:
                size, at = _varint(data, at)
                value, at = data[at : at + size], at + size
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            if kind in (3, 4, 6, 7) or key >> 3 == 0 or at > len(data):
                return None
            found.append((key >> 3, value))
    except (IndexError, ValueError):
        return None
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _recording(data: bytes, place: str) -> Iterator[Piece]:
    """Yields what a Rerun recording says: frames of kind, size and a message, some with LZ4 (Rerun 0.41, RRF2)."""
    at = 12
    while at < len(data) - _RRD_TAIL:
        kind, size = struct.unpack_from("<QQ", data, at)
        if at + 16 + size > len(data):
            raise ValueError(f"message at byte {at} goes on after the end")
        where = f"{place}message at byte {at}, "
        yield from _recorded(kind, data[at + 16 : at + 16 + size], where)
        at += 16 + size
    yield Piece(f"{place}end, ", data[at:], False)


def _recorded(kind: int, data: bytes, place: str) -> Iterator[Piece]:
    fields = _message(data)
    if fields is None:
        raise ValueError(f"{place}is not a protocol buffer")
    if kind == _RRD_CHUNK:
        # ArrowMsg: compression = 2, uncompressed size = 3, payload = 5.
        yield from _packed(data, (2, 3, 5), place)
    elif kind == _RRD_END:
        for _, store in fields:
            for key, table in _message(store or b"") or []:
                # The manifest of a store: its table = 4, with compression = 1, payload = 2, uncompressed size = 4.
                if key == 4 and table:
                    yield from _packed(table, (1, 4, 2), place)
                else:
                    yield from _field_pieces(table, place, 0)
    else:
        yield from _field_pieces(data, place, 0)


def _packed(data: bytes, keys: tuple[int, int, int], place: str) -> Iterator[Piece]:
    """Yields the fields of a message one of which is a payload; `keys` are compression, full size, payload."""
    numbers = _numbers(data)
    compression, size = numbers.get(keys[0], 0), numbers.get(keys[1], 0)
    for key, value in _message(data) or []:
        if key != keys[2] or value is None:
            yield from _field_pieces(value, place, 0)
        elif compression == _RRD_LZ4:
            yield from _binary(unpack_lz4(value, size), place)
        elif compression == _RRD_PLAIN:
            yield from _binary(value, place)
        else:
            raise ValueError(f"{place}compression {compression} is not known here")


def _numbers(data: bytes) -> dict[int, int]:
    found: dict[int, int] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            found[key >> 3], at = _varint(data, at)
        elif key & 7 == 2:
            size, at = _varint(data, at)
            at += size
        else:
            at += 8 if key & 7 == 1 else 4
    return found


def unpack_lz4(data: bytes, size: int) -> bytes:
    """Returns the `size` bytes that the LZ4 block `data` holds (lz4_Block_format.md of LZ4).

    Raises `ValueError` when it holds another number of bytes or is broken.
    """
    if size > MOST:
        raise ValueError("too large to look inside")
    out, at = bytearray(), 0
    while at < len(data):
        token = data[at]
        count, at = _lz4_length(data, at + 1, token >> 4)
        out += data[at : at + count]
        at += count
        if at >= len(data):
            break
        back = data[at] | data[at + 1] << 8
        count, at = _lz4_length(data, at + 2, token & 15)
        count += 4
        if not 0 < back <= len(out) or len(out) + count > size:
            raise ValueError("an LZ4 block is broken")
        tail = out[-back:]
        out += (tail * (count // back + 1))[:count]
    if len(out) != size:
        raise ValueError("an LZ4 block holds another number of bytes than it says")
    return bytes(out)


def _lz4_length(data: bytes, at: int, count: int) -> tuple[int, int]:
    if count == 15:
        while True:
            byte = data[at]
            count, at = count + byte, at + 1
            if byte < 255:
                break
    return count, at
