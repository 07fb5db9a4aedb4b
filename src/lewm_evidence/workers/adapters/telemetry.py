"""The worker's side of the contract: what it was asked comes from `spec.json`, what happens goes out as JSON lines.

Runs in the workers' environments, so it needs nothing but the standard library. One line an event on standard
output: `{"event", "payload", "run_id", "timestamp"}` with sorted keys. What libraries print goes to standard error.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

HEARTBEAT = 5.0


@dataclass(frozen=True)
class Source:
    """Where a common tag's values are found in the worker's own logs.

    Attributes:
        tags: the worker's tags; the first that occurs is taken.
        estimator: what one value is, such as the mean over the last 100 episodes.
        scale: factor to the common meaning; -1 where the worker logs the negative.
    """

    tags: Sequence[str]
    estimator: str
    scale: float = 1.0


class Worker:
    """One run of a worker.

    Attributes:
        run_id: its label, a ULID.
        config: `algo`, `env_id`, `seed`, `total_timesteps`, `hyperparameters`.
        logs: the working directory, where the worker's own logs go.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.run_id: str = spec["run_id"]
        self.config: dict[str, Any] = spec["config"]
        self.logs = Path.cwd()
        # Lines of the contract go out by a private copy of standard output; the public one becomes standard error.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def emit(self, event: str, **payload: Any) -> None:
        """Sends one line."""
        line = {"event": event, "payload": payload, "run_id": self.run_id, "timestamp": time.time()}
        with self._lock:
            self._out.write(json.dumps(line, sort_keys=True) + "\n")
            self._out.flush()

    def checkpoint(self, path: Path, step: int) -> None:
        """Says that the library saved a checkpoint at `path`, below the working directory."""
        self.emit("checkpoint_saved", path=str(path.relative_to(self.logs)), step=step, bytes=path.stat().st_size)

    def option(self, name: str, default: Any) -> Any:
        """Returns a hyperparameter, or `default`."""
        return self.config["hyperparameters"].get(name, default)


class _CancelledError(BaseException):
    pass


def main(run: Callable[[Worker], None], sources: Callable[[str], Mapping[str, Source | None]]) -> None:
    """Runs `run` as the program `ADAPTER spec.json` and reports how it ended.

    Args:
        run: trains, writing TensorBoard files below the working directory.
        sources: from the algorithm's name, where each common tag is found; None where the algorithm has none.
    """
    worker = Worker(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _cancel)
    found = sources(worker.config["algo"])
    worker.emit("run_started", sources={tag: source and vars(source) for tag, source in sorted(found.items())})
    threading.Thread(target=_beat, args=(worker,), daemon=True).start()
    try:
        run(worker)
    except _CancelledError:
        worker.emit("run_cancelled")
        status = 143
    except MemoryError:
        worker.emit("run_failed", reason="out of memory")
        traceback.print_exc()
        status = 1
    except Exception as error:  # noqa: BLE001 (whatever the library raises is the answer to how the run ended)
        worker.emit("run_failed", reason=f"{type(error).__name__}: {error}")
        traceback.print_exc()
        status = 1
    else:
        worker.emit("run_completed")
        status = 0
    sys.stderr.flush()
    # Some libraries leave threads behind that would keep the process.
    os._exit(status)


def _cancel(number: int, frame: FrameType | None) -> None:
    raise _CancelledError


def _beat(worker: Worker) -> None:
    while True:
        time.sleep(HEARTBEAT)
        worker.emit("heartbeat", cpu_seconds=round(time.process_time(), 1))
