"""The terminal report, driven by Textual's pilot as a person would, and what it shows."""

import asyncio
from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from lewm_evidence.records import Run
from lewm_evidence.tui.app import Report

SIZE = (140, 45)


def write_gate(run: Run, passed: bool = True) -> None:
    """Writes the checks of a gate."""
    run.event("gate/check", 0, name="error of LeWM minus that of random actions", bound=-50.0, value=-90.5, passed=True)
    run.event("gate/check", 1, name="error of LeWM minus that of no action", bound=0.0, value=-70.0, passed=passed)


def drive(report: Report, steps: Callable[[Pilot[int]], Awaitable[None]], size: tuple[int, int] = SIZE) -> None:
    """Shows the report on a terminal of `size` and takes the steps of a person."""

    async def run() -> None:
        async with report.run_test(size=size, notifications=True) as pilot:
            await settled(pilot, report)
            await steps(pilot)

    asyncio.run(run())


def screen(report: Report) -> str:
    """Returns the letters on the screen."""
    rows = ("".join(segment.text for segment in row) for row in report.screen._compositor.render_strips())
    return "\n".join(row.rstrip() for row in rows)


def pane(report: Report, name: str) -> str:
    """Returns what a pane says, also where it is scrolled or on another page."""
    return str(report.screen_stack[0].query_one(f"#{name}").render())


def told(report: Report) -> list[tuple[str, str]]:
    """Returns the notifications so far, each with its severity."""
    return [(notice.severity, notice.message) for notice in report._notifications]


async def until(pilot: Pilot[int], ready: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits until something is so, or fails."""
    async with asyncio.timeout(seconds):
        while not ready():
            await pilot.pause(0.05)


async def settled(pilot: Pilot[int], report: Report) -> str:
    """Returns the letters on the screen once it is drawn and no longer changes."""
    seen = ["", screen(report)]
    async with asyncio.timeout(30):
        while not seen[-1].splitlines()[-1].strip() or len(set(seen[-3:])) > 1:
            await pilot.pause(0.03)
            seen.append(screen(report))
    return seen[-1]
