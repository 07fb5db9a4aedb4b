"""The configuration files that ship: the published recipe runs, the embedded ones are what made the checkpoints."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

import lewm_evidence
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.config import parse_config
from lewm_evidence.model.config import ModelConfig
from lewm_evidence.records import FinishedRun, Run, Spec
from lewm_evidence.stages import collect, train

CONFIGS = Path(__file__).parents[2] / "workflow" / "configs"
NO_GATES = {
    "min_embedding_std": 0.0,
    "max_prediction_ratio": 1e9,
    "min_shuffled_ratio": 0.0,
    "max_sigreg": 1e9,
    "min_probe_r2": -1e30,
}


def _run(runs: Path, stage: Any, config: dict[str, Any], **inputs: str) -> FinishedRun:
    name = stage.__name__.rsplit(".", 1)[-1]
    out = Run(runs, Spec(stage=name, config=config, code="", packages={}, device=None, precision=None, inputs=inputs))
    with closing(out):
        stage.run(out)
        out.finish({})
    return FinishedRun(out.path)


@pytest.mark.slow
def test_the_published_recipe_trains(tmp_path: Path) -> None:
    """Two steps of it, of 2 windows: the architecture of the published checkpoints, in bf16."""
    config = parse_config(yaml.safe_load((CONFIGS / "paper.yaml").read_text()))
    data = _run(tmp_path, collect, {"world": "pusht", "episodes": 2, "steps": 16})
    changes = {"steps": 2, "batch": 2, "measured": 2, "record_every": 2, **NO_GATES}
    trained = _run(tmp_path, train, {**config.train.model_dump(mode="json"), **changes}, data=data.name)
    assert load_checkpoint(trained.path / "checkpoint").config == ModelConfig()
    (event,) = trained.events("train/model")
    assert event.fields["precision"] == "bf16"
    assert sorted(trained.scalars("train/loss")) == [1, 2]


@pytest.mark.parametrize("name", ["pusht", "tworoom"])
def test_the_embedded_checkpoints_are_of_their_recipes(name: str) -> None:
    """What `make embedded` would run is what the shipped files say made them."""
    config = parse_config(yaml.safe_load((CONFIGS / f"embedded-{name}.yaml").read_text()))
    provenance = Path(lewm_evidence.__file__).parent / "embedded" / name / "provenance.json"
    made = json.loads(provenance.read_bytes())
    for part in ("collect", "train"):
        now = getattr(config, part).model_dump(mode="json")
        assert {key: now[key] for key in made[part]} == made[part]
