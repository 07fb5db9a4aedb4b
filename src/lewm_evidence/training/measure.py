"""Measures of a latent space that tell a model that learned from one that collapsed.

Letters: N pictures, B windows, T history, D size of a latent, P probed quantities.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lewm_evidence.config import Train
from lewm_evidence.model import LeWM
from lewm_evidence.training.data import Data
from lewm_evidence.worlds import World

RIDGE = 1e-3
SHOWN = 128


def held_out(model: LeWM, data: Data, config: Train) -> dict[str, float]:
    """Returns every measure of `model`, in eval mode, by name; of the same sample each time."""
    rng = np.random.default_rng([config.seed, 0, 1])
    errors = dynamics(model, *data.held_out.draw(rng, config.measured))
    z_test = model.encode(data.held_out.draw_frames(rng, 2 * config.measured)[0])
    scores = _probe(model, data, rng, config.measured) if data.train.episodes.states is not None else {}
    positions = [score for name, score in scores.items() if is_position(name)]
    return {
        "embedding_std": embedding_std(z_test),
        "effective_rank": effective_rank(z_test),
        "val_prediction": errors.prediction,
        "val_copy": errors.copy,
        "val_shuffled": errors.shuffled,
        **({"probe_r2_min": min(positions)} if positions else {}),
        **{f"probe_r2/{name}": score for name, score in scores.items()},
    }


def shown(model: LeWM, data: Data, seed: int) -> dict[str, NDArray[np.float32]]:
    """Returns `latents` (128, D) of held-out pictures and where things are in them; of the same pictures each time.

    `places` (128, 2) are the block's, or the agent's where there is no block, as shares of the plane; 0.5 where no
    states are known.
    """
    frames, states = data.held_out.draw_frames(np.random.default_rng([seed, 0, 2]), SHOWN)
    names = data.world.state_names
    first = names.index("block_x") if "block_x" in names else names.index("agent_x")
    known = states.shape[1] > 0
    places = states[:, first : first + 2] / data.world.space if known else np.full((len(states), 2), 0.5)
    return {"latents": model.encode(frames).float().cpu().numpy(), "places": np.asarray(places, np.float32)}


def _probe(model: LeWM, data: Data, rng: np.random.Generator, measured: int) -> dict[str, float]:
    """Returns the held-out R^2 of each quantity, of pictures that show the agent."""
    z, targets = _seen(model, data.world, *data.train.draw_frames(rng, 4 * measured))
    z_test, targets_test = _seen(model, data.world, *data.held_out.draw_frames(rng, 2 * measured))
    columns = (np.column_stack(list(found.values())) for found in (targets, targets_test))
    return dict(zip(targets, probe_r2(z, next(columns), z_test, next(columns)).tolist(), strict=True))


def _seen(
    model: LeWM, world: World, frames: Tensor, states: NDArray[np.float32]
) -> tuple[Tensor, dict[str, NDArray[np.float64]]]:
    shown = visible(states, world)
    return model.encode(frames[torch.from_numpy(shown)]), probed(states[shown], world)


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


def visible(states: NDArray[np.float32], world: World) -> NDArray[np.bool_]:
    """Tells for states (N, S) whether the agent is in the picture; elsewhere its place cannot be read."""
    return np.asarray(((states[:, :2] >= 0) & (states[:, :2] < world.space)).all(axis=1))


def probed(states: NDArray[np.float32], world: World) -> dict[str, NDArray[np.float64]]:
    """Returns what a picture shows of states (N, S), each (N,) by name; an angle as its sine and cosine."""
    found: dict[str, NDArray[np.float64]] = {}
    for name, column in zip(world.state_names, states.T.astype(np.float64), strict=True):
        if "angle" in name:
            found |= {f"{name}_sin": np.sin(column), f"{name}_cos": np.cos(column)}
        elif "velocity" not in name:
            found[name] = column
    return found


def is_position(name: str) -> bool:
    """Tells whether the gate asks for this quantity; no small model has learned the angle in minutes."""
    return not name.endswith(("_sin", "_cos"))


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
