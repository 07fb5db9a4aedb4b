"""The table beside the paper's numbers: right figures, and every difference named."""

import csv
from pathlib import Path
from typing import Any

import pytest

import stage_runs
from lewm_evidence.keys import import_closure
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.stages import tables

REACHED = {"lewm": 8, "untrained": 1, "oracle": 9, "replay": 10, "random": 0, "noop": 0}
N = 10
PAPER = {"num_samples": 300, "iterations": 30, "elites": 30, "horizon": 5, "execute": 5}


def inputs(runs: Path, planner: dict[str, int] | None = None, **starts: Any) -> dict[str, FinishedRun]:
    """Returns made-up runs behind a table; LeWM reaches the first 8 of 10 starts."""
    source = starts.pop("source", "scripted")

    def write_starts(out: Run) -> None:
        out.event("starts/protocol", source=source, seed=31415)

    def play(*methods: str) -> Any:
        def write(out: Run) -> None:
            for method in methods:
                for number in range(N):
                    reached = number < REACHED[method]
                    out.scalar(f"{out.spec.stage}/{method}/reached", reached, number)
                    out.scalar(f"{out.spec.stage}/{method}/final_error_px", 10 if reached else 110, number)
            for number, seconds in enumerate([3.0, 1.0, 1.0, 1.0]):
                out.timing("success/solve", seconds, number)

        return write

    def write_probing(out: Run) -> None:
        out.event("probing/protocol", episodes=50, held_out=10)
        for model in ("lewm", "untrained"):
            for tag in ("linear/agent_position/mse", "straightness"):
                for end, value in (("", 0.25), ("_low", 0.125), ("_high", 0.5)):
                    out.scalar(f"probing/{model}/{tag}{end}", value)

    def write_surprise(out: Run) -> None:
        for condition, p in (("teleport", 1e-9), ("colour", 0.25)):
            for name, value in (("difference", 2), ("difference_low", 1), ("difference_high", 3), ("n", 40), ("p", p)):
                out.scalar(f"surprise/{condition}/{name}", value)

    config = {"episodes": 50, "goal_offset": 25, "budget": 50, **starts}
    made: dict[str, Any] = {
        "starts": (write_starts, {"starts": config}),
        "success": (play("lewm", "untrained"), {"planner": planner or PAPER}),
        "baselines": (play("oracle", "replay", "random", "noop"), {}),
        "probing": (write_probing, {}),
        "surprise": (write_surprise, {}),
    }
    found = {stage: stage_runs.run_stage(runs, stage, write, config) for stage, (write, config) in made.items()}
    return {"checkpoint": stage_runs.checkpoint(runs), **found}


def make(runs: Path, **changes: Any) -> FinishedRun:
    """Runs the stage on them."""
    config = {"world": "pusht", "seed": 1, "bootstrap": 400}
    return stage_runs.run_stage(runs, "tables", tables.run, config, **inputs(runs, **changes))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished table."""
    return make(tmp_path_factory.mktemp("runs"))


def rows(run: FinishedRun) -> dict[str, dict[str, Any]]:
    """Returns the rows by name."""
    return {str(event.fields["row"]): dict(event.fields) for event in run.events("tables/row")}


def test_figures_follow_from_the_outcomes(done: FinishedRun) -> None:
    """8 of 10 with its Wilson interval, 7 points more than untrained by 7 discordant starts, errors as means."""
    found = rows(done)
    lewm = found["success/lewm"]
    assert (lewm["value"], lewm["low"], lewm["high"]) == pytest.approx((80, 49.0, 94.3), abs=0.1)
    assert (lewm["n"], lewm["interval"], lewm["paper"]) == (10, "Wilson", "96.0 ± 2.83")
    apart = found["success_minus/untrained"]
    assert (apart["value"], apart["p"]) == pytest.approx((70, 2 / 2**7))
    assert apart["low"] <= 70 <= apart["high"]
    assert found["error/lewm"]["value"] == pytest.approx(30)
    assert found["error_minus/noop"]["value"] == pytest.approx(-80)
    assert found["probe/linear/agent_position/mse"]["paper"] == "0.052 ± 0.149"
    assert found["surprise/teleport"]["p"] == 1e-9
    assert done.last("tables/success/lewm") == 80


def test_files_hold_every_row(done: FinishedRun) -> None:
    """The CSV in full precision, the Markdown for people, both without timing; planning times apart."""
    folder = done.path / "views" / "results"
    with (folder / "tables.csv").open(newline="") as file:
        written = {row["row"]: row for row in csv.DictReader(file)}
    assert written.keys() == rows(done).keys()
    assert float(written["success/lewm"]["low"]) == rows(done)["success/lewm"]["low"]
    text = (folder / "tables.md").read_text()
    assert "| success, LeWM | 80 % | 49 to 94 | 10 |  | 96.0 ± 2.83 |" in text
    assert all(row["label"] in text for row in rows(done).values())
    assert "second" not in text
    assert "| cold | 3.000 |" in (done.path / "views" / "planning_time.md").read_text()
    times = {timing.tag: timing.value for timing in done.timings()}
    assert (times["planning/cold"], times["planning/p50"], times["planning/p95"]) == (3.0, 1.0, 1.0)


def differs(run: FinishedRun) -> str:
    """Returns every sentence about what is not the paper's."""
    return "\n".join(str(event.fields["text"]) for event in run.events("tables/differs"))


def test_every_difference_is_named(done: FinishedRun, tmp_path: Path) -> None:
    """Checkpoint, data, number of starts, goals, seed and planner, each only when it differs."""
    same = differs(done)
    assert "Another checkpoint" in same and "scripted (seed 31415)" in same
    assert not any(word in same for word in ("instead of", "Goals lie"))
    other = differs(
        make(
            tmp_path, planner={**PAPER, "iterations": 8}, episodes=100, goal_offset=10, choice_seed=7, source="dataset"
        )
    )
    for words in (
        "100 starts instead of 50",
        "Goals lie 10 steps ahead with a budget of 50",
        "seed 7 instead of 42",
        "iterations 8 instead of 30",
        "training episodes included",
    ):
        assert words in other
    assert "scripted" not in other


def test_no_torch_is_needed() -> None:
    """The table is arithmetic on records."""
    assert "torch" not in import_closure("lewm_evidence.stages.tables").packages
