"""A checkpoint on disk."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lewm_evidence.checkpoint import load_checkpoint, save_checkpoint
from lewm_evidence.checkpoint.format import FILES
from lewm_evidence.checkpoint.names import internal_names, to_internal, to_published
from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import LeWM, ModelConfig
from tiny import CONFIG, NORMALIZATION, tiny_checkpoint, tiny_state_dict

BIAS = "predictor.transformer.norm.bias"


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    """What was saved is loaded: architecture, every number, statistics."""
    model = load_checkpoint(tiny_checkpoint(tmp_path, seed=5))
    assert model.config == CONFIG
    assert model.normalization == NORMALIZATION
    weights = tiny_state_dict(5)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert model.encode(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, CONFIG.dim)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    """The order of the tensors and where they lie in memory do not reach the file."""
    tiny_checkpoint(tmp_path / "one")
    weights = tiny_state_dict()
    shuffled = {name: weights[name].t().contiguous().t() if weights[name].ndim == 2 else weights[name]
                for name in reversed(weights)}  # fmt: skip
    save_checkpoint(tmp_path / "two", CONFIG, shuffled, NORMALIZATION, {"seed": 0, "source": "test"})
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def edit_json(name: str, key: str, value: object) -> Callable[[Path], None]:
    """Returns a change of one key of a JSON file."""

    def change(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(data | {key: value}))

    return change


def edit_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Returns a change of the tensors."""

    def rewrite(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return rewrite


def cut(folder: Path) -> None:
    """Shortens the weights by one byte."""
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-1])


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors cannot be read"),
        (lambda folder: (folder / "normalization.json").unlink(), "normalization.json cannot be read"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is not JSON"),
        (lambda folder: (folder / "config.json").write_text('{"dim": NaN}'), "NaN is not a JSON number"),
        (edit_json("config.json", "dim", 8), "unexpected|must be"),
        (edit_json("config.json", "surprise", 1), "surprise"),
        (edit_json("normalization.json", "action_std", [0.1, 0.0]), "action_std"),
        (edit_json("normalization.json", "frameskip", 4), "action blocks of 10"),
        (edit_json("normalization.json", "image_size", 224), "pictures of side 64"),
        (cut, "not a whole safetensors file"),
        (edit_weights(lambda tensors: tensors.pop(BIAS)), f"1 missing .{BIAS}."),
        (edit_weights(lambda tensors: tensors.update(x=torch.zeros(1))), "1 unexpected .x."),
        (edit_weights(lambda tensors: tensors.update({BIAS: torch.zeros(3)})), f"{BIAS} must be"),
        (edit_weights(lambda tensors: tensors[BIAS].fill_(torch.inf)), f"{BIAS} holds NaN or infinite"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Callable[[Path], None], match: str) -> None:
    """A missing, broken or foreign file, tensor or number is refused with its name."""
    tiny_checkpoint(tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=match):
        load_checkpoint(tmp_path)


def test_nothing_is_written_for_parts_that_do_not_fit(tmp_path: Path) -> None:
    """Saving checks as loading does, before the first file."""
    weights = tiny_state_dict()
    weights[BIAS] = weights[BIAS] * torch.nan
    with pytest.raises(CheckpointError, match="NaN"):
        save_checkpoint(tmp_path / "checkpoint", CONFIG, weights, NORMALIZATION, {})
    assert list(tmp_path.iterdir()) == []


def test_names_map_both_ways() -> None:
    """Our names of the official model become the published ones and come back; 192 of 303 differ."""
    with torch.device("meta"):
        names = LeWM(ModelConfig()).state_dict().keys()
    published = [to_published(name) for name in names]
    assert [to_internal(name) for name in published] == list(names)
    assert sum(a != b for a, b in zip(names, published, strict=True)) == 12 * 14 + 12 * 2
    assert to_published("encoder.layers.3.attention.o_proj.weight") == (
        "encoder.encoder.layer.3.attention.output.dense.weight"
    )
    assert to_internal("encoder.encoder.layer.3.output.dense.bias") == "encoder.layers.3.mlp.fc2.bias"


def test_both_names_of_a_tensor_are_refused() -> None:
    """A file that holds a tensor under both namings does not decide by order."""
    both = {"encoder.layers.0.mlp.fc1.bias": 1, "encoder.encoder.layer.0.intermediate.dense.bias": 2}
    with pytest.raises(CheckpointError, match="both namings"):
        internal_names(both)
