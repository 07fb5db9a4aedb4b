"""A line now and then while something long goes on, and several files at once."""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AnyItem = TypeVar("AnyItem")
AnyResult = TypeVar("AnyResult")
# Hashing leaves Python's lock, but the disk is soon the limit.
_WORKERS = 4
_EVERY = 2.0


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
