"""Writes Rerun recordings whose bytes depend on their content alone.

Rerun's own writer puts random ids into chunks, store headers and blueprints and lists the columns of the footer in
random order. Here chunks and views get ids that count, Rerun writes layout and data into a file each, and the two
are joined under a footer with sorted columns. The framing is that of Rerun 0.41 (RRF2), which documents it in its
source only (crates/store/re_log_encoding, re_protos); the package is pinned to that version, and `rerun rrd verify`
judges the result.
"""

import struct
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import rerun as rr
import rerun.blueprint as rrb

from lewm_evidence.canonical import write_atomic
from lewm_evidence.errors import StageError
from lewm_evidence.render.chunks import Chunk, LazyChunkStream, RrdReader

_KNOWN = "0.41."
_HEADER = 12
_MAGIC = b"RRF2"
_END, _STORE, _CHUNK, _ACTIVATE = 0, 1, 2, 3
_TAIL = b"RRF2FOOT" + struct.pack("<I", 1)
_CHECKSUM_SEED = 7850921
_LZ4 = pa.Codec("lz4_raw")
_NAMES = uuid.UUID("a1f4dd5e-5f0c-5d0c-9b1e-6d0b7b0f6a55")
_LAYOUT_NAME = "layout"
_ROW_ID = "rerun.controls.RowId"


class _File(NamedTuple):
    """A recording taken apart: its header, messages as (kind, payload), and the manifest of its one store."""

    header: bytes
    messages: list[tuple[int, bytes]]
    manifest: dict[int, bytes]


def write(path: Path, application: str, recording: str, chunks: Sequence[Chunk], layout: rrb.Blueprint) -> bool:
    """Writes `chunks` and the `layout` the viewer opens with to `path`.

    Args:
        path: the `.rrd` file, replaced if it exists.
        application: name under which the viewer keeps what belongs together.
        recording: name of the recording.
        chunks: the data, in the order to be written.
        layout: a fresh blueprint; its views and containers are renamed.

    Returns:
        Whether the bytes depend on the arguments alone: with Rerun 0.41. Other versions frame files in other ways, so
        they write the file themselves: the same content, in bytes that differ from run to run.

    Raises:
        StageError: when Rerun 0.41 writes another framing than the one known here.
    """
    if not rr.__version__.startswith(_KNOWN):
        _plain(path, application, recording, chunks, layout)
        return False
    write_atomic(path, _pinned(application, recording, chunks, layout))
    return True


def _plain(path: Path, application: str, recording: str, chunks: Sequence[Chunk], layout: rrb.Blueprint) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        stream = rr.RecordingStream(application, recording_id=recording, send_properties=False)
        stream.save(made, default_blueprint=layout)
        stream.send_chunks(list(chunks))
        stream.flush()
        stream.disconnect()
        made.replace(path)


def _pinned(application: str, recording: str, chunks: Sequence[Chunk], layout: rrb.Blueprint) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        views = _layout_chunks(layout, application, Path(folder) / "layout.rbl")
        front = _written(views, len(chunks), application, _LAYOUT_NAME, Path(folder) / "layout.rrd")
        data = _written(chunks, 0, application, recording, Path(folder) / "data.rrd")
    front = _as_layout(front)
    # Make the layout with this store id the default one of the application.
    front.messages.append((_ACTIVATE, _field(1, front.manifest[1]) + _field(3, 1)))
    return _joined([front, data])


def _layout_chunks(layout: rrb.Blueprint, application: str, path: Path) -> list[Chunk]:
    _rename(layout.root_container, "root")
    layout.save(application, path)
    reader = RrdReader(path)
    (store,) = reader.blueprints()
    # The SDK batches by the clock: single rows in an order of their own do not depend on that.
    rows = [row for chunk in reader.stream(store=store).to_chunks() for row in _rows(chunk.to_record_batch())]
    return [_chunk(row) for row in sorted(rows, key=_place)]


