"""The simulators: start, act, look, judge.

A world computes in float64 on one CPU core; the same start and the same actions give the same states.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lewm_evidence.errors import ConfigError
from lewm_evidence.worlds.mix import Policy, check_shares
from lewm_evidence.worlds.pusht import PushT
from lewm_evidence.worlds.tworoom import TwoRoom


class World(Protocol):
    """What every simulator offers; `conformance` checks it. Letters: S numbers in a state, A in an action.

    Lengths are pixels of the plane `space`, y down; the first two numbers of a state are the agent's x and y there.

    Attributes:
        name: as in the configuration and in a checkpoint's normalization.
        title: as people write it.
        task: what is to be done, a sentence's beginning; "... N steps later" follows.
        judged: what the error is and what counts as success, in sentences.
        action_dim: numbers in an action, A.
        state_dim: numbers in a state, S.
        state_names: of the numbers in a state, (S,), beginning with `agent_` or `block_`. One that contains `angle`
            is an angle in radians; one that contains `velocity` cannot be seen in a picture.
        space: width and height of the plane.
        block_outline: (P, 2) the outline of what the agent moves, in its own frame, with its pose in
            `block_x`, `block_y` and `block_angle` of the state; None when the agent moves nothing.
        walls: float64 (W, P, 2), outlines of what never moves, to be drawn; (0, 0, 2) when there is nothing.
        behaviours: the default mix of the scripted policy, shares by name.
        min_travel: `travel` from which on a start and a goal are far enough apart to be worth planning.
    """

    name: str
    action_dim: int
    state_dim: int

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def task(self) -> str: ...  # noqa: D102
    @property
    def judged(self) -> str: ...  # noqa: D102
    @property
    def state_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def space(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def block_outline(self) -> NDArray[np.float64] | None: ...  # noqa: D102
    @property
    def walls(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def behaviours(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def min_travel(self) -> float: ...  # noqa: D102

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

    def draw(self, state: ArrayLike, size: int = 224, recoloured: bool = False) -> NDArray[np.uint8]:
        """Returns the picture of `state`, uint8 (size, size, 3), and leaves the world as it is.

        With `recoloured` what the agent moves, or the agent where it moves nothing, has a colour it never has.
        """

    def error(self, goal_state: ArrayLike) -> float:
        """Returns the distance to `goal_state` in px."""

    def success(self, goal_state: ArrayLike) -> bool:
        """Tells whether the state now counts as `goal_state` reached."""

    def travel(self, starts: NDArray[np.float64], goals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns how far what matters moves from states (N, S) to states (N, S), (N,) px."""

    def policy(self, rng: np.random.Generator, shares: Mapping[str, float] | None = None) -> Policy:
        """Returns a scripted policy for one episode, its behaviour drawn from `shares`, by default `behaviours`."""


@dataclass(frozen=True)
class Episode:
    """What happened in one episode of N steps.

    Attributes:
        states: float64 (N + 1, S), the start and the state after each action.
        actions: float32 (N, A) in [-1, 1].
    """

    states: NDArray[np.float64]
    actions: NDArray[np.float32]


WORLDS: dict[str, Callable[[], World]] = {"pusht": PushT, "tworoom": TwoRoom}


def make(name: str) -> World:
    """Returns a new world; raises `ConfigError` for a name that is not known."""
    if name not in WORLDS:
        raise ConfigError(f"there is no world {name!r}; known: {', '.join(WORLDS)}")
    return WORLDS[name]()


def scripted_episode(world: World, seed: int, steps: int, shares: Mapping[str, float] | None = None) -> Episode:
    """Runs the scripted mix of behaviours for `steps` actions; the result depends on the arguments alone."""
    states = [world.reset(seed)]
    # A stream of its own: the start and the behaviour must not share random numbers.
    policy = world.policy(np.random.default_rng([seed, 1]), shares)
    actions = []
    for _ in range(steps):
        actions.append(policy(states[-1]))
        states.append(world.step(actions[-1]))
    return Episode(np.array(states), np.array(actions, dtype=np.float32).reshape(steps, world.action_dim))


__all__ = ["WORLDS", "Episode", "Policy", "World", "check_shares", "make", "scripted_episode"]
