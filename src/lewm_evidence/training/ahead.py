"""Work done ahead of time: what comes next is made while the current step runs."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(make: Callable[[int], T], steps: range, threads: int) -> Iterator[T]:
    """Yields `make(step)` for each of `steps`, in order, made by `threads` threads at most twice as many steps early.

    `make` must depend on its argument alone: then the results do not depend on timing. Threads are enough, because
    what takes long in a batch (copies of pictures, page faults) runs without the interpreter's lock.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for step in steps:
                waiting.append(pool.submit(make, step))
                if len(waiting) == 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
