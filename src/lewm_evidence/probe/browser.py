"""A page as Chromium draws it, without a window and without leaving this machine."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.process import child
from lewm_evidence.probe.screenshot import LIMIT, NotHereError, Shot, check_not_blank

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    *("--headless=new", "--disable-gpu", "--disable-3d-apis", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--disable-default-apps", "--disable-breakpad", "--no-proxy-server", "--password-store=basic"),
    # No name but this machine's address can be looked up, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# Milliseconds that pass for the page; they take less when it only waits, and stand still while it loads.
_PAGE_TIME = 10_000


def shoot(url: str, log: Path, size: tuple[int, int] = (1920, 1200)) -> Shot:
    """Returns the page at `url` once it has come to rest.

    Args:
        url: an address on 127.0.0.1.
        log: file for the browser's output.
        size: width and height of the window in px.

    Raises:
        NotHereError: when there is no Chromium.
        ProbeError: when it draws nothing in time.
    """
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise NotHereError("there is no Chromium on this machine (looked for chromium on PATH)")
    with tempfile.TemporaryDirectory(prefix="lewm-evidence-", ignore_cleanup_errors=True) as home:
        command = [program, *_QUIET, f"--window-size={size[0]},{size[1]}"]
        command.append(f"--virtual-time-budget={_PAGE_TIME}")
        if os.geteuid() == 0:  # its sandbox cannot be set up by root
            command.append("--no-sandbox")
        end = time.monotonic() + LIMIT
        while True:
            png = _drawn([*command, url], Path(home), log, end)
            try:
                check_not_blank(png)
            except ProbeError:
                # The page's clock may run out before its data are drawn; there is nothing to wait for then.
                if time.monotonic() < end - LIMIT / 2:
                    continue
            return Shot(png, _version(program))


def _drawn(command: list[str], home: Path, log: Path, end: float) -> bytes:
    picture = home / "page.png"
    profile = tempfile.mkdtemp(dir=home)
    own = {"HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile}
    with child([*command, f"--user-data-dir={profile}", f"--screenshot={picture}"], log, own) as process:
        try:
            process.wait(max(end - time.monotonic(), 1))
        except subprocess.TimeoutExpired as error:
            raise ProbeError(f"Chromium did not draw the page within {LIMIT:.0f} s") from error
    if not picture.exists():
        raise ProbeError(f"Chromium ended with status {process.returncode} and drew nothing")
    return picture.read_bytes()


def _version(program: str) -> str:
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "Chromium"
    return " ".join(told.split()[:2])
