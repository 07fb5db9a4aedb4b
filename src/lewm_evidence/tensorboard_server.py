"""TensorBoard as a child that shows a folder on this machine only and ends with its parent."""

import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from lewm_evidence.canonical import sha256_bytes
from lewm_evidence.errors import ConfigError, ProbeError
from lewm_evidence.probe.process import child, last_lines
from lewm_evidence.probe.tensorboard import Server, check_identity
from lewm_evidence.state import state_folder
from lewm_evidence.viewer import HOST, answers

PORT = 6006
READY_LIMIT = 60.0
POLL_INTERVAL = 0.5
# TensorBoard's own limits hide points and most frames of a run; 0 does not mean all.
_SAMPLES = "scalars=10000,histograms=1000,images=1000,text=1000"
_TURN = 1.0  # seconds between two looks at what a run has recorded


class Logs(NamedTuple):
    """Where TensorBoard's output and its error output go."""

    output: Path
    errors: Path


class Started(NamedTuple):
    """A TensorBoard that was started, whether it answers yet or not."""

    server: Server
    logs: Logs

    def ready(self) -> bool:
        """Says whether it answers; raises `ProbeError` when it has ended, or another program answers instead."""
        process = self.server.process
        if process.poll() is not None:
            raise ProbeError(
                f"TensorBoard ended with status {process.returncode} before it served anything; "
                f"its last lines: {last_lines(self.logs.errors)}"
            )
        if not answers(self.server.port):
            return False
        check_identity(self.server)
        return True

    def too_late(self, limit: float) -> ProbeError:
        """Returns the error that it did not answer within `limit` seconds."""
        return ProbeError(
            f"TensorBoard does not listen on port {self.server.port} after {limit:g} s; "
            f"its last lines: {last_lines(self.logs.errors)}"
        )

    def wait(self, limit: float, interval: float) -> None:
        """Returns once it answers; raises `ProbeError` when it ends or takes longer than `limit` seconds."""
        end = time.monotonic() + limit
        while not self.ready():
            if time.monotonic() > end:
                raise self.too_late(limit)
            time.sleep(min(interval, max(end - time.monotonic(), 0.01)))


@contextmanager
def started(place: Path, port: int, *, follow: bool = False, grace: float = 5.0) -> Iterator[Started]:
    """Runs TensorBoard until the block ends; the block begins at once, before it answers.

    Args:
        place: a log directory; with `follow`, a run directory or a folder of them.
        port: where to listen.
        follow: show the runs that are not finished, as they record.
        grace: seconds it has to end by itself, before it is killed.

    Raises:
        ConfigError: when TensorBoard is not installed.
        ProbeError: when it cannot be started.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError("TensorBoard is not installed; install lewm-evidence[tensorboard]")
    logs, title = _logs(place.resolve(), port), f"TensorBoard {secrets.token_hex(4)}"
    with _followed(place) if follow else nullcontext(place.resolve()) as logdir:
        command = [sys.executable, "-P", "-m", "tensorboard.main", "--logdir", str(logdir)]
        command += ["--host", HOST, "--port", str(port), "--window_title", title]
        command += ["--load_fast", "false", "--samples_per_plugin", _SAMPLES]
        command += ["--reload_interval", "2"] if follow else []
        with child(command, logs.output, errors=logs.errors, grace=grace) as process:
            yield Started(Server(port, process, logdir, title), logs)


def _logs(place: Path, port: int) -> Logs:
    # Not beside the event files: a run or bundle with another file in it is no longer what was sealed.
    name = sha256_bytes(str(place).encode("utf-8", "surrogateescape"))[:12]
    folder = state_folder() / "tensorboard" / f"{name}-{port}"
    return Logs(folder / "tensorboard.stdout.log", folder / "tensorboard.stderr.log")


@contextmanager
def _followed(place: Path) -> Iterator[Path]:
    """Gives a log directory to which the unfinished runs below `place` are written until the block ends."""
    from lewm_evidence.render.watch import Watcher

    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as folder:
        follower, stop = Watcher(place, Path(folder)), Event()
        follower.turn()

        def follow() -> None:
            while not stop.wait(_TURN):
                follower.turn()

        thread = Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield Path(folder).resolve()
        finally:
            stop.set()
            thread.join()
            follower.close()
