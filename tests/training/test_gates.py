"""The gates of a training: each catches what it is there for, and real trainings fall on the right side."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lewm_evidence.config import Smoke, Train
from lewm_evidence.errors import GateError
from lewm_evidence.records import FinishedRun, Run, Spec
from lewm_evidence.stages import collect, train
from lewm_evidence.training.gates import collapsed_sigreg, judge

HEALTHY = {"embedding_std": 0.95, "sigreg": 2.7, "val_prediction": 0.04, "val_copy": 0.4, "val_shuffled": 0.6}


def _judge(path: Path, **changes: float) -> None:
    out = Run(path, Spec(stage="train", config={}, code="", packages={}, device=None, precision=None, inputs={}))
    for name, value in {**HEALTHY, "probe_r2_min": 0.95, **changes}.items():
        out.scalar(f"train/{name}", value, 200)
    out.close()
    judge(FinishedRun(out.path), Smoke().train)


def test_a_healthy_run_passes(tmp_path: Path) -> None:
    """With the figures of a real smoke training."""
    _judge(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"embedding_std": 0.016}, "the latents collapsed: their spread is 0.016, below 0.5"),
        ({"sigreg": 25.7}, "far from a Gaussian: SIGReg is 1.0"),
        ({"val_prediction": 0.3}, "hardly better than predicting no change: error ratio 0.75, above 0.4"),
        ({"val_shuffled": 0.05}, "hardly depend on the actions.*1.25 times as large, below 4.0"),
        ({"probe_r2_min": 0.17}, "positions cannot be read from the latents: worst R.2 0.17, below 0.7"),
    ],
)
def test_each_fault_is_told_in_a_sentence(tmp_path: Path, changes: dict[str, float], sentence: str) -> None:
    """One bad figure is enough, however good the prediction loss is."""
    with pytest.raises(GateError, match=sentence):
        _judge(tmp_path, **changes)


def test_sigreg_of_equal_latents_grows_with_the_batch() -> None:
    """So the gate is a share of it and holds for any batch."""
    assert collapsed_sigreg(Train(batch=64)) == pytest.approx(25.7, abs=0.1)
    assert collapsed_sigreg(Train(batch=128)) == pytest.approx(51.4, abs=0.2)


def _train(runs: Path, config: Train, data: FinishedRun) -> FinishedRun:
    spec: dict[str, Any] = config.model_dump(mode="json")
    inputs = {"data": data.name}
    out = Run(runs, Spec(stage="train", config=spec, code="", packages={}, device=None, precision=None, inputs=inputs))
    with closing(out):
        train.run(out)
        out.finish({})
    return FinishedRun(out.path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_smoke_training_passes_and_without_sigreg_it_fails(tmp_path: Path, seed: int) -> None:
    """The real one, as in every evidence; and the same without SIGReg, whose prediction loss is far better."""
    smoke = Smoke(seed=seed)
    spec = Spec(
        stage="collect", config=smoke.collect.model_dump(), code="", packages={}, device=None, precision=None, inputs={}
    )
    out = Run(tmp_path, spec)
    collect.run(out)
    out.close()
    out.finish({})
    data = FinishedRun(out.path)
    healthy = _train(tmp_path, smoke.train, data)
    collapsed = smoke.train.model_copy(update={"sigreg_weight": 0.0, "steps": 60, "record_every": 60})
    with pytest.raises(GateError, match=r"the latents collapsed.*far from a Gaussian"):
        _train(tmp_path, collapsed, data)
    (failed,) = set((tmp_path / "train").iterdir()) - {healthy.path}
    assert FinishedRun(failed).last("train/prediction_loss") < healthy.last("train/prediction_loss") / 4
    assert not (failed / "checkpoint").exists()
