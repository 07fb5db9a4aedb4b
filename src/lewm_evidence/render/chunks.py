"""Rerun's chunks, the pieces of a recording, under one name for every version that has them (0.32 or newer)."""

import warnings

try:
    from rerun.chunk import Chunk, LazyChunkStream, RrdReader
except ImportError:
    with warnings.catch_warnings():  # Rerun says that they were not settled then
        warnings.simplefilter("ignore")
        from rerun.experimental import Chunk, LazyChunkStream, RrdReader

__all__ = ["Chunk", "LazyChunkStream", "RrdReader"]
