"""The configuration: defaults, refusals, and the files generated from the models."""

import difflib
from pathlib import Path

import pytest
import yaml

from lewm_evidence.config import Config, parse_config
from lewm_evidence.errors import ConfigError
from lewm_evidence.generate import generated

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", sorted(generated()))
def test_generated_files_are_in_step_with_the_models(name: str) -> None:
    """What lies in the project is what the models generate; the difference names the repair."""
    want, have = generated()[name], (ROOT / name).read_text(encoding="utf-8")
    diff = "\n".join(difflib.unified_diff(have.splitlines(), want.splitlines(), name, "generated", lineterm=""))
    assert not diff, f"run `make generated`:\n{diff}"


def test_the_default_file_says_what_the_models_say() -> None:
    """`config.yaml` repeats the defaults and changes none."""
    assert parse_config(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))) == Config()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"showcase": {"sed": 1}}, ["showcase.sed", "not a known key", "seed"]),
        ({"checkpoints": {}}, ["checkpoints", "not a known key", "checkpoint"]),
        (
            {"evaluate": {"planner": {"elites": 900}}},
            ["evaluate.planner", "elites must lie in 2..num_samples=200", "900"],
        ),
        ({"evaluate": {"planner": {"execute": 6}}}, ["execute must be at most horizon=5", "6"]),
        ({"device": "tpu"}, ["device = 'tpu'", "'auto', 'cpu' or 'cuda'"]),
        ({"train": {"batch": 0}}, ["train.batch = 0", "greater than or equal to 1"]),
        ({"checkpoint": {"source": "web"}}, ["checkpoint", "'embedded', 'hub', 'preset', 'trained'"]),
        (
            {"checkpoint": {"source": "hub", "repo": "a/b", "revision": "main", "files": {}}},
            ["checkpoint.revision = 'main'", "checkpoint.world is missing"],
        ),
        ([], ["(top level)", "config"]),
    ],
)
def test_a_bad_configuration_is_refused_with_key_value_and_what_is_allowed(data: object, words: list[str]) -> None:
    """Every fault names the key, what was given and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        parse_config(data)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_hub_checkpoint_needs_config_and_weights_pinned() -> None:
    """A hub checkpoint without a pinned weights file is refused."""
    hub = {
        "source": "hub",
        "repo": "someone/lewm-pusht",
        "revision": "a" * 40,
        "files": {"config.json": "b" * 64},
        "world": "pusht",
        "action_mean": [0.0, 0.0],
        "action_std": [1.0, 1.0],
    }
    with pytest.raises(ConfigError, match=r"one of weights\.pt, model\.safetensors"):
        parse_config({"checkpoint": hub})
    hub["files"]["weights.pt"] = "c" * 64
    assert parse_config({"checkpoint": hub}).checkpoint.source == "hub"
