"""TensorBoard and Rerun, started from the report and ended with it."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from lewm_evidence import viewer
from lewm_evidence.errors import EvidenceError, ProbeError
from lewm_evidence.tensorboard_server import POLL_INTERVAL, PORT, READY_LIMIT, Started, started
from lewm_evidence.tui.browser import browse
from lewm_evidence.tui.panes import Views

_RERUN_LIMIT = 30.0
_WINDOW_SECONDS = 2.0  # a viewer that cannot open its window has ended by then


class Viewers:
    """What was started, and what there is to tell about it.

    The children are started by the thread of the event loop: on Linux a child ends with the thread that started it.

    Attributes:
        url: where TensorBoard is or will be.
        told: by viewer, what its pane says; nothing before it was started.
    """

    def __init__(self, say: Callable[[str, str], None], changed: Callable[[], None]) -> None:
        """Takes `say(sentence, severity)`, which tells the person something, and what to call when `told` changes."""
        self.url = _address(PORT)
        self.told = {"tensorboard": "", "rerun": ""}
        self._say, self._changed = say, changed
        self._open = {name: ExitStack() for name in self.told}
        self._tensorboard: Started | None = None
        self._shown: tuple[Path, bool] | None = None

    def close(self) -> None:
        """Ends everything that was started."""
        for stack in self._open.values():
            stack.close()

    async def tensorboard(self, views: Views) -> None:
        """Starts TensorBoard, waits until it answers, then opens the browser; tells how it goes."""
        if views.tensorboard is None:
            self._say("No TensorBoard was recorded for this, so there is nothing to start.", "warning")
            return
        if not views.tensorboard.is_dir():
            self._say(f"{views.tensorboard} is not there any more; record it again.", "error")
            return
        running, wanted = self._tensorboard, (views.tensorboard, views.follow)
        if running is None or running.server.process.poll() is not None or self._shown != wanted:
            self._shown = wanted
            await self._start_tensorboard(*wanted)
        elif viewer.answers(running.server.port):
            await self._browse(f"TensorBoard is at {self.url}", self.url)

    async def _start_tensorboard(self, place: Path, follow: bool) -> None:
        stack = self._open["tensorboard"]
        stack.close()
        port = viewer.free_or(PORT)
        self.url = _address(port)
        try:
            self._tensorboard = running = stack.enter_context(started(place, port, follow=follow))
        except (EvidenceError, OSError) as error:
            self._say(str(error), "error")
            return
        taken = "" if port == PORT else f"Port {PORT} is taken. "
        self._tell("tensorboard", f"{taken}starting; its logs: {running.logs.errors.parent}")
        try:
            await _answering(running)
        except ProbeError as error:
            if running is not self._tensorboard:  # ended for the sake of another
                return
            stack.close()
            self._tell("tensorboard", f"did not start; see {running.logs.errors}")
            self._say(f"{error}; its error output is in {running.logs.errors}", "error")
            return
        self._tell("tensorboard", f"{taken}serves; its logs: {running.logs.errors.parent}")
        await self._browse(f"{taken}TensorBoard is at {self.url}", self.url)

    async def rerun(self, views: Views) -> None:
        """Opens the recording in Rerun's viewer: in its window where there is a display, else in the browser."""
        if views.rerun is None or not views.rerun.is_file():
            self._say("No Rerun recording was made of this, so there is nothing to open.", "warning")
            return
        display = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        stack = self._open["rerun"]
        stack.close()
        port, page = viewer.free_port(), viewer.free_port()
        web = [] if display else ["--serve-web", "--web-viewer-port", str(page)]
        try:
            process = stack.enter_context(viewer.running([views.rerun.resolve(), *web, "--port", str(port)]))
        except (EvidenceError, OSError) as error:
            self._say(str(error), "error")
            return
        self._tell("rerun", "starting")
        end = time.monotonic() + (_WINDOW_SECONDS if display else _RERUN_LIMIT)
        while process.poll() is None and time.monotonic() < end and (display or not _both(page, port)):
            await asyncio.sleep(POLL_INTERVAL)
        if process.poll() or not (display or _both(page, port)):
            stack.close()
            self._tell("rerun", "")
            command = f"lewm-evidence open-rerun {views.rerun} --web"
            self._say(f"Rerun's viewer did not open; `{command}` says more.", "error")
        elif display:
            self._tell("rerun", "shown in its own window")
        else:
            address = viewer.page(page, port)
            self._tell("rerun", address)
            await self._browse(f"Rerun is at {address}", address)

    async def _browse(self, sentence: str, url: str) -> None:
        self._say(sentence, "information")
        if not await asyncio.to_thread(browse, url):
            self._say(f"No browser was found; visit {url} yourself.", "warning")

    def _tell(self, name: str, what: str) -> None:
        self.told[name] = what
        self._changed()


def _address(port: int) -> str:
    return f"http://localhost:{port}/"


def _both(page: int, port: int) -> bool:
    return viewer.answers(page) and viewer.answers(port)


async def _answering(running: Started) -> None:
    end = time.monotonic() + READY_LIMIT
    while not await asyncio.to_thread(running.ready):
        if time.monotonic() > end:
            raise running.too_late(READY_LIMIT)
        await asyncio.sleep(POLL_INTERVAL)
