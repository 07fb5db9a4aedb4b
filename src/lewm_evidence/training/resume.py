"""Resume points: everything a killed training needs to end with the same bytes.

One safetensors file, replaced atomically: the weights, the optimiser's moments, and as its only metadata the step
and the lengths of the record files. There are no generator states in it: every step draws its random numbers from
(seed, step).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lewm_evidence.canonical import canonical_json, write_atomic

_MODEL, _MOMENTS = "model.", "optimizer."


@dataclass(frozen=True)
class ResumePoint:
    """What `save_point` stored.

    Attributes:
        step: optimiser steps done.
        offsets: length in bytes of each record file at that step.
    """

    step: int
    offsets: dict[str, int]


def save_point(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, offsets: Mapping[str, int]
) -> None:
    """Writes the resume point at `path`; a reader sees the old one or the new one, whole."""
    tensors = {_MODEL + name: tensor for name, tensor in model.state_dict().items()}
    names = [name for name, _ in model.named_parameters()]
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{_MOMENTS}{names[index]}.{kind}": torch.as_tensor(value) for kind, value in state.items()}
    # One metadata key at most: safetensors writes several in no fixed order.
    point = canonical_json({"step": step, "offsets": dict(offsets)}).decode()
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, save(contiguous, metadata={"point": point}))


def load_point(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> ResumePoint | None:
    """Restores `model` and `optimizer` from `path`; returns None, and changes nothing, when there is no point."""
    try:
        with safe_open(path, framework="pt") as file:
            point = json.loads(file.metadata()["point"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None
    model.load_state_dict({n.removeprefix(_MODEL): t for n, t in tensors.items() if n.startswith(_MODEL)})
    _load_moments(model, optimizer, tensors)
    return ResumePoint(point["step"], point["offsets"])


def _load_moments(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    for index, (name, _) in enumerate(model.named_parameters()):
        prefix = f"{_MOMENTS}{name}."
        moments[index] = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
