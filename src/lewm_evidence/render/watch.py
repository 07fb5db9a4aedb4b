"""Shows runs in TensorBoard from outside, while other processes write them."""

import json
from collections.abc import Iterator
from pathlib import Path

from lewm_evidence.errors import EvidenceError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.manifest import MANIFEST
from lewm_evidence.records.schema import RECORD, Timing
from lewm_evidence.records.tail import Tail
from lewm_evidence.render.live_tensorboard import LiveWriter
from lewm_evidence.render.tensorboard import EventWriter, write_record


class Watcher:
    """Watches the unfinished runs below a folder; what has a manifest when it is first seen is not watched.

    A run appears as `results/<stage>-<key>` and `timing/<stage>-<key>`. Its event files hold what rendering it will
    give, but for what only a finished run has: configuration, charts, graph, latents.

    Args:
        place: a run directory, or a folder of them such as `runs`.
        logdir: the folder that TensorBoard shows.
    """

    def __init__(self, place: Path, logdir: Path) -> None:
        self._place, self._logdir = place, logdir
        self._runs: dict[Path, tuple[_Writer, _Writer]] = {}
        self._seen: set[Path] = set()

    def turn(self) -> int:
        """Writes what is new and returns how many lines that were."""
        for run in self._found():
            name = f"{run.parent.name}-{run.name[:8]}"
            results, timing = (self._logdir / part / name for part in ("results", "timing"))
            self._runs[run] = (_Writer(run / "records.jsonl", results), _Writer(run / "timing.jsonl", timing))
        return sum(self._turn(run) for run in list(self._runs))

    def _turn(self, run: Path) -> int:
        try:
            return sum(writer.turn() for writer in self._runs[run])
        except (EvidenceError, OSError, ValueError, KeyError):
            # Damaged, or removed a moment ago: it is followed no more, what was seen stays, and the others go on.
            for writer in self._runs.pop(run):
                writer.close()
            return 0

    def close(self) -> None:
        """Closes every event file."""
        for writers in self._runs.values():
            for writer in writers:
                writer.close()

    def _found(self) -> Iterator[Path]:
        specs = (
            [self._place / "spec.json"] if (self._place / "spec.json").exists() else self._place.glob("*/*/spec.json")
        )
        for run in sorted(spec.parent for spec in specs):
            if run not in self._seen:
                self._seen.add(run)
                if not (run / MANIFEST).exists():
                    yield run


class _Writer:
    """Writes the lines of a file of records as they are appended, also when a training went back to a resume point."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._file, self._folder = file, folder
        self._tail = Tail(file)
        self._writer: EventWriter = EventWriter(folder)

    def turn(self) -> int:
        lines = self._tail.lines()
        if self._tail.went_back:
            # TensorBoard forgets what was recorded after the resume point, and has what lies before it.
            last = max((int(json.loads(line)["step"]) for line in lines), default=-1)
            self.close()
            self._writer = LiveWriter(self._folder, purge_step=last + 1)
            return 0
        for line in lines:
            self._write(line)
        return len(lines)

    def _write(self, line: bytes) -> None:
        if self._file.name == "timing.jsonl":
            timing = Timing.model_validate_json(line)
            self._writer.scalar(f"timing/{timing.tag}", timing.value, timing.step)
        else:
            write_record(self._writer, FinishedRun(self._file.parent), RECORD.validate_json(line))

    def close(self) -> None:
        self._writer.__exit__(None, None, None)
