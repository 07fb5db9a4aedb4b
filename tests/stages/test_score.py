"""Scoring without a simulator: what is computed, what is skipped and why."""

from pathlib import Path

import numpy as np
import pytest
import torch

import stage_runs
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.records import FinishedRun
from lewm_evidence.stages import score

CONFIG = {"seed": 3, "planner": stage_runs.PLANNER}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A scored checkpoint of a world that has no simulator here."""
    runs = tmp_path_factory.mktemp("runs")
    return stage_runs.run_stage(runs, "score", score.run, CONFIG, checkpoint=stage_runs.checkpoint(runs, "reacher"))


def test_what_was_recorded_is_what_the_model_computes(done: FinishedRun) -> None:
    """The readable model, loaded again, agrees on latents and costs; what computed is told."""
    arrays = {
        name: torch.from_numpy(value) for name, value in done.arrays("arrays/score/model/00000.safetensors").items()
    }
    model = load_checkpoint(done.path.parents[1] / done.spec.inputs["checkpoint"] / "checkpoint")
    latents = model.encode(arrays["pictures"])
    costs = model.cost_from_latents(latents[0], latents[1], arrays["candidates"])
    torch.testing.assert_close(latents, arrays["latents"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(costs, arrays["costs"], rtol=1e-5, atol=0)
    (event,) = done.events("score/planner")
    assert str(event.fields["path"]).endswith("-fp32")
    assert np.isfinite(arrays["plan"].numpy()).all()


def test_it_scores_again_and_says_whether_that_was_equal(
    done: FinishedRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same questions have the same answers on this machine; a model whose answers drift is told as such."""

    def repeats(run: FinishedRun) -> dict[str, object]:
        (event,) = run.events("score/repeats")
        return dict(event.fields)

    assert repeats(done) == {"repeats": score.REPEATS, "equal": True}
    assert sum(timing.tag == "latency/cost" for timing in done.timings()) == score.REPEATS
    exact = score.FastLeWM.cost_from_latents
    drift = iter(range(1000))
    monkeypatch.setattr(score.FastLeWM, "cost_from_latents", lambda *given: exact(*given) + 1e-3 * next(drift))
    fetched = stage_runs.checkpoint(tmp_path, "reacher")
    assert repeats(stage_runs.run_stage(tmp_path, "score", score.run, CONFIG, checkpoint=fetched))["equal"] is False


def test_what_needs_the_simulator_is_a_row_with_its_reason(done: FinishedRun) -> None:
    """Nothing is silently absent."""
    rows = {event.fields["stage"]: event.fields["reason"] for event in done.events("score/skipped")}
    assert {"showcase", "evaluate", "gate"} <= rows.keys()
    assert all("no simulator of reacher" in str(reason) for reason in rows.values())


def test_it_repeats_and_the_seed_matters(done: FinishedRun, tmp_path: Path) -> None:
    """Equal arguments give equal results; another seed gives others."""
    inputs = {"checkpoint": stage_runs.checkpoint(tmp_path, "reacher")}
    again = stage_runs.run_stage(tmp_path, "score", score.run, CONFIG, **inputs)
    other = stage_runs.run_stage(tmp_path, "score", score.run, {**CONFIG, "seed": 4}, **inputs)
    assert again.manifest.result_digest == done.manifest.result_digest != other.manifest.result_digest
