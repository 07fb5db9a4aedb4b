"""What this machine has for making and checking evidence. Looks only; opens no connection."""

import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_OLDEST = (3, 11)
_NEEDED_DISK = 2 << 30
_BASE = ("pydantic", "pyyaml", "cryptography", "shtab")


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis; `remedy` is empty when nothing is wrong."""

    name: str
    found: str
    remedy: str = ""


def findings(folder: Path) -> Iterator[Finding]:
    """Yields what was found, for evidence that is to be made in `folder`."""
    yield _python()
    yield _packages("base", _BASE, "needed for everything; reinstall lewm-evidence")
    yield _packages("pipeline", tuple(_pipeline()), "needed to make evidence, not to verify it; run `make setup`")
    yield _device()
    free = shutil.disk_usage(folder).free
    remedy = "" if free >= _NEEDED_DISK else f"free some space: a run takes up to {_NEEDED_DISK >> 30} GiB"
    yield Finding("disk", f"{free / 2**30:.1f} GiB free in {folder.absolute()}", remedy)
    yield Finding("cores", f"{_cores()} usable")
    textual = _version("textual")
    missing = "no textual; install lewm-evidence[tui] for the report in the terminal"
    yield Finding("terminal", f"textual {textual}" if textual else missing)
    yield _browser()
    yield Finding("key", _key(folder))


def lines(found: Iterable[Finding]) -> Iterator[str]:
    """Yields the diagnosis for people."""
    for finding in found:
        yield f"{finding.name:<10} {finding.found}"
        if finding.remedy:
            yield f"{'':<10} -> {finding.remedy}"


def _browser() -> Finding:
    from lewm_evidence.probe.browser import NAMES

    found = next(filter(None, map(shutil.which, NAMES)), None)
    return Finding("browser", found or "no Chromium; evidence will hold no screenshots of TensorBoard and Rerun")


def _key(folder: Path) -> str:
    from lewm_evidence.seal.keys import PROJECT_KEY, VARIABLE

    if os.environ.get(VARIABLE):
        return f"the one that {VARIABLE} gives"
    own = folder / PROJECT_KEY
    told = "is there" if own.exists() else "is made when something is first sealed"
    return f"the project's own, {PROJECT_KEY}, {told}, unless the configuration names another (seal.key)"


def _python() -> Finding:
    new_enough = sys.version_info >= _OLDEST
    wanted = ".".join(map(str, _OLDEST))
    remedy = "" if new_enough else f"install Python {wanted} or newer"
    return Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}", remedy)


def _pipeline() -> Iterator[str]:
    """Yields the names of the distributions that the extra `pipeline` asks for."""
    # Without metadata (a bare checkout on the path) there is nothing to ask for.
    known = _version("lewm-evidence") is not None
    for requirement in (metadata.requires("lewm-evidence") or []) if known else []:
        if "extra == 'pipeline'" in requirement.replace('"', "'"):
            yield "".join(letter if letter.isalnum() or letter in "-_." else " " for letter in requirement).split()[0]


def _packages(group: str, packages: tuple[str, ...], why: str) -> Finding:
    versions = {name: _version(name) for name in packages}
    missing = sorted(name for name, version in versions.items() if version is None)
    found = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()) if version is not None)
    remedy = f"missing: {', '.join(missing)}; {why}" if missing else ""
    return Finding(group, found or "nothing", remedy)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _device() -> Finding:
    from lewm_evidence.keys import device_class

    if _version("torch") is None:
        return Finding("device", "unknown without torch")
    device = device_class("auto")
    return Finding("device", f"{device}, which `device: auto` takes")


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
