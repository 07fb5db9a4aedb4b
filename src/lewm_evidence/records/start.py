"""Starts a stage as the pipeline does: as a program of its own, that ends with this one."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

from lewm_evidence.canonical import canonical_json
from lewm_evidence.keys import PACKAGE
from lewm_evidence.probe.process import child, last_lines
from lewm_evidence.records.schema import Spec

_LOOK = 0.05  # seconds between two looks at what a stage says


def start_stage(
    spec: Spec, runs: Path, log: Path, tell: Callable[[str], None], threads: int = 1, cwd: Path | None = None
) -> str | None:
    """Runs a stage to its end and tells each line it says.

    It has a process group of its own, which is ended on the way out, also after Ctrl-C.

    Args:
        spec: what to do.
        runs: folder of all runs, where its inputs are.
        log: file that takes what it says.
        tell: is given each line at once.
        threads: torch threads.
        cwd: its working directory; this process's when left out.

    Returns:
        None when it is done, else its exit status and last lines.
    """
    words = [sys.executable, "-P", "-m", f"{PACKAGE}.stages.{spec.stage}", "--runs", str(runs.absolute())]
    words += ["--threads", str(threads), "--spec", canonical_json(spec.model_dump()).decode().strip()]
    with child(words, log, cwd=cwd) as process:
        for line in _lines(process, log):
            tell(line)
    if process.returncode == 0:
        return None
    return f"exit status {process.returncode}: " + " / ".join(last_lines(log).splitlines())


def _lines(process: "Popen[bytes]", log: Path) -> Iterator[str]:
    rest, ended = "", False
    with log.open(encoding="utf-8", errors="replace") as file:
        while not ended:
            # Asked before the file is read, so that nothing said at the end is missed.
            ended = process.poll() is not None
            *whole, rest = (rest + file.read()).split("\n")
            yield from whole
            if not ended:
                time.sleep(_LOOK)
    if rest:
        yield rest
