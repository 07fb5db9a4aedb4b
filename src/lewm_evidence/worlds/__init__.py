"""The simulators: start, act, look, judge.

A world computes in float64 on one CPU core; the same start and the same actions give the same states.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lewm_evidence.errors import ConfigError
from lewm_evidence.worlds.pusht import PushT
from lewm_evidence.worlds.pusht_policy import PushTPolicy


class World(Protocol):
    """What every simulator offers.

    Attributes:
        name: as in the configuration and in a checkpoint's normalization.
        action_dim: numbers in an action.
        state_dim: numbers in a state.
    """

    name: str
    action_dim: int
    state_dim: int

    def reset(self, seed: int) -> NDArray[np.float64]:
        """Sets a random start chosen by `seed` and returns the state after it has settled."""

    def set_state(self, state: ArrayLike) -> NDArray[np.float64]:
        """Sets `state` and returns the state after it has settled."""

    @property
    def state(self) -> NDArray[np.float64]:
        """The state now, float64 (state_dim,)."""

    def step(self, action: ArrayLike) -> NDArray[np.float64]:
        """Executes one action (action_dim,) in [-1, 1] and returns the state after it."""

    def render(self, size: int = 224) -> NDArray[np.uint8]:
        """Returns the picture of the state now, uint8 (size, size, 3)."""

    def draw(self, state: ArrayLike, size: int = 224) -> NDArray[np.uint8]:
        """Returns the picture of `state`, uint8 (size, size, 3), and leaves the world as it is."""

    def error(self, goal_state: ArrayLike) -> float:
        """Returns the distance to `goal_state` in px."""

    def success(self, goal_state: ArrayLike) -> bool:
        """Tells whether the state now counts as `goal_state` reached."""


@dataclass(frozen=True)
class Episode:
    """What happened in one episode of N steps.

    Attributes:
        states: float64 (N + 1, S), the start and the state after each action.
        actions: float32 (N, A) in [-1, 1].
    """

    states: NDArray[np.float64]
    actions: NDArray[np.float32]


def make(name: str) -> World:
    """Returns a new world; raises `ConfigError` for a name that is not known."""
    if name != "pusht":
        raise ConfigError(f"there is no world {name!r}; known: pusht")
    return PushT()


def scripted_episode(world: World, seed: int, steps: int) -> Episode:
    """Runs the scripted mix of behaviours for `steps` actions; the result depends on the arguments alone."""
    states = [world.reset(seed)]
    # A stream of its own: the start and the behaviour must not share random numbers.
    policy = PushTPolicy(np.random.default_rng([seed, 1]))
    actions = []
    for _ in range(steps):
        actions.append(policy(states[-1]))
        states.append(world.step(actions[-1]))
    return Episode(np.array(states), np.array(actions, dtype=np.float32).reshape(steps, world.action_dim))


__all__ = ["Episode", "World", "make", "scripted_episode"]
