"""HDF5 files in the layout of the published LeWM datasets.

Columns over the frames of all episodes, one after the other: `pixels` uint8 (F, H, W, 3), compressed with blosc;
`action` (F, A), NaN where none was taken; optionally `state` (F, S) and `proprio`. `ep_offset` and `ep_len` (E,) say
where each episode begins and how many frames it has.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.data.extra import needed
from lewm_evidence.errors import DataError

COLUMNS = ("pixels", "action", "ep_offset", "ep_len")


class Hdf5Recording:
    """Reads one such file; see `Recording`."""

    def __init__(self, path: Path) -> None:
        needed("hdf5plugin")  # its import lets h5py read blosc
        try:
            self._file: Any = needed("h5py").File(path, "r")
        except OSError as error:
            raise DataError(f"{path} cannot be read as HDF5: {error}") from error
        missing = [name for name in COLUMNS if name not in self._file]
        if missing:
            raise DataError(f"{path} has no column {', '.join(missing)}; it has {', '.join(sorted(self._file))}")
        self._path = path
        self._offsets = self._file["ep_offset"][:].astype(np.int64).ravel()
        self.lengths: NDArray[np.int64] = self._file["ep_len"][:].astype(np.int64).ravel()
        self._check()

    def frames(self, episode: int) -> NDArray[np.uint8]:
        """Returns the pictures of an episode, uint8 (n, H, W, 3)."""
        return np.asarray(self._rows("pixels", episode), np.uint8)

    def actions(self, episode: int) -> NDArray[np.float32]:
        """Returns the actions of an episode, float32 (n, A)."""
        return np.asarray(self._rows("action", episode), np.float32)

    def states(self, episode: int) -> NDArray[np.float32] | None:
        """Returns the states of an episode, float32 (n, S), or None when the file has none."""
        return np.asarray(self._rows("state", episode), np.float32) if "state" in self._file else None

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _rows(self, name: str, episode: int) -> Any:
        start = self._offsets[episode]
        try:
            return self._file[name][start : start + self.lengths[episode]]
        except OSError as error:
            raise DataError(f"{self._path}: {name} of episode {episode} cannot be read: {error}") from error

    def _check(self) -> None:
        pixels, action = self._file["pixels"], self._file["action"]
        if pixels.ndim != 4 or pixels.shape[-1] != 3 or pixels.dtype != np.uint8:
            raise DataError(f"{self._path}: pixels must be uint8 (F, H, W, 3), got {pixels.dtype} {pixels.shape}")
        if action.ndim != 2 or len(action) != len(pixels):
            raise DataError(f"{self._path}: action must be (F, A) with F = {len(pixels)}, got {action.shape}")
        ends = self._offsets + self.lengths
        if len(ends) != len(self._offsets) or (self.lengths < 1).any() or ends.max(initial=0) > len(pixels):
            raise DataError(f"{self._path}: ep_offset and ep_len do not lie within its {len(pixels)} frames")
