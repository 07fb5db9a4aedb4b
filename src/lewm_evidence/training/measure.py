"""Measures of a latent space that tell a model that learned from one that collapsed.

Letters: N pictures, B windows, T history, D size of a latent, P probed quantities.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lewm_evidence.model import LeWM

RIDGE = 1e-3
PROBED = ("agent_x", "agent_y", "block_x", "block_y", "angle_sin", "angle_cos")
GATED = PROBED[:4]  # the angle is reported; no small model has learned it in minutes


@dataclass(frozen=True)
class Dynamics:
    """One-step errors on held-out windows, mean squares per latent number.

    Attributes:
        prediction: of the model.
        copy: of "the latent does not change".
        shuffled: of the model when it is given the actions of other windows.
    """

    prediction: float
    copy: float
    shuffled: float


@torch.no_grad()
def dynamics(model: LeWM, frames: Tensor, actions: Tensor) -> Dynamics:
    """Returns the one-step errors of `model`, in eval mode, on frames (B, T + 1, H, W, 3), actions (B, T, A)."""
    z = model.encode(frames.flatten(0, 1)).reshape(*frames.shape[:2], -1)
    here, following = z[:, :-1], z[:, 1:]
    actions = actions.to(z.device)

    def error(guess: Tensor) -> float:
        return float((guess - following).square().mean())

    shuffled = actions.roll(1, dims=0)
    return Dynamics(error(model.predict(here, actions)), error(here), error(model.predict(here, shuffled)))


def embedding_std(z: Tensor) -> float:
    """Returns the standard deviation of latents (N, D), averaged over D; SIGReg pulls it to 1, collapse to 0."""
    return float(z.std(dim=0).mean())


def effective_rank(z: Tensor) -> float:
    """Returns exp(entropy of the normalised singular values) of centred latents (N, D), between 1 and D.

    Roy and Vetterli, The effective rank, EUSIPCO 2007.
    """
    values = torch.linalg.svdvals((z - z.mean(dim=0)).double())
    share = values / values.sum().clamp_min(1e-12)
    return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))


def probed(states: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the quantities (N, P) named in `PROBED` of PushT states (N, 7)."""
    angle = states[:, 4].astype(np.float64)
    return np.column_stack([states[:, :4], np.sin(angle), np.cos(angle)])


def probe_r2(
    z: Tensor, targets: NDArray[np.float64], z_test: Tensor, targets_test: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns R^2 (P,) on the test set of a ridge regression from latents (N, D) to targets (N, P)."""
    inputs, inputs_test = (latents.double().cpu().numpy() for latents in (z, z_test))
    mean, target_mean = inputs.mean(axis=0), targets.mean(axis=0)
    centred = inputs - mean
    ridge = RIDGE * len(inputs) * np.eye(inputs.shape[1])
    weights = np.linalg.solve(centred.T @ centred + ridge, centred.T @ (targets - target_mean))
    residual = targets_test - (inputs_test - mean) @ weights - target_mean
    return np.asarray(1 - np.square(residual).mean(axis=0) / np.maximum(targets_test.var(axis=0), 1e-12))