def _rename(part: Any, name: str) -> None:
    part.id = uuid.uuid5(_NAMES, name)
    for number, inner in enumerate(part.contents if isinstance(part, rrb.Container) else []):
        _rename(inner, f"{name}/{number}")


def _rows(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    timeless = batch.drop_columns([name for name in ("log_time", "log_tick") if name in batch.schema.names])
    for number in range(timeless.num_rows):
        yield timeless.slice(number, 1)


def _place(row: pa.RecordBatch) -> tuple[bytes, str]:
    cells = {name: row.column(name).to_pylist() for name in row.schema.names if name != _ROW_ID}
    return row.schema.metadata[b"rerun:entity_path"], repr(sorted(cells.items()))


def _chunk(batch: pa.RecordBatch) -> Chunk:
    (chunk,) = Chunk.from_record_batch(batch)
    return chunk


def _numbered(chunk: Chunk, number: int) -> Chunk:
    """Returns the chunk with ids made of `number` and the row instead of time and chance."""
    batch = chunk.to_record_batch()
    place = batch.schema.get_field_index(_ROW_ID)
    rows = [struct.pack(">QQ", number, row) for row in range(chunk.num_rows)]
    columns = list(batch.columns)
    columns[place] = pa.array(rows, type=batch.schema.field(place).type)
    metadata = dict(batch.schema.metadata) | {b"rerun:id": b"chunk_%016X%016X" % (number, 0)}
    fields = [_sorted_metadata(field) for field in batch.schema]
    schema = pa.schema(fields, metadata=dict(sorted(metadata.items())))
    return _chunk(pa.RecordBatch.from_arrays(columns, schema=schema))


def _sorted_metadata(field: pa.Field) -> pa.Field:
    return field.with_metadata(dict(sorted((field.metadata or {}).items())))


def _written(chunks: Sequence[Chunk], first: int, application: str, recording: str, path: Path) -> _File:
    numbered = [_numbered(chunk, first + n) for n, chunk in enumerate(chunks, 1)]
    LazyChunkStream.from_iter(numbered).write_rrd(path, application_id=application, recording_id=recording)
    return _taken_apart(path.read_bytes())


def _taken_apart(data: bytes) -> _File:
    messages = list(_messages(data))
    kinds = [kind for kind, _ in messages]
    if data[:4] != _MAGIC or kinds != [_STORE, *[_CHUNK] * (len(kinds) - 2), _END] or not data.endswith(_TAIL):
        raise StageError("Rerun wrote a file of an unknown shape; this needs rerun-sdk 0.41.0, run `make setup`")
    footer = _fields(messages.pop()[1])
    info = _fields(messages[0][1])
    messages[0] = (_STORE, _field(1, b"\x09" + bytes(8) + b"\x11" + bytes(8)) + _field(2, info[2]))
    return _File(data[:_HEADER], messages, _fields(footer[1]))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = _HEADER
    while place < len(data) - 32:
        kind, size = struct.unpack_from("<QQ", data, place)
        yield kind, data[place + 16 : place + 16 + size]
        place += 16 + size


def _as_layout(file: _File) -> _File:
    """Returns the file with its store's kind changed from recording (1) to blueprint (2)."""
    name = b"\x12" + bytes([len(_LAYOUT_NAME)]) + _LAYOUT_NAME.encode()

    def change(data: bytes) -> bytes:
        if data.count(b"\x08\x01" + name) != 1:
            raise StageError("Rerun wrote a store id of an unknown shape; this needs rerun-sdk 0.41.0")
        return data.replace(b"\x08\x01" + name, b"\x08\x02" + name)

    messages = [(kind, change(payload)) for kind, payload in file.messages]
    return file._replace(messages=messages, manifest=file.manifest | {1: change(file.manifest[1])})


def _joined(files: Sequence[_File]) -> bytes:
    body = bytearray(files[0].header)
    footer = b""
    for file in files:
        offsets = []
        for kind, payload in file.messages:
            body += struct.pack("<QQ", kind, len(payload))
            if kind == _CHUNK:
                offsets.append(len(body))
            body += payload
        footer += _field(1, _manifest(file.manifest, offsets))
    body += struct.pack("<QQ", _END, len(footer))
    tail = struct.pack("<QQI", len(body), len(footer), checksum(footer, _CHECKSUM_SEED)) + _TAIL
    return bytes(body) + footer + tail


def _manifest(fields: dict[int, bytes], offsets: list[int]) -> bytes:
    """Returns a store's manifest with sorted columns and the new byte offsets of its chunks."""
    packed = _fields(fields[4])
    raw = _LZ4.decompress(packed[2], decompressed_size=packed[4])
    (batch,) = pa.ipc.open_stream(raw).read_all().combine_chunks().to_batches()
    place = batch.schema.get_field_index("chunk_byte_offset")
    batch = batch.set_column(place, batch.schema.field(place), pa.array(offsets, pa.uint64()))
    schema = pa.ipc.open_stream(_fields(fields[2])[1]).schema
    table = _ipc(batch.schema, batch)
    packing = _field(1, packed[1]) + _field(2, _LZ4.compress(table, asbytes=True)) + _field(3, packed[3])
    return (
        _field(1, fields[1])
        + _field(2, _field(1, _ipc(schema)))
        + _field(3, fields[3])  # sha256 of the schema, whatever the order of its columns
        + _field(4, packing + _field(4, len(table)))
    )


def _ipc(schema: pa.Schema, batch: pa.RecordBatch | None = None) -> bytes:
    """Returns an Arrow stream with sorted columns: the schema, and the rows of `batch` if given."""
    names = sorted(schema.names)
    ordered = pa.schema([_sorted_metadata(schema.field(name)) for name in names])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, ordered) as writer:
        if batch is not None:
            writer.write_batch(pa.RecordBatch.from_arrays([batch.column(name) for name in names], schema=ordered))
    return bytes(sink.getvalue())


