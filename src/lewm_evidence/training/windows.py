"""Episodes as training windows: pictures drawn or decoded once, actions z-scored in blocks.

Letters: E episodes of N steps and N + 1 frames each, F frames of all, B windows, T history, A action block =
frameskip x raw action, S state.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lewm_evidence.errors import StageError
from lewm_evidence.model.normalization import Normalization

HELD_OUT = 0.1  # of the episodes are kept from training, the last ones


@dataclass(frozen=True)
class Episodes:
    """Episodes one after the other, of any lengths.

    Attributes:
        frames: uint8 (F, H, W, 3); may be a file mapped into memory, of which only what is used is read.
        actions: raw, float32 (F, raw action size); row i leads from frame i to the next, an episode's last is unused.
        states: float32 (F, S), or None when nobody recorded them.
        lengths: frames in each episode, int64 (E,).
    """

    frames: NDArray[np.uint8]
    actions: NDArray[np.float32]
    states: NDArray[np.float32] | None
    lengths: NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Episodes cut into windows on demand.

    Attributes:
        episodes: with z-scored actions.
        history: action blocks T in a window of T + 1 frames.
        frameskip: environment steps between the frames of a window.
    """

    episodes: Episodes
    history: int
    frameskip: int

    def __len__(self) -> int:
        return len(self.episodes.lengths)

    def draw(self, rng: np.random.Generator, count: int, part: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Returns `count` random windows: uint8 pictures (B, T + 1, H, W, 3) and action blocks (B, T, A).

        Pictures come of `part` of the windows only.
        """
        span = self.history * self.frameskip
        first = self._draw_places(rng, count, span)[:, None]
        blocks = self.episodes.actions[first + np.arange(span)].reshape(count, self.history, -1)
        pictures = self.episodes.frames[first[part] + np.arange(0, span + 1, self.frameskip)]
        return torch.from_numpy(np.asarray(pictures)), torch.from_numpy(blocks)

    def draw_frames(self, rng: np.random.Generator, count: int) -> tuple[Tensor, NDArray[np.float32]]:
        """Returns `count` random pictures, uint8 (B, H, W, 3), and their states, float32 (B, S); S = 0 without any."""
        at = self._draw_places(rng, count, 0)
        states = self.episodes.states
        found = np.zeros((count, 0), np.float32) if states is None else states[at]
        return torch.from_numpy(np.asarray(self.episodes.frames[at])), found

    def _draw_places(self, rng: np.random.Generator, count: int, span: int) -> NDArray[np.int64]:
        """Returns the first frames (B,) of as many random windows of `span` steps, each inside one episode."""
        lengths = self.episodes.lengths
        episode = rng.integers(0, len(lengths), count)
        room = lengths - span
        start = rng.integers(0, room[0] if (room == room[0]).all() else room[episode], count)
        return (np.cumsum(lengths) - lengths)[episode] + start


def split_windows(episodes: Episodes, normalization: Normalization, history: int) -> tuple[Windows, Windows]:
    """Returns the windows to train on and the held-out ones; no episode is in both.

    Actions are z-scored; one that was not recorded (NaN) becomes 0, the mean.
    """
    scored = np.nan_to_num(normalization.normalize(episodes.actions), copy=False)
    whole = Episodes(episodes.frames, scored, episodes.states, episodes.lengths)
    first = train_episodes(len(episodes.lengths))
    parts = (_cut(whole, 0, first), _cut(whole, first, len(episodes.lengths)))
    train, held_out = (Windows(part, history, normalization.frameskip) for part in parts)
    return train, held_out


def _cut(episodes: Episodes, begin: int, end: int) -> Episodes:
    """Returns the episodes from number `begin` to `end`, without copying."""
    ends = np.concatenate([[0], np.cumsum(episodes.lengths)])
    part = slice(ends[begin], ends[end])
    states = None if episodes.states is None else episodes.states[part]
    return Episodes(episodes.frames[part], episodes.actions[part], states, episodes.lengths[begin:end])


def train_episodes(episodes: int) -> int:
    """Returns how many of `episodes`, from the first on, are for training."""
    return episodes - max(1, round(HELD_OUT * episodes))


def check_lengths(lengths: NDArray[np.int64], history: int, frameskip: int) -> None:
    """Raises `StageError` when episodes of `lengths` (E,) frames cannot be cut into windows or cannot be split."""
    if len(lengths) < 2:
        raise StageError("training needs at least 2 episodes, one of them held out; raise collect.episodes")
    shortest = int(lengths.min()) - 1
    if shortest < history * frameskip:
        raise StageError(
            f"an episode of {shortest} steps is shorter than a window of history x frameskip = {history} x "
            f"{frameskip} steps; raise collect.steps"
        )
