"""Writes event files while a host program runs: the writers behind `lewm_evidence.tensorboard`.

Only this module imports TensorBoard, so that the bridge can be imported without it.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event as TfEvent
from tensorboard.compat.proto.event_pb2 import SessionLog
from tensorboard.plugins.histogram.summary_v2 import histogram_pb

from lewm_evidence.render.tensorboard import EPOCH, EventWriter


class LiveWriter(EventWriter):
    """Writes a new event file beside those that are there; every value can be read as soon as it is written.

    Like the renderer's, its files depend on what is logged alone: no clock, host or process id.

    Args:
        folder: where the file goes, created if need be.
        suffix: ends the file's name.
        purge_step: TensorBoard forgets what earlier files of the folder hold from this step on.
    """

    def __init__(self, folder: Path, suffix: str = "", purge_step: int | None = None) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._path = _new_file(folder, suffix)
        if purge_step is not None:
            start = SessionLog(status=SessionLog.START)
            for _ in range(2):  # the first of a run is its beginning, only the next one makes TensorBoard forget
                self._write(TfEvent(wall_time=EPOCH + purge_step, step=purge_step, session_log=start))

    def histogram(self, tag: str, values: Iterable[float], step: int) -> None:
        """Writes a sample, binned into 30 buckets of equal width; takes arrays whole."""
        sample = np.asarray(values, dtype=np.float64).ravel()
        self._add(tag, "histogram", step, histogram_pb(tag, sample).value[0])

    def flush(self) -> None:
        """Does nothing: every value is flushed when it is written."""

    def close(self) -> None:
        """Closes the file."""
        self.__exit__(None, None, None)


def _new_file(folder: Path, suffix: str) -> Path:
    for number in itertools.count():
        path = folder / f"events.out.tfevents.{number:010d}.evidence{suffix}"
        try:
            path.open("xb").close()
        except FileExistsError:
            continue
        return path
    raise AssertionError
