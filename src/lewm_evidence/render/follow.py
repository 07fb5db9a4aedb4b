"""Shows a run in TensorBoard while it is being made."""

from pathlib import Path
from types import TracebackType
from typing import Self

from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import RECORD
from lewm_evidence.render.tensorboard import EventWriter, write_record


class Follower:
    """Writes the records of a live run as an event file, as soon as `update` is called.

    It starts with what is there. The records of a resumed run are those of the run that was killed, and so are the
    file's bytes: a TensorBoard that was open all the time goes on where it was.

    Args:
        run: the run directory.
        folder: where the event file goes.
    """

    def __init__(self, run: Path, folder: Path) -> None:
        self._run = FinishedRun(run)
        self._records = run / "records.jsonl"
        self._offset = 0
        self._writer = EventWriter(folder)

    def __enter__(self) -> Self:
        self.update()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def update(self) -> None:
        """Writes the records that came since the last call."""
        if not self._records.exists():
            return
        with self._records.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                write_record(self._writer, self._run, RECORD.validate_json(line))
            self._offset = file.tell()
