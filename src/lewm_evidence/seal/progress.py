"""Long work: a line now and then, several files at once, and hashing beside reading and writing."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

AnyItem = TypeVar("AnyItem")
AnyResult = TypeVar("AnyResult")
# Hashing leaves Python's lock, but the disk is soon the limit.
_WORKERS = 4
_EVERY = 2.0
# Handing a smaller block to another thread costs more than hashing it.
_SMALL = 1 << 16


class Progress:
    """Says how many bytes of how many are done, at most every two seconds.

    What is said depends on the machine's speed, so it goes to a person and to no file.
    """

    def __init__(self, what: str, total: int, say: Callable[[str], None] | None) -> None:
        self._what, self._total, self._say = what, total, say
        self._done = 0
        self._next = time.monotonic() + _EVERY

    def add(self, size: int) -> None:
        """Counts `size` more bytes."""
        self._done += size
        if self._say is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            self._say(f"{self._what}: {self._done / 1e6:.0f} of {self._total / 1e6:.0f} MB")


def each(function: Callable[[AnyItem], AnyResult], items: Iterable[AnyItem]) -> list[AnyResult]:
    """Returns what `function` gives for each item, in order, several at a time; the first error in order is raised."""
    workers = min(_WORKERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


class Digest:
    """A sha256 that is computed in another thread, one block behind; use as a `with` block."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None
        self.size = 0

    def __enter__(self) -> "Digest":
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._pool.shutdown()

    def update(self, block: bytes) -> None:
        """Takes the next block, which must not change afterwards."""
        self._wait()
        self.size += len(block)
        if len(block) < _SMALL:
            self._digest.update(block)
        else:
            self._pending = self._pool.submit(self._digest.update, block)

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def hexdigest(self) -> str:
        """Returns the digest of all blocks."""
        self._wait()
        return self._digest.hexdigest()
