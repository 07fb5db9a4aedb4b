"""Child processes that never outlive the probe."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from lewm_evidence.errors import ProbeError

# Asks the kernel to kill the process when its parent dies (1 is PR_SET_PDEATHSIG), makes sure that it has not died
# already, then becomes the program. A launcher and not a `preexec_fn`: Python warns about those beside threads.
_LAUNCHER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
_GRACE = 5.0


@contextmanager
def child(
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
    errors: Path | None = None,
    grace: float = _GRACE,
    cwd: Path | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs `command` in a process group of its own and ends the whole group on the way out.

    That holds after an exception, Ctrl-C and SIGTERM; on Linux the child also dies when this process is killed.

    Args:
        command: program and arguments.
        log: file that takes the child's output, overwritten.
        environment: variables added to those of this process.
        errors: file that takes the child's error output; `log` does when left out.
        grace: seconds the child has to end by itself, before it is killed.
        cwd: its working directory; this process's when left out.

    Raises:
        ProbeError: when the program cannot be started.
    """
    if shutil.which(command[0]) is None:
        raise ProbeError(f"{command[0]} is not a program that can be started; is it installed?")
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())] if sys.platform == "linux" else []
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, errors.open("wb") if errors else nullcontext(subprocess.STDOUT) as error_output:
        process = subprocess.Popen(
            [*launcher, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=error_output,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
            cwd=cwd,
        )
    try:
        yield process
    finally:
        _end(process, grace)


def _end(process: "subprocess.Popen[bytes]", grace: float) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Also what the child left behind in its group, and the child itself if a second Ctrl-C came.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_lines(log: Path, count: int = 5) -> str:
    """Returns the last lines of a log for an error message."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "\n".join(lines[-count:]) or "(it printed nothing)"


def listens(group: int, port: int) -> bool | None:
    """Says whether a process of `group`, and no other, listens on `127.0.0.1:port`; `None` if unknown here.

    Read from `/proc`, so known on Linux only.
    """
    table = Path("/proc/net/tcp")
    if not table.exists():
        return None
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    listening = [row for row in rows if row[3] == "0A" and row[1] in _addresses(port)]
    return bool(listening) and {f"socket:[{row[9]}]" for row in listening} <= set(_sockets(group))


def _addresses(port: int) -> set[str]:
    return {f"{host}:{port:04X}" for host in ("0100007F", "00000000")}  # 127.0.0.1 and any, little-endian


def _sockets(group: int) -> Iterator[str]:
    for folder in Path("/proc").glob("[0-9]*"):
        # Processes come and go, and those of other users are closed to us.
        with suppress(OSError):
            if os.getpgid(int(folder.name)) == group:
                yield from (str(entry.readlink()) for entry in (folder / "fd").iterdir())
