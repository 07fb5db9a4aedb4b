"""The page on which the episode is replayed: the table, what was considered, and what it was predicted to cost."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.timer import Timer

from lewm_evidence.tui import episode
from lewm_evidence.tui.episode import CHOSEN, COLOURS, GOAL, SOURCES, Decision
from lewm_evidence.tui.runs import LiveRun
from lewm_evidence.tui.text import BAD, DIM, GOOD, bar, clean, label, lines, number, sparkline, table
from lewm_evidence.tui.widgets import UNREADABLE, Pane, Picture

_STEP = 0.1  # seconds of an environment step, the simulator's own pace
_SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


# The space after each sign does not break a line.
_LEGEND = label(
    "drawn",
    Content(" ").join(
        Content.styled(name, _hex(colour))
        for name, colour in (
            *((f"━\u00a0{source}", colour) for source, colour in zip(SOURCES, COLOURS, strict=True)),
            ("━\u00a0chosen", CHOSEN),
            ("◯\u00a0goal", GOAL),
        )
    ),
)


class Replay(Horizontal):
    """The page itself.

    Attributes:
        decisions: those of the episode so far.
    """

    DEFAULT_CSS = """
    Replay #costs, Replay #candidates { text-wrap: nowrap; text-overflow: ellipsis; }
    Replay Picture { width: auto; max-width: 60%; height: 1fr; }
    Replay VerticalScroll { width: 1fr; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.decisions: list[Decision] = []
        self._showcase: LiveRun | None = None
        self._step, self._speed = 0, _SPEEDS.index(1.0)
        self._player: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lays it out."""
        yield Picture()
        with VerticalScroll():
            yield Pane("Tabletop", "tabletop")
            yield Pane("Costs of every decision", "costs")
            yield Pane("Candidates of this decision", "candidates")

    def show(self, showcase: LiveRun | None) -> None:
        """Shows what a showcase has recorded so far."""
        self._showcase, self.decisions = showcase, []
        if showcase is None:
            for name in ("tabletop", "costs", "candidates"):
                self._pane(name, lambda: Content.styled("No showcase is here yet.", DIM))
            self.query_one(Picture).draw(None)
        else:
            self._pane("costs", lambda: self._read(showcase))
            self._show_step()

    def _pane(self, name: str, make: Callable[[], Content]) -> None:
        self.query_one(f"#{name}", Pane).make(make)

    def _read(self, showcase: LiveRun) -> Content:
        self.decisions = episode.decisions(showcase)
        return costs(self.decisions, None)

    def _show_step(self) -> None:
        frames = self._showcase.images("showcase/frame") if self._showcase else {}
        if self._showcase is None or not frames:
            self._pane("tabletop", lambda: Content.styled("nothing was recorded yet", DIM))
            return
        showcase, last = self._showcase, max(frames)
        self._step = min(max(self._step, 0), last)
        decision = episode.at(self.decisions, self._step)
        playing = f"{'▶ plays' if self._player else 'space plays'} at {_SPEEDS[self._speed]:g}×"
        self._pane("tabletop", lambda: step(showcase, self._step, last, decision, playing))
        if decision is not None:
            self._pane("costs", lambda: costs(self.decisions, decision))
        waits = Content.styled("this decision is being made", DIM)
        self._pane("candidates", lambda: candidates(decision) if decision else waits)
        self._draw(showcase, frames[self._step].path if self._step in frames else "", decision)

    def _draw(self, showcase: LiveRun, frame: str, decision: Decision | None) -> None:
        try:
            path, geometry = showcase.file(frame), showcase.arrays("showcase/geometry")[0]
            episode.draw(path, 8, geometry, decision)  # so that what cannot be drawn is told here
        except UNREADABLE as error:
            reason = f"✘ This cannot be drawn: {type(error).__name__}: {clean(error)}"
            self._pane("tabletop", lambda: Content.styled(reason, BAD))
            self.query_one(Picture).draw(None)
        else:
            self.query_one(Picture).draw(lambda side: _drawn(path, side, geometry, decision))

    def play(self) -> None:
        """Plays the episode, or pauses it; at its end it starts over."""
        if self._player is not None:
            self._pause()
        else:
            if self._step >= self._last():
                self._step = 0
            self._player = self.set_interval(_STEP / _SPEEDS[self._speed], self._advance)
        self._show_step()

    def _pause(self) -> None:
        if self._player is not None:
            self._player.stop()
            self._player = None

    def _advance(self) -> None:
        self._step += 1
        if self._step >= self._last():
            self._pause()
        self._show_step()

    def _last(self) -> int:
        return max(self._showcase.images("showcase/frame"), default=0) if self._showcase else 0

    def go(self, by: int) -> None:
        """Goes to a step before or after."""
        self._pause()
        self._step += by
        self._show_step()

    def go_decision(self, by: int) -> None:
        """Goes to where a decision before or after was made."""
        now = episode.at(self.decisions, self._step)
        if now is not None:
            wanted = self.decisions[min(max(now.number + by, 0), len(self.decisions) - 1)]
            self.go(wanted.first - self._step)

    def change_speed(self, by: int) -> None:
        """Plays faster or slower."""
        self._speed = min(max(self._speed + by, 0), len(_SPEEDS) - 1)
        if self._player is not None:
            self._pause()
            self._player = self.set_interval(_STEP / _SPEEDS[self._speed], self._advance)
        self._show_step()


def _drawn(*what: Any) -> NDArray[np.uint8] | None:
    # The file may go between two looks.
    with suppress(*UNREADABLE):
        return episode.draw(*what)
    return None


def candidates(decision: Decision) -> Content:
    """Returns the candidates of a decision by source, then one by one, the best first."""
    costs, source = decision.costs, decision.source
    low, high = float(costs.min()), float(costs.max())
    rows: list[list[Content | str]] = [["source", "n", "best", "mean", "worst"]]
    for index, name in enumerate(SOURCES):
        mine = costs[source == index]
        if len(mine):
            row = [name, str(len(mine)), number(mine.min()), number(mine.mean()), number(mine.max())]
            won = index == source[decision.winner]
            rows.append([Content.styled(cell, "bold") for cell in row] if won else list(row))
    each: list[list[Content | str]] = [["rank", "", "source", "cost", ""]]
    for rank, index in enumerate(np.argsort(costs, kind="stable"), 1):
        won = index == decision.winner
        share = (float(costs[index]) - low) / ((high - low) or 1)
        row = [f"{rank}", f"#{index}", SOURCES[source[index]], number(float(costs[index])), bar(share, 12)]
        each.append([Content.styled(cell, f"bold {GOOD}") for cell in [*row[:4], "◀ chosen"]] if won else list(row))
    return lines(table(rows, right=(1, 2, 3, 4)), "", table(each, right=(0, 1, 3)))


def costs(decisions: list[Decision], current: Decision | None) -> Content:
    """Returns how CEM's elites become cheaper at each decision, and what the candidates cost."""
    rows: list[list[Content | str]] = [["", "winner", "best", "worst", "elites", "by iteration"]]
    for decision in decisions:
        elites = decision.elite_costs.mean(axis=1)
        here = "▶" if decision is current else " "
        change = f"{number(float(elites[0]))} → {number(float(elites[-1]))}" if len(elites) else ""
        spread = [number(float(value)) for value in (decision.costs.min(), decision.costs.max())]
        winner = SOURCES[decision.source[decision.winner]]
        rows.append([f"{here}{decision.number + 1}", winner, *spread, sparkline(elites.tolist(), 12), change])
    return table(rows, right=(2, 3)) if decisions else Content.styled("no decision has been made yet", DIM)


def step(run: LiveRun, at: int, last: int, decision: Decision | None, playing: str) -> Content:
    """Returns what is known of one step of the episode."""
    errors = run.scalars("showcase/error_px")
    state = [f"{name} {number(run.scalars(f'showcase/{name}')[at])}" for name in _state_names(run, at)]
    rows = [
        Content.assemble((f"step {at} of {last}", "bold"), f"  {playing}"),
        label("error", f"{errors[at]:.1f} px to the goal" if at in errors else "not recorded"),
    ]
    if decision is None:
        rows.append(label("decision", "being made"))
    else:
        cost = number(float(decision.costs[decision.winner]))
        won = f"{SOURCES[decision.source[decision.winner]]} #{decision.winner}, cost {cost}"
        rows.append(label("decision", f"{decision.number + 1} at step {decision.first}: {won}"))
    series = [errors[key] for key in sorted(errors)]
    rows += [label("over time", _marked(series, at, last)), label("state", " · ".join(state)), _LEGEND]
    return lines(*rows)


def _state_names(run: LiveRun, at: int) -> list[str]:
    names = ("agent_x", "agent_y", "block_x", "block_y", "block_angle")
    return [name for name in names if at in run.scalars(f"showcase/{name}")]


def _marked(series: list[float], at: int, last: int) -> Content:
    width = min(len(series), 24)
    drawn = sparkline(series, width)
    place = min(at * width // (last + 1), width - 1)
    return Content.assemble(drawn[:place], (drawn[place : place + 1], "reverse"), drawn[place + 1 :])
