"""The gate: passes a good evaluation, refuses others in words."""

from pathlib import Path

import pytest

import stage_runs
from lewm_evidence.errors import GateError
from lewm_evidence.keys import import_closure
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.stages import evaluate, gate


def evaluation(runs: Path, random: float, noop: float) -> FinishedRun:
    """Returns an evaluation whose upper limits against the baselines are `random` and `noop`."""

    def write(out: Run) -> None:
        for baseline, high in (("random", random), ("noop", noop)):
            out.scalar(f"evaluate/{baseline}/mean_final_error_px", 200.0)
            for end, value in (("", high - 20), ("_low", high - 40), ("_high", high)):
                out.scalar(f"evaluate/lewm_minus_{baseline}/final_error_px{end}", value)
        out.scalar("evaluate/lewm/mean_final_error_px", 180.0 + random)

    return stage_runs.run_stage(runs, "evaluate", write, {"random": random, "noop": noop})


def checks(runs: Path) -> list[dict[str, object]]:
    """Returns what the only gate run below `runs` recorded, finished or not."""
    (path,) = (runs / "gate").iterdir()
    return [event.fields for event in FinishedRun(path).events("gate/check")]


def test_passes_and_records(tmp_path: Path) -> None:
    """A checkpoint that beats both baselines passes; value, bound and verdict are recorded."""
    stage_runs.run_stage(tmp_path, "gate", gate.run, {}, evaluate=evaluation(tmp_path, -131.0, -90.0))
    assert [(c["value"], c["bound"], c["passed"]) for c in checks(tmp_path)] == [
        (-131.0, -50.0, True),
        (-90.0, 0.0, True),
    ]


@pytest.mark.parametrize(("random", "noop", "words"), [(-50.0, -90.0, "random"), (-131.0, 0.0, "still")])
def test_refuses_in_a_sentence(tmp_path: Path, random: float, noop: float, words: str) -> None:
    """At the bound is not below it; the message holds the figures, and every check is recorded before."""
    with pytest.raises(GateError, match=rf"not shown to beat .*{words}.*must be below .*records\.jsonl"):
        stage_runs.run_stage(tmp_path, "gate", gate.run, {}, evaluate=evaluation(tmp_path, random, noop))
    assert sorted(bool(c["passed"]) for c in checks(tmp_path)) == [False, True]


def test_bound_comes_from_config(tmp_path: Path) -> None:
    """A stricter bound refuses what the default passes."""
    inputs = {"evaluate": evaluation(tmp_path, -131.0, -90.0)}
    with pytest.raises(GateError, match="-200"):
        stage_runs.run_stage(tmp_path, "gate", gate.run, {"lewm_minus_random_px": -200.0}, **inputs)


def test_both_bounds_can_be_loosened(tmp_path: Path) -> None:
    """To look at a checkpoint that is not good; the record says with which bounds."""
    loose = {"lewm_minus_random_px": 900.0, "lewm_minus_noop_px": 900.0}
    stage_runs.run_stage(tmp_path, "gate", gate.run, loose, evaluate=evaluation(tmp_path, 300.0, 200.0))
    assert [(c["bound"], c["passed"]) for c in checks(tmp_path)] == [(900.0, True), (900.0, True)]


def test_untrained_checkpoint_is_refused(tmp_path: Path) -> None:
    """An untrained checkpoint does not pass on the real evaluation."""
    inputs = {"checkpoint": stage_runs.checkpoint(tmp_path)}
    done = stage_runs.run_stage(tmp_path, "evaluate", evaluate.run, stage_runs.EVALUATE, **inputs)
    with pytest.raises(GateError):
        stage_runs.run_stage(tmp_path, "gate", gate.run, {}, evaluate=done)


def test_refusal_leaves_no_manifest(tmp_path: Path) -> None:
    """A refused run is not finished, so nothing can be sealed from it."""
    with pytest.raises(GateError):
        stage_runs.run_stage(tmp_path, "gate", gate.run, {}, evaluate=evaluation(tmp_path, 0.0, 0.0))
    assert not list((tmp_path / "gate").glob("*/manifest.json"))


def test_needs_no_torch() -> None:
    """The gate is a comparison of numbers and imports nothing that computes."""
    assert "torch" not in import_closure("lewm_evidence.stages.gate").packages
