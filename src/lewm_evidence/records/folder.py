"""What lies in a folder of runs: finished, running, and left behind. Looks only."""

import fcntl
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from lewm_evidence.errors import StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.manifest import MANIFEST

State = Literal["finished", "running", "unfinished", "unreadable"]
_KEY = re.compile(r"[0-9a-f]{20}")


@dataclass(frozen=True)
class FoundRun:
    """A run directory as it was found.

    Attributes:
        path: where it is.
        state: `running` while a job holds its lock, `unfinished` when none does and there is no manifest.
        files: how many it holds, console output included.
        size: their bytes.
        changed: when the youngest of them was written, seconds since 1970.
        inputs: `<stage>/<key>` of the runs it was made from.
        result: its result digest, once finished.
    """

    path: Path
    state: State
    files: int
    size: int
    changed: float
    inputs: tuple[str, ...]
    result: str | None

    @property
    def stage(self) -> str:
        """The stage whose run it is."""
        return self.path.parent.name

    @property
    def name(self) -> str:
        """`<stage>/<key>`."""
        return f"{self.stage}/{self.path.name}"


def find_runs(folder: Path) -> list[FoundRun]:
    """Returns the runs below `folder` by stage, the youngest of each first.

    Raises:
        StageError: when `folder` is none.
    """
    if not folder.is_dir():
        raise StageError(f"{folder} is not a folder; give the folder of all runs with --runs")
    # A link may lead anywhere, so it is no run.
    paths = [spec.parent for spec in folder.glob("*/*/spec.json") if not spec.parent.is_symlink()]
    found = [look(path) for path in paths if _KEY.fullmatch(path.name)]
    return sorted(found, key=lambda run: (run.stage, -run.changed, run.name))


def look(path: Path) -> FoundRun:
    """Returns what is known of the run directory at `path`."""
    # A running job may take away what was listed a moment ago.
    facts = [fact for entry in path.rglob("*") if (fact := _facts(entry)) is not None]
    run = FinishedRun(path)
    state: State = "unreadable"
    inputs: list[str] = []
    result = None
    try:
        inputs = sorted(run.spec.inputs.values())
        finished = (path / MANIFEST).exists()
        result = run.manifest.result_digest if finished else None
        state = "finished" if finished else "unfinished" if _free(path) else "running"
    except (StageError, ValidationError):
        pass
    sizes, times = zip(*facts, strict=True)
    return FoundRun(path, state, len(sizes), sum(sizes), max(times), tuple(inputs), result)


def _facts(path: Path) -> tuple[int, float] | None:
    try:
        fact = path.lstat()
    except FileNotFoundError:
        return None
    return (fact.st_size, fact.st_mtime) if not stat.S_ISDIR(fact.st_mode) else None


def _free(path: Path) -> bool:
    with alone(path) as free:
        return free


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Yields whether no job is making the run at `path`; if so, none begins until the block ends."""
    lock = path / "logs" / "lock"
    if not lock.exists():
        yield True
        return
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
