"""Zstandard around an archive. Another compressor may give other bytes for the same archive, so these bytes address
nothing: the digest is always that of the tar inside.

The reader takes one frame with a checksum, no dictionary and a small window, and nothing after it.
"""

import importlib
import io
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from lewm_evidence.errors import BundleError, RefusedError
from lewm_evidence.seal.tree import BLOCK, open_plain

MAGIC = b"\x28\xb5\x2f\xfd"
# Measured: level 3 makes a small bundle of records and pages 5 % smaller and one of tensors and pictures not at all,
# for which it takes nearly twice as long.
LEVEL = 1
# 8 MiB, what every decoder supports (RFC 8878, section 3.1.1.1.2); the writer stays far below.
_WINDOW_LOG = 23


def _library() -> Any:
    # By name at run time: which of the two it is must not show in a run key.
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BundleError(f"a .zst archive needs {name}; install lewm-evidence again") from error


class Writer:
    """Writes one compressed frame to a new file; leaving the `with` block ends it."""

    def __init__(self, path: Path) -> None:
        library = _library()
        options = {
            library.CompressionParameter.compression_level: LEVEL,
            library.CompressionParameter.checksum_flag: 1,
        }
        self._compressor = library.ZstdCompressor(options=options)
        self._file = path.open("xb")

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            self._file.write(self._compressor.flush())
        self._file.close()

    def write(self, data: bytes) -> int:
        """Compresses `data` and returns its length."""
        self._file.write(self._compressor.compress(data))
        return len(data)


class _Frame(io.RawIOBase):
    """The content of one frame, decompressed as it is read."""

    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__()
        library = _library()
        window = library.DecompressionParameter.window_log_max
        self._file, self._error = file, library.ZstdError
        self._decompressor = library.ZstdDecompressor(options={window: _WINDOW_LOG})

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data and not self._decompressor.eof:
            data = self._next(len(buffer))
        if not data:
            self._check_end()
        buffer[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        more = self._file.read(BLOCK) if self._decompressor.needs_input else b""
        if self._decompressor.needs_input and not more:
            raise RefusedError("the compressed archive ends in the middle")
        try:
            found: bytes = self._decompressor.decompress(more, max_length=size)
        except self._error as error:
            raise RefusedError(f"the compressed archive cannot be read: {error}") from error
        return found

    def _check_end(self) -> None:
        if self._decompressor.unused_data or self._file.read(1):
            raise RefusedError("the compressed archive goes on after its end")

    def close(self) -> None:
        self._file.close()
        super().close()


def open_archive(path: Path) -> io.BufferedReader:
    """Opens the plain file at `path` for reading, decompressing it when it starts as a frame does.

    Raises:
        RefusedError: it is a link or a special file, or a frame of another kind than `Writer` makes. What is wrong
            further on shows while reading.
    """
    file = open_plain(path)
    start = file.peek(5)[:5]
    if start[:4] != MAGIC:
        return file
    # Of the frame's description: a checksum at the end, the reserved bit clear, no dictionary.
    if len(start) < 5 or start[4] & 0b00001111 != 0b00000100:
        file.close()
        raise RefusedError("the compressed archive has no checksum, or wants a dictionary")
    return io.BufferedReader(_Frame(file), BLOCK)
