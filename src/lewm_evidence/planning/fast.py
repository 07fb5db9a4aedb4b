"""A LeWM for planning: the same functions as `LeWM`, several times faster.

Letters: N pictures, B environments, S candidates, T horizon in action blocks, A size of a block, D size of a latent.
"""

import numpy as np
import torch
from torch import Tensor

from lewm_evidence.errors import InputError
from lewm_evidence.model import LeWM, ModelConfig, Normalization
from lewm_evidence.model.lewm import Images
from lewm_evidence.planning.fast_encoder import FastEncoder
from lewm_evidence.planning.fast_predictor import FastPredictor
from lewm_evidence.planning.graph import GraphCache
from lewm_evidence.planning.linear import DTYPES, Precision, can_pack

_ROWS = 150  # candidates at a time on a CPU: their activations stay in its caches


class FastLeWM:
    """The encoder, the rollout and the cost of a LeWM, with weights laid out for the device that the model is on.

    In fp32 costs agree with `LeWM`'s within 1e-5 relative. In bf16 the predictor's products are rounded, sums, the
    residual stream and the encoder stay in fp32: costs agree within 1e-2 relative, and their order nearly.

    Args:
        model: the world model in eval mode; its weights are copied, later changes to it are not seen.
        precision: "fp32", or "bf16" for a faster plan that is a little different.

    Attributes:
        model: as given; the readable reference.
        precision: as given.
        graphs: searches of solvers as CUDA graphs; not used on a CPU.
    """

    def __init__(self, model: LeWM, *, precision: Precision = "fp32") -> None:
        if precision not in DTYPES:
            raise InputError(f"precision must be one of {', '.join(DTYPES)}, got {precision!r}")
        if model.training:
            raise InputError("a fast model is made of a model in eval mode; call model.eval() first")
        dtype, device = DTYPES[precision], model.device.type
        packed = can_pack(device, dtype)
        self.model, self.precision = model, precision
        self.graphs, self._packed = GraphCache(), packed
        with torch.no_grad():
            # In fp32 always: two pictures are a small part of a search, and their error would be in every cost.
            self._encoder = FastEncoder(model, torch.float32, can_pack(device, torch.float32))
            self._predictor = FastPredictor(model, dtype, packed)

    @property
    def path(self) -> str:
        """What computes, such as "mkldnn-fp32" (oneDNN's packed products), "torch-bf16" or "cuda-graph-bf16"."""
        if self.device.type == "cpu":
            return f"{'mkldnn' if self._packed else 'torch'}-{self.precision}"
        graph = "-graph" if self.device.type == "cuda" and not self.graphs.failure else ""
        return f"{self.device.type}{graph}-{self.precision}"

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.model.config

    @property
    def normalization(self) -> Normalization:
        """The statistics of the training data; raises `CheckpointError` for a model built without them."""
        return self.model.normalization

    @property
    def device(self) -> torch.device:
        """Where the model was when this was made, and where everything is computed."""
        return self.model.device

    @torch.no_grad()
    def encode(self, images: Images, batch: int = 64) -> Tensor:
        """Returns latents (N, D) for uint8 pictures (N, H, W, 3), `batch` of them at a time."""
        pixels, side = torch.as_tensor(images), self.config.image_size
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (side, side, 3):
            raise InputError(
                f"images must be uint8 (N, {side}, {side}, 3), got {pixels.dtype} {tuple(pixels.shape)}; "
                f"render at size={side}"
            )
        return torch.cat([self._encoder(part.to(self.device)) for part in torch.split(pixels, batch)])

    @torch.no_grad()
    def rollout(self, z0: Tensor, actions: Tensor) -> Tensor:
        """Returns imagined latents (S, T + 1, D) from `z0` (D,), (1, D) or (S, D) under actions (S, T, A)."""
        if actions.ndim != 3 or actions.shape[-1] != self.config.action_block_dim:
            raise InputError(f"actions must be (S, T, {self.config.action_block_dim}), got {tuple(actions.shape)}")
        z = z0.reshape(-1, self.config.dim).expand(len(actions), -1)
        rows = _ROWS if self.device.type == "cpu" else max(1, len(actions))
        parts = zip(torch.split(z, rows), torch.split(actions, rows), strict=True)
        return torch.cat([self._predictor.rollout(*part) for part in parts])

    def cost(self, start: Images, goal: Images, actions: Tensor) -> Tensor:
        """Returns the cost (S,) of actions (S, T, A) from and to a picture, uint8 (H, W, 3), as `LeWM.cost`."""
        z = self.encode(np.stack([np.asarray(start), np.asarray(goal)]))
        return self.cost_from_latents(z[0], z[1], actions)

    @torch.no_grad()
    def cost_from_latents(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> Tensor:
        """Returns ‖last imagined latent − goal‖², for one environment or for several at once.

        Args:
            z_start: the latents now, (D,) or (B, D).
            z_goal: the latents wanted, the same shape.
            actions: z-scored action blocks, (S, T, A) or (B, S, T, A).

        Returns:
            Costs (S,) or (B, S). On a CPU those of an environment do not depend on the others, to the last bit.
        """
        if actions.ndim == 3:
            return (self.rollout(z_start, actions)[:, -1] - z_goal).square().sum(dim=-1)
        if self.device.type == "cpu":
            return torch.stack([self.cost_from_latents(*one) for one in zip(z_start, z_goal, actions, strict=True)])
        z = z_start.repeat_interleave(actions.shape[1], dim=0)
        last = self.rollout(z, actions.flatten(0, 1))[:, -1].reshape(*actions.shape[:2], -1)
        return (last - z_goal[:, None]).square().sum(dim=-1)

    def cost_gradient(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns costs (S,) and each cost's gradient by its own actions (S, T, A), computed by the readable model."""
        return self.model.cost_gradient(z_start, z_goal, actions)
