"""Affine maps that belong to the linear layer next to them. Folded in fp64, so that fp32 rounds once."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def plain_norm(x: Tensor, eps: float, ones: Tensor) -> Tensor:
    """Returns (x − mean) / √(variance + eps) over the last dimension.

    `ones` is a norm's weight that changes nothing: torch's kernel is faster with one than without.
    """
    return functional.layer_norm(x, ones.shape, ones, None, eps)


def fold_norm(norm: nn.LayerNorm, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns W·diag(γ) and W β + b for a norm's γ and β before a linear layer."""
    wide = weight.detach().double()
    moved = wide @ norm.bias.detach().double()
    if bias is not None:
        moved = moved + bias.detach().double()
    return (wide * norm.weight.detach().double()).float(), moved.float()


def projector(module: Any) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Returns (weight, bias) of a projector's two layers, BatchNorm's running statistics inside the first."""
    first, norm, _, second = module.net
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = first.weight.double() * scale[:, None]
    bias = (first.bias.double() - norm.running_mean.double()) * scale + norm.bias.double()
    return (weight.float(), bias.float()), (second.weight, second.bias)
