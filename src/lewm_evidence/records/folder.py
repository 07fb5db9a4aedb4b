"""What lies in a folder of runs: finished, running, and left behind. Looks only."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from lewm_evidence.canonical import sha256_bytes
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
        state: `running` while a job holds its lock, `unfinished` when none does and there is no manifest, `unreadable`
            also when its place is not what its spec says: a copy under another name, or no run at all.
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
    paths = [spec.parent for spec in folder.glob("*/*/spec.json") if _KEY.fullmatch(spec.parent.name)]
    # A link may lead anywhere, so it is no run.
    found = [look(path) for path in paths if not path.is_symlink() and not path.parent.is_symlink()]
    there = [run for run in found if run.files]  # somebody else may prune too
    return sorted(there, key=lambda run: (run.stage, -run.changed, run.name))


def look(path: Path) -> FoundRun:
    """Returns what is known of the run directory at `path`."""
    # A running job may take away what was listed a moment ago, which os.walk passes over.
    entries = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    facts = [fact for entry in entries if (fact := _facts(entry)) is not None]
    run = FinishedRun(path)
    state: State = "unreadable"
    inputs: list[str] = []
    result = None
    try:
        inputs = sorted(run.spec.inputs.values())
        finished = (path / MANIFEST).exists()
        result = run.manifest.result_digest if finished else None
        if run.name == f"{run.spec.stage}/{sha256_bytes((path / 'spec.json').read_bytes())[: len(path.name)]}":
            state = "finished" if finished else "unfinished" if free(path) else "running"
    except (OSError, StageError, ValidationError):
        pass
    size, changed = sum(size for size, _ in facts), max((time for _, time in facts), default=0.0)
    return FoundRun(path, state, len(facts), size, changed, tuple(inputs), result)


def _facts(path: Path) -> tuple[int, float] | None:
    try:
        fact = path.lstat()
    except OSError:
        return None
    return fact.st_size, fact.st_mtime


def free(path: Path) -> bool:
    """Says whether no job is making the run at `path`; others may look at the same time."""
    with _lock(path, fcntl.LOCK_SH) as held:
        return held


def alone(path: Path) -> AbstractContextManager[bool]:
    """Yields whether nobody is making or looking at the run at `path`; if so, none begins until the block ends."""
    return _lock(path, fcntl.LOCK_EX)


@contextmanager
def _lock(path: Path, kind: int) -> Iterator[bool]:
    try:
        file = (path / "logs" / "lock").open("rb")
    except FileNotFoundError:
        yield True
        return
    with file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
