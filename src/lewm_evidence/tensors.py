"""The tensors of a checkpoint by name, from the header of its weights alone."""

import math
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from lewm_evidence.errors import CheckpointError


class Tensor(NamedTuple):
    """A tensor: its name, its type as safetensors names it, and its shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def tensors(weights: Path) -> list[Tensor]:
    """Returns every tensor of a safetensors file, in the order a person counts: `layers.2` before `layers.10`.

    Raises:
        CheckpointError: when the file is missing or not safetensors.
    """
    try:
        with safe_open(weights, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            found = [Tensor(name, part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()]
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{weights} is not a whole safetensors file: {error}; fetch it again") from error
    return sorted(found, key=lambda tensor: _counted(tensor.name))


def _counted(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def tensor_table(weights: Path) -> str:
    """Returns the tensors of a safetensors file as a markdown table."""
    found = tensors(weights)
    rows = [
        f"| `{tensor.name}` | {' × '.join(map(str, tensor.shape)) or 'one number'} | {tensor.dtype} "
        f"| {tensor.numbers:,} |"
        for tensor in found
    ]
    total = f"| **{len(found)} tensors** | | | **{sum(tensor.numbers for tensor in found):,}** |"
    return "\n".join(["| tensor | shape | type | numbers |", "|---|---|---|---:|", *rows, total])