def _fields(message: bytes) -> dict[int, Any]:
    """Returns the fields of a protocol buffer message: bytes, or a number for wire type 0. The last one wins."""
    found: dict[int, Any] = {}
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        value, place = _varint(message, place)
        if key & 7 == 0:
            found[key >> 3] = value
        elif key & 7 == 2:
            found[key >> 3] = message[place : place + value]
            place += value
        else:
            raise StageError("Rerun wrote a message of an unknown shape; this needs rerun-sdk 0.41.0")
    return found


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _encode(number << 3) + _encode(value)
    return _encode(number << 3 | 2) + _encode(len(value)) + value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _encode(value: int) -> bytes:
    encoded = b""
    while value > 127:
        encoded, value = encoded + bytes([value & 127 | 128]), value >> 7
    return encoded + bytes([value])


def checksum(data: bytes, seed: int = 0) -> int:
    """Returns the 32-bit xxHash of `data` (https://github.com/Cyan4973/xxHash, XXH32)."""
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    mask = 0xFFFFFFFF

    def turn(value: int, bits: int) -> int:
        return (value << bits | value >> 32 - bits) & mask

    words = struct.unpack_from(f"<{len(data) // 4}I", data)
    whole = len(data) // 16 * 4
    if whole:
        lanes = [seed + p1 + p2, seed + p2, seed, seed - p1]
        for place in range(0, whole, 4):
            lanes = [
                turn((lane + word * p2) & mask, 13) * p1 & mask
                for lane, word in zip(lanes, words[place : place + 4], strict=True)
            ]
        value = sum(turn(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True))
    else:
        value = seed + p5
    value = (value + len(data)) & mask
    for word in words[whole:]:
        value = turn((value + word * p3) & mask, 17) * p4 & mask
    for byte in data[len(words) * 4 :]:
        value = turn((value + byte * p5) & mask, 11) * p1 & mask
    value = (value ^ value >> 15) * p2 & mask
    value = (value ^ value >> 13) * p3 & mask
    return value ^ value >> 16
