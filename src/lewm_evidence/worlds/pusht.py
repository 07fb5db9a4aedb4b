"""PushT: a round agent pushes a T-shaped block over a table, to a chosen pose.

The same physics and the same picture as swm/PushT-v1 of stable-worldmodel 0.1.1, built from a description of its
geometry and constants and tested against figures recorded from it (`tests/data/pusht_env_seed5.npz`).

Lengths are pixels of a 512 x 512 table with y pointing down, times are seconds, angles are radians.
"""

import math
from collections.abc import Mapping

import numpy as np
import pymunk
from numpy.typing import ArrayLike, NDArray

from lewm_evidence.errors import InputError
from lewm_evidence.worlds.mix import Policy
from lewm_evidence.worlds.pusht_picture import (
    AGENT_RADIUS,
    BAR,
    INDIAN_RED,
    SLATE_GRAY,
    SPACE,
    STEM,
    WALL_RADIUS,
    WALLS,
    Picture,
    Vertices,
)
from lewm_evidence.worlds.pusht_policy import BEHAVIOURS, PushTPolicy

BLOCK_OUTLINE: Vertices = ((-60, 0), (60, 0), (60, 30), (15, 30), (15, 120), (-15, 120), (-15, 30), (-60, 30))
BLOCK_MASS = 1.0
BLOCK_CENTRE = (0.0, 45.0)  # of gravity, in the block's frame

DT = 0.01
SUBSTEPS = 10
ACTION_SCALE = 100.0
STIFFNESS, DAMPING = 100.0, 20.0

SUCCESS_DISTANCE = 20.0
SUCCESS_ANGLE = math.pi / 9


