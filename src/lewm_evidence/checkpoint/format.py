"""A checkpoint on disk: `config.json`, `model.safetensors`, `normalization.json` and `provenance.json`.

Equal content gives equal bytes: the JSON is canonical, and safetensors without metadata orders its tensors itself.
Loading is strict: every tensor by name, shape and type, finite numbers only, no pickle.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lewm_evidence.canonical import write_atomic
from lewm_evidence.checkpoint.names import internal_names
from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import LeWM, ModelConfig, Normalization, check_state_dict, parse_model_config

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
NORMALIZATION = "normalization.json"
PROVENANCE = "provenance.json"
FILES = (CONFIG, WEIGHTS, NORMALIZATION, PROVENANCE)


def load_checkpoint(path: Path | str, device: torch.device | str = "cpu") -> LeWM:
    """Returns the model of the checkpoint folder at `path`, in eval mode, with its normalisation.

    Args:
        path: a folder made by `save_checkpoint`, the train stage or the fetch stage.
        device: where to put the parameters.

    Raises:
        CheckpointError: when a file is missing or damaged, or the files do not fit each other.
    """
    folder = Path(path)
    config = parse_model_config(read_json(folder / CONFIG), str(folder / CONFIG))
    normalization = read_normalization(folder / NORMALIZATION)
    _check_sizes(config, normalization, folder)
    tensors = internal_names(read_safetensors(folder / WEIGHTS))
    try:
        return LeWM.from_state_dict(config, tensors, normalization).to(device)
    except CheckpointError as error:
        raise CheckpointError(f"{folder / WEIGHTS}: {error}") from error


def save_checkpoint(
    path: Path | str,
    model_config: ModelConfig,
    state_dict: Mapping[str, Tensor],
    normalization: Normalization,
    provenance: Mapping[str, Any],
) -> None:
    """Writes the checkpoint folder `path`, after the checks that loading makes.

    Args:
        path: the folder; its files are replaced, each at once.
        model_config: the architecture.
        state_dict: every tensor of the model, under our names or the published ones.
        normalization: statistics of the training data.
        provenance: where the weights come from, JSON values only; for people and for the bundle.

    Raises:
        CheckpointError: when the parts do not fit each other.
    """
    folder = Path(path)
    _check_sizes(model_config, normalization, folder)
    named = internal_names(state_dict)
    with torch.device("meta"):
        check_state_dict(named, LeWM(model_config).state_dict())
    # Cloned: a tensor that shares its storage with another is refused by safetensors.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in named.items()}
    write_atomic(folder / WEIGHTS, save(tensors))
    write_atomic(folder / NORMALIZATION, _pretty(normalization.model_dump(mode="json")))
    write_atomic(folder / PROVENANCE, _pretty(dict(provenance)))
    write_atomic(folder / CONFIG, _pretty(model_config.model_dump(mode="json")))


def read_json(path: Path) -> Any:
    """Returns the decoded JSON file at `path`; raises `CheckpointError` when there is none."""
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; is this a checkpoint folder?") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error


def read_normalization(path: Path) -> Normalization:
    """Returns the statistics at `path`; raises `CheckpointError` when they cannot be used."""
    try:
        return Normalization.model_validate(read_json(path))
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(step) for step in fault["loc"]) or "(top level)"
        raise CheckpointError(f"{path}: {key} cannot be used: {fault['msg']}") from error


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of the file at `path`; raises `CheckpointError` when it is not safetensors."""
    try:
        tensors: dict[str, Tensor] = load(path.read_bytes())
        return tensors
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; is this a checkpoint folder?") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}; fetch it again") from error


def _check_sizes(config: ModelConfig, normalization: Normalization, folder: Path) -> None:
    if config.action_block_dim != normalization.action_block_dim:
        raise CheckpointError(
            f"{folder}: the model takes action blocks of {config.action_block_dim}, but frameskip "
            f"{normalization.frameskip} × {len(normalization.action_mean)} actions make "
            f"{normalization.action_block_dim}; normalisation and model must come from the same checkpoint"
        )
    if config.image_size != normalization.image_size:
        raise CheckpointError(
            f"{folder}: the model takes pictures of side {config.image_size}, the normalisation says "
            f"{normalization.image_size}; they must come from the same checkpoint"
        )


def _pretty(value: Any) -> bytes:
    # Indented for people; still one text per content.
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
