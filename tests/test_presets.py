"""The table of published checkpoints."""

import datetime
import hashlib
import json
from typing import Any, get_args

import pytest

import reference
from lewm_evidence.cli import main
from lewm_evidence.config import CheckpointWorld, HubCheckpoint, parse_config
from lewm_evidence.errors import ConfigError
from lewm_evidence.plan import plan
from lewm_evidence.presets import presets

STATISTICS: dict[str, Any] = {"action_mean": [0.0, 0.1], "action_std": [0.4, 0.5]}


def preset(name: str, **more: Any) -> dict[str, Any]:
    """Returns a configuration that names a preset."""
    return {"checkpoint": {"source": "preset", "name": name, **more}}


def test_the_table_and_the_configuration_name_the_same_worlds(capsys: pytest.CaptureFixture[str]) -> None:
    """So do the rows themselves and the command line, and every row says who says so and when."""
    names = set(get_args(CheckpointWorld))
    assert presets().keys() == names == {row.world for row in presets().values()}
    with pytest.raises(SystemExit):
        main(["pin", "--help"])
    assert f"{{{','.join(get_args(CheckpointWorld))}}}" in capsys.readouterr().out
    for row in presets().values():
        assert row.said_by and row.licence and datetime.date.fromisoformat(row.date)
        assert row.files.keys() == row.sizes.keys() == {"config.json", "weights.pt"}


def test_the_published_config_is_the_one_that_is_rebuilt() -> None:
    """Byte for byte: its sha256 and its size are those in the table."""
    data = (json.dumps(reference.PUBLISHED, indent=4) + "\n").encode()
    for name in ("pusht", "tworoom", "reacher"):
        assert presets()[name].files["config.json"] == hashlib.sha256(data).hexdigest()
        assert presets()[name].sizes["config.json"] == len(data)


def test_a_preset_is_the_pins_written_out() -> None:
    """Both ways of writing it give the same configuration and the same run keys."""
    row = presets()["pusht"]
    written = row.model_dump(include={"repo", "revision", "files", "world", "action_mean", "action_std"})
    named = parse_config(preset("pusht"))
    spelled = parse_config({"checkpoint": {"source": "hub", **written}})
    assert isinstance(named.checkpoint, HubCheckpoint)
    assert named == spelled
    assert plan(named)["fetch"].key == plan(spelled)["fetch"].key


@pytest.mark.parametrize("name", ["tworoom", "reacher"])
def test_statistics_that_are_not_known_must_be_given(name: str) -> None:
    """The sentence says which keys; with them the preset works."""
    with pytest.raises(ConfigError, match=r"not known here; give checkpoint\.action_mean and checkpoint\.action_std"):
        parse_config(preset(name))
    found = parse_config(preset(name, **STATISTICS)).checkpoint
    assert isinstance(found, HubCheckpoint)
    assert (found.repo, found.world, found.action_std) == (presets()[name].repo, name, [0.4, 0.5])


def test_a_preset_with_an_unknown_hash_is_refused() -> None:
    """The sentence names the command that pins it."""
    row = presets()["cube"]
    command = f"`lewm-evidence pin {row.repo} --revision {row.revision}`"
    with pytest.raises(ConfigError, match=f"the sha256 of config.json in {row.repo} is not known here; run {command}"):
        parse_config(preset("cube", **STATISTICS))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (preset("moon"), "checkpoint.name = 'moon' is not allowed"),
        (preset("pusht", repo="a/b"), "checkpoint.repo is not a known key"),
        (preset("pusht", action_mean=[0.0]), "action_mean and action_std must have the same length"),
    ],
)
def test_a_wrong_preset_is_refused(data: dict[str, Any], words: str) -> None:
    """Each fault is named."""
    with pytest.raises(ConfigError, match=words):
        parse_config(data)
