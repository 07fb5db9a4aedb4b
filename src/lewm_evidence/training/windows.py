"""Episodes as training windows: pictures drawn once, actions z-scored in blocks.

Letters: E episodes of N steps, B windows, T history, F frameskip, A action block = F x raw action, S state.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lewm_evidence.errors import StageError
from lewm_evidence.model.normalization import Normalization
from lewm_evidence.worlds import World

HELD_OUT = 0.1  # of the episodes are kept from training, the last ones


@dataclass(frozen=True)
class Windows:
    """Pictures, action blocks and states of some episodes, cut into windows on demand.

    Attributes:
        frames: uint8 (E, N + 1, H, W, 3).
        actions: z-scored raw actions, float32 (E, N, raw action size).
        states: float32 (E, N + 1, S).
        history: action blocks T in a window of T + 1 frames.
        frameskip: environment steps F between the frames of a window.
    """

    frames: NDArray[np.uint8]
    actions: NDArray[np.float32]
    states: NDArray[np.float32]
    history: int
    frameskip: int

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Returns `count` random windows: uint8 pictures (B, T + 1, H, W, 3) and action blocks (B, T, A)."""
        span = self.history * self.frameskip
        episode = rng.integers(0, len(self.frames), count)
        start = rng.integers(0, self.actions.shape[1] - span + 1, count)
        at = start[:, None] + np.arange(0, span + 1, self.frameskip)
        steps = start[:, None] + np.arange(span)
        blocks = self.actions[episode[:, None], steps].reshape(count, self.history, -1)
        return torch.from_numpy(self.frames[episode[:, None], at]), torch.from_numpy(blocks)

    def draw_frames(self, rng: np.random.Generator, count: int) -> tuple[Tensor, NDArray[np.float32]]:
        """Returns `count` random pictures, uint8 (B, H, W, 3), and their states, float32 (B, S)."""
        episode = rng.integers(0, self.frames.shape[0], count)
        at = rng.integers(0, self.frames.shape[1], count)
        return torch.from_numpy(self.frames[episode, at]), self.states[episode, at]


def split_windows(
    states: NDArray[np.float32],
    actions: NDArray[np.float32],
    frames: NDArray[np.uint8],
    normalization: Normalization,
    history: int,
) -> tuple[Windows, Windows]:
    """Returns the windows to train on and the held-out ones; no episode is in both."""
    first = train_episodes(len(states))
    scored = normalization.normalize(actions)
    parts = (slice(None, first), slice(first, None))
    train, held_out = (
        Windows(frames[part], scored[part], states[part], history, normalization.frameskip) for part in parts
    )
    return train, held_out


def train_episodes(episodes: int) -> int:
    """Returns how many of `episodes`, from the first on, are for training."""
    return episodes - max(1, round(HELD_OUT * episodes))


def check_lengths(episodes: int, steps: int, history: int, frameskip: int) -> None:
    """Raises `StageError` when the episodes cannot be cut into windows or cannot be split."""
    if steps < history * frameskip:
        raise StageError(
            f"episodes of {steps} steps are shorter than a window of history x frameskip = {history} x {frameskip} "
            "steps; raise collect.steps"
        )
    if episodes < 2:
        raise StageError("training needs at least 2 episodes, one of them held out; raise collect.episodes")


def draw_all(
    world: World, states: NDArray[np.float32], size: int, progress: Callable[[int], None]
) -> NDArray[np.uint8]:
    """Returns the pictures of `states` (E, N + 1, S), uint8 (E, N + 1, size, size, 3), by the world's renderer.

    Args:
        world: draws; its state is left as it is.
        states: what to draw.
        size: side of a picture in pixels.
        progress: called with the number of episodes drawn.
    """
    frames = np.empty((*states.shape[:2], size, size, 3), dtype=np.uint8)
    for episode, trajectory in enumerate(states):
        for step, state in enumerate(trajectory):
            frames[episode, step] = world.draw(state, size)
        progress(episode + 1)
    return frames
