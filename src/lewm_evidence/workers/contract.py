"""Runs a worker: `spec.json` in, JSON lines out, and a clear end whatever happens to it.

The worker is a child in a process group of its own, with HOME, temporary files and working directory of its own. Its
lines (`run_started`, `heartbeat`, `checkpoint_saved`, `run_completed`, `run_failed`, `run_cancelled`) are read while
it runs; a worker that falls silent, or takes too long, is ended.
"""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lewm_evidence.canonical import canonical_json, write_atomic
from lewm_evidence.errors import StageError
from lewm_evidence.probe.process import child, last_lines

NATIVE = "native"
_POLL = 0.2
_SILENCE = 120.0  # heartbeats come every 5 s, also while the worker trains
_TAIL = 12
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass
class Told:
    """What a worker said of its run.

    Attributes:
        sources: by common tag where its values are found, `{tags, estimator, scale}`; None where there are none.
        checkpoints: payloads of `checkpoint_saved`, in order.
        ended: `completed`, `failed` or `cancelled`; None while it runs.
        reason: why it failed, in its own words.
    """

    sources: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    ended: str | None = None
    reason: str = ""

    def take(self, line: Mapping[str, Any]) -> None:
        """Takes in one line."""
        event, payload = line["event"], line["payload"]
        if event == "run_started":
            self.sources = payload["sources"]
        elif event == "checkpoint_saved":
            self.checkpoints.append(payload)
        elif event in ("run_completed", "run_failed", "run_cancelled"):
            self.ended = event.removeprefix("run_")
            self.reason = payload.get("reason", "")


def ulid(key: str) -> str:
    """Returns the ULID whose 80 random bits are the run key `key` (20 hex) and whose time is 0."""
    number = int(key, 16)
    return "".join(_CROCKFORD[number >> 5 * place & 31] for place in reversed(range(26)))


class Worker:
    """A worker that runs.

    Attributes:
        told: what it has said so far.
        folder: its working directory.
    """

    def __init__(
        self,
        run_id: str,
        process: subprocess.Popen[bytes],
        logs: Path,
        time_limit: float,
    ) -> None:
        self.told = Told()
        self.folder = logs / NATIVE
        self._run_id, self._process, self._log = run_id, process, logs / "worker.log"
        self._limit = time_limit
        self._lines = _lines(logs / "telemetry.jsonl")
        self._start = self._heard = time.monotonic()

    def look(self) -> bool:
        """Takes in what it has said since and returns whether it still runs.

        Raises:
            StageError: when it is silent or takes too long.
        """
        over = self._process.poll() is not None
        for line in self._lines:
            if line is None:
                break
            self._heard = time.monotonic()
            self.told.take(line)
        if not over:
            now = time.monotonic()
            _still_alive(self._run_id, self._log, now - self._start, now - self._heard, self._limit)
        return not over

    def finish(self) -> Told:
        """Waits for its end and returns what it said.

        Raises:
            StageError: when it does not complete; the message says how it ended and shows the last lines of its log.
        """
        while self.look():
            time.sleep(_POLL)
        if self.told.ended != "completed" or self._process.returncode != 0:
            how = _how_it_ended(self.told, self._process.returncode)
            raise StageError(f"worker {self._run_id} {how}; its last lines:\n{_tail(self._log)}")
        return self.told


@contextmanager
def started(
    command: list[str | Path],
    run_id: str,
    config: Mapping[str, Any],
    logs: Path,
    threads: int,
    time_limit: float,
) -> Iterator[Worker]:
    """Starts a worker; it is ended on the way out. The arguments are those of `run_worker`."""
    native = logs / NATIVE
    shutil.rmtree(native, ignore_errors=True)  # what an interrupted run left would be taken for this one's
    native.mkdir(parents=True)
    spec = logs / "spec.json"
    write_atomic(spec, canonical_json({"run_id": run_id, "config": config}))
    # In the system's own temporary folder: some workers keep sockets there, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="lewm-evidence-", ignore_cleanup_errors=True) as private:
        around = surroundings(Path(private), threads)
        words, telemetry = [*command, spec.absolute()], logs / "telemetry.jsonl"
        with child(words, telemetry, around, errors=logs / "worker.log", cwd=native) as process:
            yield Worker(run_id, process, logs, time_limit)


def run_worker(
    command: list[str | Path],
    run_id: str,
    config: Mapping[str, Any],
    logs: Path,
    threads: int,
    time_limit: float,
) -> Told:
    """Runs a worker to its end and returns what it said.

    Args:
        command: its Python and its adapter.
        run_id: its label.
        config: what it is asked to do.
        logs: folder for `spec.json`, `telemetry.jsonl`, `worker.log` and the worker's own logs, `native/`.
        threads: for its numerical libraries.
        time_limit: seconds after which it is ended.

    Raises:
        StageError: when it does not complete; the message says how it ended and shows the last lines of its log.
    """
    with started(command, run_id, config, logs, threads, time_limit) as worker:
        return worker.finish()


def surroundings(private: Path, threads: int) -> dict[str, str]:
    """Returns the variables that keep a foreign program to folders of its own, made below `private`."""
    for name in ("home", "tmp"):
        (private / name).mkdir()
    count = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return count | {
        "HOME": str(private / "home"),
        "TMPDIR": str(private / "tmp"),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "disabled",
        "SDL_VIDEODRIVER": "dummy",
        "MPLBACKEND": "Agg",
    }


def _lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yields each complete line as it is appended, and None whenever there is no more for now."""
    with path.open("rb") as file:
        rest = b""
        while True:
            rest += file.read()
            *whole, rest = rest.split(b"\n")
            for text in whole:
                yield json.loads(text)
            yield None


def _still_alive(run_id: str, log: Path, running: float, silent: float, limit: float) -> None:
    fault = f"took more than {limit:g} s" if running > limit else f"said nothing for {silent:.0f} s"
    if running > limit or silent > _SILENCE:
        raise StageError(f"worker {run_id} {fault} and was ended; its last lines:\n{_tail(log)}")


def _how_it_ended(told: Told, status: int) -> str:
    if told.ended == "failed":
        return f"failed ({told.reason})"
    if told.ended == "cancelled":
        return "was cancelled"
    if status == -signal.SIGKILL:
        return "was killed (signal 9); the system does that when memory runs out"
    if status < 0:
        return f"crashed ({signal.Signals(-status).name})"
    return f"ended with status {status} without a word"


def _tail(log: Path) -> str:
    return last_lines(log, _TAIL)
