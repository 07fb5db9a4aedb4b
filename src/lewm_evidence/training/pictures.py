"""Pictures of simulated episodes: drawn once, into a file that training maps into memory.

The file is a cache below a run's `logs/`, never sealed. Only the pages in use take memory, and the kernel may drop
them; a resumed run draws nothing again.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lewm_evidence import worlds
from lewm_evidence.errors import StageError
from lewm_evidence.records.job import say

Pictures = NDArray[np.uint8]


def drawn(path: Path, world: str, states: NDArray[np.float32], size: int, processes: int = 1) -> Pictures:
    """Returns the pictures of `states` (E, N + 1, S), uint8 (E, N + 1, size, size, 3), by the world's renderer.

    Args:
        path: where they are, or are to be drawn; the file appears there only when it is complete.
        world: name of the simulator that draws.
        states: what to draw.
        size: side of a picture in pixels.
        processes: share the work; any number gives the same bytes.

    Raises:
        StageError: when a drawing process died.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partly = path.with_name(f"{path.name}.partly")
        pictures = np.lib.format.open_memmap(partly, "w+", np.uint8, (*states.shape[:2], size, size, 3))
        start = time.perf_counter()
        work = _drawing(world, states, size, processes)
        for episode, frames in enumerate(
            tqdm(work, "pictures", len(states), unit="episode", disable=None, mininterval=0.5)
        ):
            pictures[episode] = frames
        pictures.flush()
        rate = states.shape[0] * states.shape[1] / (time.perf_counter() - start)
        say(f"train: {states.shape[0] * states.shape[1]} pictures drawn, {rate:.0f} per second")
        del pictures
        os.replace(partly, path)  # noqa: PTH105
    found: Pictures = np.load(path, mmap_mode="r")
    return found


def _drawing(world: str, states: NDArray[np.float32], size: int, processes: int) -> Iterator[Pictures]:
    draw = partial(_draw, world, size)
    if processes == 1:
        yield from map(draw, states)
        return
    # Fresh processes, as in collect.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(draw, states, chunksize=4)
        except BrokenProcessPool as error:
            raise StageError("a drawing process died, perhaps for want of memory; use fewer threads") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _draw(world: str, size: int, states: NDArray[np.float32]) -> Pictures:
    simulator = worlds.make(world)
    return np.stack([simulator.draw(state, size) for state in states])
