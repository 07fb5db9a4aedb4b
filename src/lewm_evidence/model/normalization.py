"""The numbers between raw data and what the model was trained on, and the layout of action blocks."""

from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from lewm_evidence.errors import InputError

Array = TypeVar("Array", NDArray[Any], torch.Tensor)
Spread = Annotated[FiniteFloat, Field(gt=0)]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalization(BaseModel):
    """What `normalization.json` holds.

    Attributes:
        action_mean: mean of one raw action in the training data, per dimension.
        action_std: its standard deviation.
        image_mean: mean of a colour channel, of values in 0..1.
        image_std: its standard deviation.
        frameskip: environment steps in one action block.
        image_size: side of the pictures in pixels.
        renderer: who drew the training pictures.
        world: the simulator's name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["lewm-evidence/normalization/1"] = "lewm-evidence/normalization/1"
    action_mean: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]
    action_std: Annotated[tuple[Spread, ...], Field(min_length=1)]
    image_mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat] = IMAGENET_MEAN
    image_std: tuple[Spread, Spread, Spread] = IMAGENET_STD
    frameskip: Annotated[int, Field(ge=1)] = 5
    image_size: Annotated[int, Field(ge=1)]
    renderer: str
    world: str

    @model_validator(mode="after")
    def _paired(self) -> "Normalization":
        if len(self.action_mean) != len(self.action_std):
            raise ValueError("action_mean and action_std must have the same length")
        return self

    @property
    def action_block_dim(self) -> int:
        """Size A of an action block."""
        return self.frameskip * len(self.action_mean)

    def normalize(self, actions: Array) -> Array:
        """Returns z-scored actions for raw ones of shape (..., raw action size)."""
        mean, std = self._statistics(actions)
        return (actions - mean) / std  # type: ignore[no-any-return]

    def denormalize(self, actions: Array) -> Array:
        """Returns raw actions for z-scored ones of shape (..., raw action size)."""
        mean, std = self._statistics(actions)
        return actions * std + mean  # type: ignore[no-any-return]

    def to_blocks(self, actions: Array) -> Array:
        """Returns (T, frameskip × d), time-major, for actions (T × frameskip, d)."""
        return to_blocks(actions, self.frameskip)

    def from_blocks(self, blocks: Array) -> Array:
        """Returns actions (T × frameskip, d) for blocks (T, frameskip × d)."""
        return from_blocks(blocks, self.frameskip)

    def _statistics(self, actions: Any) -> Any:
        if actions.shape[-1] != len(self.action_mean):
            raise InputError(f"actions must have shape (..., {len(self.action_mean)}), got {tuple(actions.shape)}")
        if isinstance(actions, torch.Tensor):
            return actions.new_tensor(self.action_mean), actions.new_tensor(self.action_std)
        kind = actions.dtype if np.issubdtype(actions.dtype, np.floating) else np.float64
        return np.asarray(self.action_mean, kind), np.asarray(self.action_std, kind)


def to_blocks(actions: Array, frameskip: int) -> Array:
    """Returns (..., T, frameskip × d) for actions (..., T × frameskip, d), time-major: x0 y0 x1 y1 …"""
    *batch, steps, size = actions.shape
    if steps % frameskip:
        raise InputError(f"the number of actions must be a multiple of frameskip={frameskip}, got {steps}")
    return actions.reshape(*batch, steps // frameskip, frameskip * size)


def from_blocks(blocks: Array, frameskip: int) -> Array:
    """Returns actions (..., T × frameskip, d) for blocks (..., T, frameskip × d); undoes `to_blocks`."""
    *batch, count, size = blocks.shape
    if size % frameskip:
        raise InputError(f"the size of a block must be a multiple of frameskip={frameskip}, got {size}")
    return blocks.reshape(*batch, count * frameskip, size // frameskip)
