"""Recorded episodes of others: HDF5 files in the published layout and LeRobot folders, read one episode at a time.

Letters: E episodes, n frames of one episode, F frames of all, S numbers in a state, A in an action.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.canonical import canonical_json, sha256_bytes, sha256_file
from lewm_evidence.data.hdf5 import Hdf5Recording
from lewm_evidence.data.lerobot import LeRobotRecording
from lewm_evidence.data.unpack import PACKED, unpack
from lewm_evidence.errors import DataError


class Recording(Protocol):
    """What every kind of dataset offers; nothing is read before it is asked for.

    Attributes:
        lengths: frames in each episode, int64 (E,).
    """

    lengths: NDArray[np.int64]

    def frames(self, episode: int) -> NDArray[np.uint8]:
        """Returns the pictures of an episode, uint8 (n, H, W, 3)."""

    def actions(self, episode: int) -> NDArray[np.float32]:
        """Returns the actions of an episode, float32 (n, A); row i leads from frame i to the next."""

    def states(self, episode: int) -> NDArray[np.float32] | None:
        """Returns the states of an episode, float32 (n, S), or None when none were recorded."""

    def close(self) -> None:
        """Closes what is open."""


def open_recording(path: Path, camera: str | None = None) -> Recording:
    """Opens the dataset at `path`: a LeRobot folder, an HDF5 file, or an HDF5 file still packed.

    Args:
        path: the folder or file. A packed file is unpacked beside itself first, once.
        camera: which pictures of a LeRobot folder to take; None when it has one camera only.

    Raises:
        DataError: when it is none of these or cannot be read.
    """
    if path.is_dir():
        return LeRobotRecording(path, camera)
    if path.name.endswith(PACKED):
        path = unpack(path)
    if path.suffix in (".h5", ".hdf5"):
        return Hdf5Recording(path)
    raise DataError(f"{path} is neither a LeRobot folder nor named .h5, .hdf5, {' or '.join(PACKED)}")


def identity(path: Path) -> str:
    """Returns the sha256 of a file, or of the listing of a folder: every file's name and sha256, in order."""
    try:
        if not path.is_dir():
            return sha256_file(path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listing = {file.relative_to(path).as_posix(): sha256_file(file) for file in files}
    except OSError as error:
        raise DataError(f"the dataset {path} cannot be read: {error.strerror}") from error
    return sha256_bytes(canonical_json(listing))


__all__ = ["Recording", "identity", "open_recording", "unpack"]
