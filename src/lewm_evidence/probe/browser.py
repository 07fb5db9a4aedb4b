"""Pages as Chromium draws them, without a window and without leaving this machine.

Chromium is driven through two pipes with the DevTools protocol (https://chromedevtools.github.io/devtools-protocol):
the page itself says when there is something to see, which no waiting time does.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.process import child
from lewm_evidence.probe.screenshot import LIMIT, NotHereError, Shot

NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    *("--headless=new", "--disable-gpu", "--disable-3d-apis", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--disable-default-apps", "--disable-breakpad", "--no-proxy-server", "--password-store=basic"),
    # No name but this machine's address can be looked up, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
# Chromium listens on descriptor 3 and answers on 4.
_PIPES = 'exec 3<"$1" 4>"$2"; shift 2; exec "$@"'
# Drawn in the last moment before the picture: fades end and fonts settle.
_SETTLE = 1.0
# TensorBoard's time series page: cards are there, and none waits for its data.
CARDS = "document.querySelectorAll('card-view').length > 0 && !document.querySelector('card-view mat-spinner')"


def shoot(url: str, log: Path, size: tuple[int, int] = (1920, 1560), ready: str = CARDS) -> Shot:
    """Returns the page at `url` once it says that it is ready.

    Args:
        url: an address on 127.0.0.1.
        log: file for the browser's output.
        size: width and height of the window in px.
        ready: JavaScript that is true when there is something to see.

    Raises:
        NotHereError: when there is no Chromium.
        ProbeError: when it does not start, or the page is not ready in time.
    """
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise NotHereError("there is no Chromium on this machine (looked for chromium on PATH)")
    with _browser(program, log) as browser:
        browser.open(url, size)
        while not browser.page("Runtime.evaluate", expression=ready)["result"].get("value"):
            if browser.left() <= _SETTLE:
                raise ProbeError(f"the page was not ready within {LIMIT:.0f} s")
            time.sleep(0.2)
        time.sleep(_SETTLE)
        png = base64.b64decode(browser.page("Page.captureScreenshot")["data"])
    return Shot(png, _version(program))


@contextmanager
def _browser(program: str, log: Path) -> Iterator["_Browser"]:
    with tempfile.TemporaryDirectory(prefix="lewm-evidence-", ignore_cleanup_errors=True) as home:
        pipes = [Path(home) / name for name in ("commands", "answers")]
        for pipe in pipes:
            os.mkfifo(pipe)
        command = ["sh", "-c", _PIPES, "sh", *map(str, pipes), program, *_QUIET, f"--user-data-dir={home}/profile"]
        if os.geteuid() == 0:  # its sandbox cannot be set up by root
            command.append("--no-sandbox")
        own = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        # For reading and writing, so that opening does not wait for the other side.
        ends = [os.open(pipe, os.O_RDWR | os.O_CLOEXEC) for pipe in pipes]
        try:
            with child([*command, "about:blank"], log, own) as process:
                yield _Browser(process, *ends)
        finally:
            for end in ends:
                os.close(end)


class _Browser:
    """A running Chromium; every request has the same limit, `LIMIT` seconds after the start."""

    def __init__(self, process: "subprocess.Popen[bytes]", commands: int, answers: int) -> None:
        self._process, self._commands, self._answers = process, commands, answers
        self._end = time.monotonic() + LIMIT
        self._asked = 0
        self._received = b""
        self._session: str | None = None

    def left(self) -> float:
        """Returns the seconds that are left."""
        return self._end - time.monotonic()

    def open(self, url: str, size: tuple[int, int]) -> None:
        """Opens a page of `size` px."""
        target = self._ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        self.page(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )
        self.page("Page.navigate", url=url)

    def page(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Returns what the open page answers; raises `ProbeError` when it does not."""
        return self._ask(method, parameters)

    def _ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._next())
            if answer.get("id") == self._asked:
                if "error" in answer:
                    raise ProbeError(f"Chromium refuses {method}: {answer['error'].get('message')}")
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> bytes:
        while b"\0" not in self._received:
            if self._process.poll() is not None:
                raise ProbeError(f"Chromium ended with status {self._process.returncode} and drew nothing")
            if self.left() <= 0:
                raise ProbeError(f"Chromium did not draw the page within {LIMIT:.0f} s")
            if select.select([self._answers], [], [], min(1.0, self.left()))[0]:
                self._received += os.read(self._answers, 1 << 16)
        message, _, self._received = self._received.partition(b"\0")
        return message


def _version(program: str) -> str:
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "Chromium"
    return " ".join(told.split()[:2])
