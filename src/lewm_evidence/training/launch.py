"""Starts the ranks of a training and ends them, whatever happens.

They stay in the job's process group, so that Ctrl-C and a scheduler's signals reach all of them; on Linux each dies
with the process that started it, also when that one is killed.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from lewm_evidence.errors import StageError
from lewm_evidence.records import Run

_GRACE = 5.0  # seconds a rank has to end by itself
_INTERVAL = 0.05


def launch(out: Run) -> None:
    """Trains `out` with as many ranks as it asks for; raises `StageError` when one of them fails."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        started: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, started)
        for rank in range(out.ranks):
            words = [sys.executable, "-m", "lewm_evidence.training.rank", str(out.path), "--meeting", f"{folder}/store"]
            words += ["--rank", str(rank), "--ranks", str(out.ranks), "--parent", str(os.getpid())]
            words += ["--threads", str(out.threads)]
            log = None if rank == 0 else stack.enter_context(_log(out.path, rank).open("wb"))
            started.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        _wait(out.path, started)


def _log(run: Path, rank: int) -> Path:
    return run / "logs" / f"rank-{rank}.log"


def _wait(run: Path, started: "list[subprocess.Popen[bytes]]") -> None:
    # One rank that fails leaves the others waiting for it for ever.
    while any(process.poll() is None for process in started):
        _check(run, started)
        time.sleep(_INTERVAL)
    _check(run, started)


def _check(run: Path, started: "list[subprocess.Popen[bytes]]") -> None:
    for rank, process in enumerate(started):
        if process.poll():
            said = "" if rank == 0 else f": {_last_line(_log(run, rank))}"
            raise StageError(f"rank {rank} of {len(started)} ended with status {process.returncode}{said}")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def _end(started: "list[subprocess.Popen[bytes]]") -> None:
    for process in started:
        process.terminate()
    deadline = time.monotonic() + _GRACE
    for process in started:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
