"""The report in a terminal (extra `tui`): on finished runs, on running ones, and on a bundle.

It needs neither torch nor Snakemake: a reviewer may have no more than a bundle.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lewm_evidence.errors import EvidenceError

if TYPE_CHECKING:
    from lewm_evidence.tui.app import Report

PAGES = ("report", "replay", "training", "events", "verification")


def show_report(place: Path, *, summary: Path | None = None, stage_delay: float = 0.35, animation: bool = True) -> int:
    """Shows the report until the person quits, and returns the exit status.

    Args:
        place: a folder of runs, one run directory of the stage showcase, a bundle folder or a bag.
        summary: the JSON that `lewm-evidence showcase` wrote; its blocks `tensorboard` and `rerun` say what can be
            opened. Without it, that is what was rendered from the runs.
        stage_delay: seconds between two stages of the pipeline as they appear.
        animation: whether they appear one after another, and anything moves by itself.

    Raises:
        EvidenceError: when there is nothing to show, no terminal to show it in, or Textual is missing.
    """
    report = make_report(place, summary=summary, stage_delay=stage_delay if animation else 0.0)
    return _run(report, animation)


def watch(runs: Path) -> int:
    """Shows the runs below a folder while they are made; raises `EvidenceError` as `show_report` does."""
    return _run(make_report(runs, live=True), animation=True)


def make_report(place: Path, *, summary: Path | None = None, stage_delay: float = 0.0, live: bool = False) -> "Report":
    """Returns the report, not shown yet; `live` waits for runs where there are none."""
    try:
        from lewm_evidence.tui.app import Report
        from lewm_evidence.tui.runs import Runs, find, read_summary
    except ModuleNotFoundError as error:
        needed = f"the terminal report needs the package {error.name!r}"
        raise EvidenceError(f"{needed}; install lewm-evidence[tui]") from error
    runs = Runs(find(place))
    runs.turn()
    if not runs.chosen and not live:
        reason = next(iter(runs.faults.values()), "give a folder of runs, a showcase run, or a bundle folder")
        raise EvidenceError(f"{place} holds no run that can be shown: {reason}")
    return Report(runs, read_summary(summary) if summary else None, stage_delay=stage_delay, live=live)


def _run(report: "Report", animation: bool) -> int:
    # Textual draws on the error output, so that what a program prints can still go to a file.
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise EvidenceError("the terminal report needs a terminal; `lewm-evidence summary` prints what a bundle says")
    if not animation:
        report.animation_level = "none"
    try:
        report.run()
        return report.return_code or 0
    finally:
        report.viewers.close()