class PushT:
    """The PushT simulator.

    A state is float64 (7,): agent x, y; block x, y, angle in [0, 2 pi); agent velocity x, y. An action is (2,) in
    [-1, 1]: the agent's controller aims for the point 100 px times the action away from where the agent is.

    `set_state` builds the physics anew, so that what follows depends on the state and the actions alone.
    """

    name = "pusht"
    title = "PushT"
    task = "Push the block and move the agent to where a scripted push had them"
    judged = (
        "Final error: distance in pixels of a 512 × 512 table over agent and block position together. Success also "
        "needs the block's angle within 20° and the distance below 20 px, at any step."
    )
    action_dim = 2
    state_names = ("agent_x", "agent_y", "block_x", "block_y", "block_angle", "agent_velocity_x", "agent_velocity_y")
    state_dim = len(state_names)
    space = (float(SPACE), float(SPACE))
    block_outline = np.array(BLOCK_OUTLINE, np.float64)
    walls = np.zeros((0, 0, 2))
    behaviours: Mapping[str, float] = BEHAVIOURS
    min_travel = 20.0

    def __init__(self) -> None:
        self._picture = Picture()
        self._build()

    def reset(self, seed: int) -> NDArray[np.float64]:
        """Sets a random start chosen by `seed` and returns the state after it has settled."""
        rng = np.random.default_rng(seed)
        agent = rng.uniform(50, 450, 2)
        block = rng.uniform(100, 400, 2)
        angle = rng.uniform(-2 * math.pi, 2 * math.pi)
        return self.set_state(np.array([*agent, *block, angle, 0.0, 0.0]))

    def set_state(self, state: ArrayLike) -> NDArray[np.float64]:
        """Sets `state`, lets the physics settle for one substep, and returns the state after it."""
        agent_x, agent_y, block_x, block_y, angle, speed_x, speed_y = _checked(state, self.state_dim, "state")
        self._build()
        self._agent.velocity = (speed_x, speed_y)
        self._agent.position = (agent_x, agent_y)
        # The angle first: turning a body about its centre of gravity moves its position.
        self._block.angle = angle
        self._block.position = (block_x, block_y)
        self._space.step(DT)
        return self.state

    @property
    def state(self) -> NDArray[np.float64]:
        """The state now, float64 (7,)."""
        angle = self._block.angle % (2 * math.pi)
        return np.array([*self._agent.position, *self._block.position, angle, *self._agent.velocity])

    def step(self, action: ArrayLike) -> NDArray[np.float64]:
        """Executes one action (2,) for a tenth of a second and returns the state after it."""
        x, y = _checked(action, self.action_dim, "action")
        target_x = np.float32(self._agent.position.x) + np.float32(ACTION_SCALE) * np.float32(x)
        target_y = np.float32(self._agent.position.y) + np.float32(ACTION_SCALE) * np.float32(y)
        for _ in range(SUBSTEPS):
            (at_x, at_y), (speed_x, speed_y) = self._agent.position, self._agent.velocity
            self._agent.velocity = (_pulled(target_x, at_x, speed_x), _pulled(target_y, at_y, speed_y))
            self._space.step(DT)
        return self.state

    def render(self, size: int = 224) -> NDArray[np.uint8]:
        """Returns the picture of the state now, uint8 (size, size, 3)."""
        return self.draw(self.state, size)

    def draw(self, state: ArrayLike, size: int = 224, recoloured: bool = False) -> NDArray[np.uint8]:
        """Returns the picture of `state`, uint8 (size, size, 3), with the block grey, or red if `recoloured`."""
        agent_x, agent_y, *pose = _checked(state, self.state_dim, "state")[:5]
        colour = INDIAN_RED if recoloured else SLATE_GRAY
        return self._picture.draw((agent_x, agent_y), (pose[0], pose[1], pose[2]), size, colour)

    def error(self, goal_state: ArrayLike) -> float:
        """Returns the distance in px to `goal_state` over agent xy and block xy together (4-D)."""
        goal = np.asarray(goal_state, dtype=np.float64)
        return float(np.linalg.norm(self.state[:4] - goal[:4]))

    def success(self, goal_state: ArrayLike) -> bool:
        """Tells whether agent and block are within 20 px (4-D) and 20 degrees of `goal_state`."""
        goal = np.asarray(goal_state, dtype=np.float64)
        turn = abs(float(self.state[4] - goal[4])) % (2 * math.pi)
        return self.error(goal) < SUCCESS_DISTANCE and min(turn, 2 * math.pi - turn) < SUCCESS_ANGLE

    def travel(self, starts: NDArray[np.float64], goals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns how far the block moves, (N,) px for states (N, 7)."""
        return np.asarray(np.linalg.norm(goals[:, 2:4] - starts[:, 2:4], axis=1))

    def policy(self, rng: np.random.Generator, shares: Mapping[str, float] | None = None) -> Policy:
        """Returns the policy of one episode: pushes, or a random walk, or another of `BEHAVIOURS`."""
        return PushTPolicy(rng, shares)

    def _build(self) -> None:
        self._space = pymunk.Space()
        self._space.gravity = (0, 0)
        self._space.damping = 0
        walls = zip(WALLS, (*WALLS[1:], WALLS[0]), strict=True)
        self._space.add(*(pymunk.Segment(self._space.static_body, a, b, WALL_RADIUS) for a, b in walls))
        self._agent = pymunk.Body(body_type=pymunk.Body.KINEMATIC)
        self._space.add(self._agent, pymunk.Circle(self._agent, AGENT_RADIUS))
        self._block = pymunk.Body(BLOCK_MASS, 2 * pymunk.moment_for_poly(BLOCK_MASS, BAR))
        self._block.center_of_gravity = BLOCK_CENTRE
        self._space.add(self._block, pymunk.Poly(self._block, BAR), pymunk.Poly(self._block, STEM))


def _pulled(target: np.float32, position: float, speed: float) -> float:
    """Returns the next speed along one axis, rounded to float32 after every operation as in the reference."""
    pull = np.float32(STIFFNESS) * (target - np.float32(position)) - np.float32(DAMPING * speed)
    return float(np.float32(speed) + pull * np.float32(DT))


def _checked(values: ArrayLike, length: int, what: str) -> list[float]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (length,) or not np.isfinite(array).all():
        raise InputError(f"a PushT {what} must be {length} finite numbers, got {array.tolist()}")
    return [float(value) for value in array]
