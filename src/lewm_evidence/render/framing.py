"""The framing of event files, of many small records at once.

A record is its length (u64), the masked CRC-32C of these eight bytes, the data, and the masked CRC-32C of the data
(https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/summary/writer/record_writer.py). TensorBoard
computes the checksums byte after byte in Python, which takes longer than everything else about a scalar; here
numpy does it for many records together, a byte of each at a time.
"""

import struct
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed
# Fewer or longer records are not worth the numpy calls.
_FEWEST, _LONGEST = 32, 512


@cache
def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


def frame(records: Sequence[bytes]) -> bytes:
    """Returns `records` framed, one after the other."""
    short = [record for record in records if len(record) <= _LONGEST]
    sums = iter(_checksums(short) if len(short) >= _FEWEST else [_checksum(record) for record in short])
    parts: list[bytes] = []
    for record in records:
        total = next(sums) if len(record) <= _LONGEST else _checksum(record)
        parts += (_header(len(record)), record, struct.pack("<I", total))
    return b"".join(parts)


def _checksum(data: bytes) -> int:
    return int(masked_crc32c(data))


@cache
def _header(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", _checksum(packed))


def _checksums(records: Sequence[bytes]) -> list[int]:
    """Returns the masked checksum of each record, none longer than `_LONGEST`."""
    lengths = np.array([len(record) for record in records])
    order = np.argsort(-lengths, kind="stable")  # so that those with a byte at some place come first
    width = int(lengths.max(initial=0))
    rows = np.frombuffer(b"".join(record.ljust(width, b"\0") for record in records), np.uint8)
    columns = np.ascontiguousarray(rows.reshape(len(records), width)[order].T)
    reaching = (lengths[:, None] > np.arange(width)).sum(axis=0)
    table, state = _table(), np.full(len(records), 0xFFFFFFFF, np.uint32)
    for column, count in zip(columns, reaching, strict=True):
        now = state[:count]
        state[:count] = table[(now ^ column[:count]) & 255] ^ now >> 8
    plain = ~state
    masked = (plain >> 15 | plain << 17) + np.uint32(0xA282EAD8)
    found = np.empty_like(masked)
    found[order] = masked
    return [int(total) for total in found]
