"""Weights and inputs of the bench, made from seeds: nothing is downloaded."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
import reference

WEIGHT_SEEDS = (reference.SEED, reference.SEED + 1)  # the first is the one of the golden figures


def write_inputs(folder: Path, batch: int) -> None:
    """Writes `weights-N.safetensors` under published names and `inputs.safetensors`.

    The inputs are `images`, 8 pictures of coloured blocks, uint8 (8, 224, 224, 3); `frames` (batch, 4, 224, 224, 3);
    `actions` (batch, 3, 10).
    """
    for number, seed in enumerate(WEIGHT_SEEDS):
        save_file(reference.published_weights(seed), folder / f"weights-{number}.safetensors")
    generator = torch.Generator().manual_seed(1)

    def pictures(*shape: int) -> torch.Tensor:
        blocks = torch.randint(256, (*shape, 16, 16, 3), dtype=torch.uint8, generator=generator)
        return blocks.repeat_interleave(14, -3).repeat_interleave(14, -2)

    actions = torch.randn(batch, 3, 10, generator=generator)
    inputs = {"images": pictures(8), "frames": pictures(batch, 4), "actions": actions}
    save_file(inputs, folder / "inputs.safetensors")
