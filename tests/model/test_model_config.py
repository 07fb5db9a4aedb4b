"""The architecture as read from files."""

import copy
import hashlib
import json
from typing import Any

import pytest

from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import LeWM, ModelConfig, parse_model_config
from reference import PUBLISHED


def test_the_published_config_is_the_default() -> None:
    """The file published with PushT, known by its sha256, describes the default architecture."""
    text = json.dumps(PUBLISHED, indent=4) + "\n"
    known = "2564086e961e7b5c7c04dffc451091115b389a590645ff19653c64fd0bc16e09"
    assert hashlib.sha256(text.encode()).hexdigest() == known
    assert parse_model_config(json.loads(text)) == ModelConfig()


def test_our_own_config_comes_back() -> None:
    """What is written can be read."""
    for config in (ModelConfig(), ModelConfig.small(dim=32, heads=2, channels=[8, 12])):
        assert parse_model_config(json.loads(config.model_dump_json())) == config


def changed(path: str, value: Any) -> dict[str, Any]:
    """Returns the published config with one value replaced, or removed when it is `...`."""
    data = copy.deepcopy(PUBLISHED)
    *parents, last = path.split(".")
    part = data
    for step in parents:
        part = part[step]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("_target_", "os.system", "_target_ must be"),
        ("encoder._target_", "subprocess.run", "encoder._target_ must be"),
        ("projector.norm_fn._target_", "builtins.eval", "projector.norm_fn must be"),
        ("encoder.pretrained_path", "x", "not known here: pretrained_path"),
        ("decoder", {}, "not known here: decoder"),
        ("encoder", None, "encoder must be an object"),
        ("encoder.size", "base", "encoder.size must be 'tiny'"),
        ("predictor.depth", ..., "predictor lacks depth"),
        ("predictor.depth", -1, "predictor.depth = -1"),
        ("predictor.output_dim", 64, "predictor.output_dim must be 192"),
        ("encoder.patch_size", 13, "multiple of patch_size"),
    ],
)
def test_what_is_not_a_lewm_is_refused(path: str, value: Any, match: str) -> None:
    """Unknown classes, keys and values are refused by name, and nothing is imported."""
    with pytest.raises(CheckpointError, match=match):
        parse_model_config(changed(path, value))


@pytest.mark.parametrize("data", [None, [], "x", {}, {"dim": 0}, {"dim": 192, "surprise": 1}])
def test_other_json_is_refused_or_defaults(data: Any) -> None:
    """JSON that is no object, or has other keys, is refused; an empty object means the defaults."""
    if data == {}:
        assert parse_model_config(data) == ModelConfig()
        return
    with pytest.raises(CheckpointError):
        parse_model_config(data)


def test_small_model_sizes() -> None:
    """The small model has the size that was measured to learn PushT in minutes."""
    model = LeWM(ModelConfig.small())
    assert sum(parameter.numel() for parameter in model.encoder.parameters()) == 115_640
    assert sum(parameter.numel() for parameter in model.parameters()) == 419_110
    with pytest.raises(CheckpointError, match="multiple of heads"):
        ModelConfig.small(dim=64, heads=3)
