"""The pictures of a recorded dataset, decoded once into one file that training maps into memory.

The file lies below `logs/`: it is a cache of what the dataset's own sha256 stands for, and is never sealed.
"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lewm_evidence.canonical import sha256_file
from lewm_evidence.errors import DataError

FRAMES = "logs/frames.npy"


def write_frames(run: Path, episodes: Iterable[NDArray[np.uint8]], count: int, size: int) -> str:
    """Writes `count` pictures as uint8 (F, size, size, 3) and returns the sha256 of the file.

    Args:
        run: the run directory.
        episodes: pictures of one episode after the other, uint8 (n, H, W, 3).
        count: how many they are, F.
        size: side to shrink them to, by averages over areas.
    """
    path = run / FRAMES
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.lib.format.open_memmap(path, "w+", np.uint8, (count, size, size, 3))
    at = 0
    for pictures in episodes:
        for picture in pictures:
            frames[at] = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
            at += 1
    if at != count:
        raise DataError(f"the dataset promises {count} pictures and holds {at}")
    frames.flush()
    del frames
    return sha256_file(path)


def open_frames(run: Path, sha256: str) -> NDArray[np.uint8]:
    """Returns the pictures (F, H, W, 3) of a run, mapped into memory; raises `DataError` when they are not there."""
    path = run / FRAMES
    again = f"remove the folder {run.parent.name}/{run.name} of the runs, so that it is made again"
    try:
        found: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"the decoded pictures {path} cannot be read; {again}") from error
    if sha256_file(path) != sha256:
        raise DataError(f"the decoded pictures {path} were changed after they were made; {again}")
    return found
