"""LeWorldModel: an encoder, a predictor, and a cost that is a distance between latents.

LeWorldModel, arXiv 2603.19312. Letters: N pictures, B batch, S candidates, T time in action blocks,
D size of a latent, A size of an action block, H and W height and width in pixels.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lewm_evidence.errors import CheckpointError, InputError
from lewm_evidence.model.config import ConvConfig, ModelConfig, MomentsConfig, VitConfig
from lewm_evidence.model.conv import ConvEncoder
from lewm_evidence.model.moments import MomentsEncoder
from lewm_evidence.model.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalization
from lewm_evidence.model.predictor import Predictor
from lewm_evidence.model.vit import Vit

Images = Tensor | NDArray[np.uint8]


class LeWM(nn.Module):
    """A world model in latent space.

    Attributes:
        config: the architecture.
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: ModelConfig, normalization: Normalization | None = None) -> None:
        super().__init__()
        self.config = config
        self._normalization = normalization
        dim, hidden = config.dim, config.projector_dim
        self.encoder = _encoder(config.encoder)
        self.predictor = Predictor(config)
        self.action_encoder = _ActionEncoder(config.action_block_dim, dim)
        self.projector = _Projector(config.encoder.output_dim, hidden, dim)
        self.pred_proj = _Projector(dim, hidden, dim)
        # Not persistent: the statistics live in normalization.json, the state dict holds what was learned.
        mean, std = self._image_statistics()
        self.register_buffer("image_mean", mean, persistent=False)
        self.register_buffer("image_std", std, persistent=False)

    @classmethod
    def from_state_dict(
        cls, config: ModelConfig, state_dict: Mapping[str, Tensor], normalization: Normalization | None = None
    ) -> "LeWM":
        """Returns a model in eval mode that holds exactly the tensors of `state_dict`.

        Args:
            config: the architecture.
            state_dict: every tensor by name, no more and no less.
            normalization: statistics of the training data; pictures are taken as ImageNet's without it.

        Raises:
            CheckpointError: when a name is missing or unexpected, or a shape differs.
        """
        # Built without numbers, so that loading draws nothing from torch's global random state.
        with torch.device("meta"):
            model = cls(config, normalization)
        check_state_dict(state_dict, model.state_dict())
        model.to_empty(device="cpu")
        model.load_state_dict(state_dict, strict=True)
        model.image_mean, model.image_std = model._image_statistics()
        return model.eval().requires_grad_(False)

    @property
    def normalization(self) -> Normalization:
        """The statistics of the training data; raises `CheckpointError` for a model built without them."""
        if self._normalization is None:
            raise CheckpointError("this model was built without normalisation; load it with load_checkpoint")
        return self._normalization

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.predictor.pos_embedding.device

    def embed(self, images: Images) -> Tensor:
        """Returns latents (..., D) for uint8 pictures (..., H, W, 3); gradients flow.

        In train mode the projector's BatchNorm takes its statistics over all leading dimensions.
        """
        z: Tensor = self.projector(self.features(images))
        return z

    def features(self, images: Images) -> Tensor:
        """Returns what the encoder makes of uint8 pictures (..., H, W, 3), each by itself; gradients flow."""
        pixels = self._checked(images)
        flat = pixels.reshape(-1, *pixels.shape[-3:]).movedim(-1, 1).to(self.device)
        encoded: Tensor = self.encoder((flat.float() / 255 - self.image_mean) / self.image_std)
        return encoded.reshape(*pixels.shape[:-3], -1)

    @torch.no_grad()
    def encode(self, images: Images, batch: int = 64) -> Tensor:
        """Returns latents (N, D) for uint8 pictures (N, H, W, 3), without gradients, `batch` at a time."""
        pixels = self._checked(images)
        if pixels.ndim != 4:
            raise InputError(f"images must be (N, H, W, 3), got {tuple(pixels.shape)}")
        return torch.cat([self.embed(part) for part in torch.split(pixels, batch)])

    def predict(self, z: Tensor, actions: Tensor) -> Tensor:
        """Returns the next latents (B, T, D) for latents (B, T, D) and z-scored action blocks (B, T, A).

        Position t sees positions 0..t; T is at most `config.history`. Gradients flow.
        """
        config = self.config
        sizes = z.shape[-1] == config.dim and actions.shape[-1] == config.action_block_dim
        if z.ndim != 3 or z.shape[:2] != actions.shape[:2] or not sizes or z.shape[1] > config.history:
            raise InputError(
                f"predict takes z (B, T, {config.dim}) and actions (B, T, {config.action_block_dim}) with "
                f"T at most {config.history}, got {tuple(z.shape)} and {tuple(actions.shape)}"
            )
        out: Tensor = self.pred_proj(self.predictor(z, self.action_encoder(actions)))
        return out

    @torch.no_grad()
    def rollout(self, z0: Tensor, actions: Tensor) -> Tensor:
        """Returns imagined latents (S, T+1, D), the first being `z0`.

        Args:
            z0: the latent every candidate starts from, (D,) or (1, D).
            actions: z-scored action blocks, (S, T, A).
        """
        if actions.ndim != 3 or actions.shape[-1] != self.config.action_block_dim:
            raise InputError(f"actions must be (S, T, {self.config.action_block_dim}), got {tuple(actions.shape)}")
        return self._imagined(z0, actions)

    def _imagined(self, z0: Tensor, actions: Tensor) -> Tensor:
        history = self.config.history
        z = z0.reshape(1, 1, -1).expand(len(actions), -1, -1)
        encoded = self.action_encoder(actions)
        for t in range(actions.shape[1]):
            start = max(0, t + 1 - history)
            last = self.predictor(z[:, start:], encoded[:, start : t + 1])[:, -1]
            z = torch.cat([z, self.pred_proj(last)[:, None]], dim=1)
        return z

    def cost(self, start: Images, goal: Images, actions: Tensor) -> Tensor:
        """Returns the cost (S,) of each candidate, lower is better.

        Args:
            start: the picture now, uint8 (H, W, 3).
            goal: the picture wanted, uint8 (H, W, 3).
            actions: z-scored, time-major action blocks, (S, T, A).
        """
        z = self.encode(torch.stack([torch.as_tensor(start), torch.as_tensor(goal)]))
        return self.cost_from_latents(z[0], z[1], actions)

    @torch.no_grad()
    def cost_from_latents(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> Tensor:
        """Returns ‖last imagined latent − goal‖² (S,) for z_start (D,), z_goal (D,), actions (S, T, A)."""
        last = self.rollout(z_start, actions)[:, -1]
        return (last - z_goal).square().sum(dim=-1)

    @torch.enable_grad()
    def cost_gradient(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns costs (S,) as `cost_from_latents`, and each cost's gradient by its own actions (S, T, A)."""
        wanted = actions.detach().clone().requires_grad_()
        costs = (self._imagined(z_start, wanted)[:, -1] - z_goal).square().sum(dim=-1)
        (gradient,) = torch.autograd.grad(costs.sum(), wanted)
        return costs.detach(), gradient

    def _image_statistics(self) -> tuple[Tensor, Tensor]:
        known = self._normalization
        mean, std = (known.image_mean, known.image_std) if known else (IMAGENET_MEAN, IMAGENET_STD)
        return torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)

    def _checked(self, images: Images) -> Tensor:
        pixels = torch.as_tensor(images)
        side = self.config.image_size
        if pixels.dtype != torch.uint8 or pixels.shape[-3:] != (side, side, 3):
            raise InputError(
                f"images must be uint8 (..., {side}, {side}, 3), got {pixels.dtype} {tuple(pixels.shape)}; "
                f"render at size={side}"
            )
        return pixels


def check_state_dict(state_dict: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raises `CheckpointError` unless both hold the same names, shapes and types, and only finite numbers."""
    missing, unexpected = expected.keys() - state_dict.keys(), state_dict.keys() - expected.keys()
    if missing or unexpected:
        raise CheckpointError(
            f"the weights do not fit the configuration: {_some('missing', missing)}, "
            f"{_some('unexpected', unexpected)}; weights and config.json must come from the same checkpoint"
        )
    for name, wanted in expected.items():
        tensor = state_dict[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise CheckpointError(
                f"{name} must be {wanted.dtype} {tuple(wanted.shape)}, "
                f"got {tensor.dtype} {tuple(tensor.shape)}; the checkpoint is of another model"
            )
        if tensor.layout != torch.strided:
            raise CheckpointError(f"{name} must be a dense tensor, got {tensor.layout}")
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} holds NaN or infinite values; the checkpoint is damaged")


def _some(word: str, names: set[str]) -> str:
    listed = ", ".join(sorted(names)[:3])
    return f"{len(names)} {word}" + (f" ({listed}{', …' if len(names) > 3 else ''})" if names else "")


def _encoder(config: VitConfig | ConvConfig | MomentsConfig) -> nn.Module:
    match config:
        case VitConfig():
            return Vit(config)
        case ConvConfig():
            return ConvEncoder(config)
        case MomentsConfig():
            return MomentsEncoder(config)


class _ActionEncoder(nn.Module):
    """Action blocks (B, T, A) to (B, T, D), each block on its own."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.patch_embed = nn.Conv1d(size, size, kernel_size=1)
        self.embed = nn.Sequential(nn.Linear(size, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, dim))

    def forward(self, actions: Tensor) -> Tensor:
        out: Tensor = self.embed(self.patch_embed(actions.transpose(1, 2)).transpose(1, 2))
        return out


class _Projector(nn.Module):
    """A two-layer MLP with BatchNorm over everything but the last dimension."""

    def __init__(self, size: int, hidden: int, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(size, hidden), nn.BatchNorm1d(hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x.flatten(0, -2))
        return out.reshape(*x.shape[:-1], -1)
