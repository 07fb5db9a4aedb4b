"""Rerun's own program, as a child that listens on this machine only and ends with its parent."""

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from subprocess import Popen
from urllib.parse import quote

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.process import child, last_lines, listens

HOST = "127.0.0.1"
_START_LIMIT = 30.0


def program() -> Path:
    """Returns the program itself; the `rerun` command is a wrapper that leaves it alive when stopped."""
    spec = find_spec("rerun_cli")
    path = Path(spec.origin).parent / "rerun" if spec and spec.origin else None
    if path is None or not path.exists():
        raise ProbeError("the rerun program is not installed; install lewm-evidence[rerun]")
    return path


def free_port() -> int:
    """Returns a port that nothing listens on now."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def free_or(port: int) -> int:
    """Returns `port`, or a free one when something holds it."""
    try:
        with socket.create_server((HOST, port)):
            return port
    except OSError:
        return free_port()


def proxy(port: int) -> str:
    """Returns the address under which Rerun's server at `port` takes and gives recordings."""
    return f"rerun+http://{HOST}:{port}/proxy"


def page(page_port: int, port: int) -> str:
    """Returns the address of the web viewer at `page_port` that shows what the server at `port` gives."""
    return f"http://{HOST}:{page_port}/?url={quote(proxy(port), safe='')}"


@contextmanager
def running(arguments: Sequence[str | Path], ports: Sequence[int] = ()) -> Iterator["Popen[bytes]"]:
    """Runs the program until the block ends, with usage reports switched off, bound to loopback.

    Args:
        arguments: its arguments.
        ports: on which it must listen before the block begins.

    Raises:
        ProbeError: when it is not installed, ends early or leaves a port to someone else.
    """
    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as folder:
        log = Path(folder) / "rerun.log"
        command = [program(), "--bind", HOST, *arguments]
        with child(command, log, _silent(Path(folder))) as process:
            for port in ports:
                _wait_for(process, port, log)
            yield process


def _silent(folder: Path) -> dict[str, str]:
    settings = folder / "config" / "rerun" / "analytics.json"
    settings.parent.mkdir(parents=True)
    told = {"analytics_enabled": False, "analytics_id": "", "metadata": {}}
    settings.write_text(json.dumps(told | {"config_file_path": str(settings), "data_dir_path": str(folder / "data")}))
    # HOME stays: the window system keeps its permissions there.
    return {"XDG_CONFIG_HOME": str(folder / "config"), "XAUTHORITY": os.environ.get("XAUTHORITY", _permissions())}


def _permissions() -> str:
    return str(Path.home() / ".Xauthority")


def _wait_for(process: "Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + _START_LIMIT
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ProbeError(f"rerun ended before it listened on port {port}; its last lines: {last_lines(log)}")
        if answers(port) and listens(process.pid, port) is not False:
            return
        time.sleep(0.05)
    held = "is held by another process" if answers(port) else f"was not opened within {_START_LIMIT:.0f} s"
    raise ProbeError(f"port {port} {held}; its last lines: {last_lines(log)}")


def answers(port: int) -> bool:
    """Says whether something listens on the port of this machine."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
