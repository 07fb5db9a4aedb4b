"""A recording as the real Rerun viewer draws it, without a window and on loopback."""

import subprocess
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.process import child, last_lines, listens
from lewm_evidence.probe.rerun import binary, quiet
from lewm_evidence.probe.screenshot import LIMIT, NotHereError, Shot, check_not_blank
from lewm_evidence.viewer import answers, free_port

# The viewer plays from the first step: by now it has loaded everything and moved along.
_SETTLE = 2.0


def shoot(recording: Path, logs: Path, size: tuple[int, int] = (1920, 1200)) -> Shot:
    """Returns what the viewer shows when it opens `recording`.

    Args:
        recording: the `.rrd` file.
        logs: folder for the viewer's output and settings.
        size: width and height of the window in px.

    Raises:
        NotHereError: when this Rerun cannot be driven, or there is no Vulkan driver to draw with.
        ProbeError: when the viewer does not start, or shows nothing or an error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from rerun.experimental import ViewerClient
    except ImportError as error:
        raise NotHereError("this version of Rerun cannot be driven without a window; it takes 0.41") from error
    port = free_port()
    command: list[str | Path] = [
        binary(),
        "--headless",
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--hide-welcome-screen",
    ]
    command += ["--window-size", f"{size[0]}x{size[1]}"]
    log = logs / "rerun-viewer.log"
    with child(command, log, quiet(logs) | {"RERUN_APP_ONLY": "true"}) as process:
        _wait_until_it_listens(process, port, log)
        try:
            client = ViewerClient.connect(f"rerun+http://127.0.0.1:{port}/proxy")
            client.open(str(recording.resolve()))
            png = _settled(client)
            views = client.get_state().views
        except (RuntimeError, ConnectionError, ValueError) as error:
            raise ProbeError("the Rerun viewer could not be asked for a picture") from error
    complaints = [f"{view.name}: {view.reports[0]}" for view in views if view.reports]
    if complaints:
        raise ProbeError(f"the Rerun viewer cannot draw everything: {complaints[0]}")
    return Shot(png, f"Rerun {version('rerun-sdk')}")


def _settled(client: Any) -> bytes:
    """Returns the first picture after the time to settle that is not blank, or the last before the limit."""
    time.sleep(_SETTLE)
    end = time.monotonic() + LIMIT / 2
    while True:
        png: bytes = client.take_screenshot()
        try:
            check_not_blank(png)
        except ProbeError:
            if time.monotonic() < end:
                time.sleep(0.5)
                continue
        return png


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + LIMIT / 2
    while time.monotonic() < end:
        if process.poll() is not None:
            if "adapter" in last_lines(log, 40):
                raise NotHereError("there is no Vulkan driver on this machine (Mesa's lavapipe would do)")
            raise ProbeError(f"the Rerun viewer ended with status {process.returncode} before it could be asked")
        if answers(port) and listens(process.pid, port) is not False:
            return
        time.sleep(0.1)
    raise ProbeError(f"the Rerun viewer did not listen within {LIMIT / 2:.0f} s")
