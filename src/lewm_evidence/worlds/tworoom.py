"""TwoRoom: a point agent in two rooms, joined by one door in the wall between them.

The same motion and the same picture as swm/TwoRoom-v1 of stable-worldmodel 0.1.1, built from a description of its
geometry and tested against figures recorded from it (`tests/data/tworoom_env_seed5.npz`).

Lengths are pixels of a 224 x 224 plan with y pointing down. Everything is computed in float32, as in the reference.
"""

from collections.abc import Mapping
from functools import cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lewm_evidence.errors import InputError
from lewm_evidence.worlds.mix import Policy, chosen
from lewm_evidence.worlds.tworoom_policy import Walker

SPACE = 224
RADIUS = 7.0  # of the agent
SPEED = 5.0  # px that an action of 1 moves in a step
INSIDE = (14.0 + RADIUS, 210.0 - RADIUS)  # where the agent's centre may be, along both axes
BORDER, BORDER_WIDTH = (10, 210), 4  # first row or column of each border line

WALL_X, WALL_HALF = 112.0, 5.0
WALL_ZONE = (WALL_X - WALL_HALF - RADIUS, WALL_X + WALL_HALF + RADIUS)  # closed to the agent, but for the door
REBOUND = 0.5  # px in front of the wall zone that a blocked agent is put
DOOR_Y, DOOR_HALF = 49.0, 14.0
DOOR_REACH = DOOR_HALF + RADIUS / 4  # how far from the door's centre an agent still passes

SUCCESS_DISTANCE = 16.0
AGENT_COLOUR, OTHER_COLOUR = (255, 0, 0), (0, 0, 255)
# px from the agent beyond which its dot changes no float32 colour: exp(-d^2 / (2 * 7^2)) is below 2^-25 there.
DOT_REACH = 42


class TwoRoom:
    """The TwoRoom simulator.

    A state is float64 (2,): agent x, y, holding float32 values. An action is (2,), clipped to [-1, 1]: the agent
    moves by 5 px times the action, stops at the border, and passes the wall only through the door.
    """

    name = "tworoom"
    title = "TwoRoom"
    task = "Move the agent to where a scripted walker was"
    judged = (
        "Final error: straight distance in pixels of a 224 × 224 plan, also through the wall. Success is a distance "
        "below 16 px, at any step."
    )
    action_dim = 2
    state_names = ("agent_x", "agent_y")
    state_dim = len(state_names)
    space = (float(SPACE), float(SPACE))
    block_outline = None
    behaviours: Mapping[str, float] = {"walk": 0.8, "wander": 0.2}
    min_travel = 60.0

    def __init__(self) -> None:
        self._position = np.array([56.0, 112.0], np.float32)

    @property
    def walls(self) -> NDArray[np.float64]:
        """The outlines of border and walls, float64 (3, 4, 2): the inner border, the wall above and below the door."""
        inner, outer = BORDER[0] + BORDER_WIDTH, BORDER[1]
        left, right = WALL_X - WALL_HALF, WALL_X + WALL_HALF
        boxes = (
            (inner, inner, outer, outer),
            (left, inner, right, DOOR_Y - DOOR_HALF),
            (left, DOOR_Y + DOOR_HALF, right, outer),
        )
        return np.array([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)] for x0, y0, x1, y1 in boxes], np.float64)

    def reset(self, seed: int) -> NDArray[np.float64]:
        """Sets a random place outside the wall zone, chosen by `seed`, and returns the state."""
        rng = np.random.default_rng(seed)
        while True:
            place = rng.uniform(*INSIDE, 2)
            if not WALL_ZONE[0] <= place[0] <= WALL_ZONE[1]:
                return self.set_state(place)

    def set_state(self, state: ArrayLike) -> NDArray[np.float64]:
        """Sets `state`, rounded to float32, and returns it."""
        self._position = _checked(state, "state")
        return self.state

    @property
    def state(self) -> NDArray[np.float64]:
        """The state now, float64 (2,)."""
        return self._position.astype(np.float64)

    def step(self, action: ArrayLike) -> NDArray[np.float64]:
        """Executes one action (2,) and returns the state after it."""
        move = np.clip(_checked(action, "action"), np.float32(-1), np.float32(1)) * np.float32(SPEED)
        position = np.clip(self._position + move, np.float32(INSIDE[0]), np.float32(INSIDE[1]))
        if abs(position[1] - np.float32(DOOR_Y)) > DOOR_REACH:
            if self._position[0] < WALL_X and position[0] > WALL_ZONE[0]:
                position[0] = WALL_ZONE[0] - REBOUND
            elif self._position[0] >= WALL_X and position[0] < WALL_ZONE[1]:
                position[0] = WALL_ZONE[1] + REBOUND
        self._position = position
        return self.state

    def render(self, size: int = 224) -> NDArray[np.uint8]:
        """Returns the picture of the state now, uint8 (size, size, 3)."""
        return self.draw(self.state, size)

    def draw(self, state: ArrayLike, size: int = 224, recoloured: bool = False) -> NDArray[np.uint8]:
        """Returns the picture of `state`, uint8 (size, size, 3), with the agent red, or blue if `recoloured`.

        Drawn at 224 px as the reference does; other sizes are averages over areas, so that the place of the agent
        shows in them to a fraction of a pixel.
        """
        picture = _plan().copy()
        _dot(picture, _checked(state, "state"), OTHER_COLOUR if recoloured else AGENT_COLOUR)
        if size == SPACE:
            return picture
        return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)

    def error(self, goal_state: ArrayLike) -> float:
        """Returns the distance in px to `goal_state`."""
        return float(np.linalg.norm(self.state - _checked(goal_state, "goal state")))

    def success(self, goal_state: ArrayLike) -> bool:
        """Tells whether the agent is within 16 px of `goal_state`."""
        return self.error(goal_state) < SUCCESS_DISTANCE

    def travel(self, starts: NDArray[np.float64], goals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns how far the agent has to walk, (N,) px for states (N, 2): straight, or through the door."""
        door = np.array([WALL_X, DOOR_Y])
        through = np.linalg.norm(starts - door, axis=1) + np.linalg.norm(goals - door, axis=1)
        apart = (starts[:, 0] < WALL_X) != (goals[:, 0] < WALL_X)
        return np.asarray(np.where(apart, through, np.linalg.norm(goals - starts, axis=1)))

    def policy(self, rng: np.random.Generator, shares: Mapping[str, float] | None = None) -> Policy:
        """Returns the policy of one episode: a walker that finds the door, or a random walk."""
        behaviour = chosen(rng, self.behaviours if shares is None else shares)
        return Walker(rng, wanders=behaviour == "wander", inside=INSIDE, door=(WALL_X, DOOR_Y))


@cache
def _plan() -> NDArray[np.uint8]:
    """Returns the picture without the agent, uint8 (224, 224, 3); do not write to it."""
    plan = np.full((SPACE, SPACE, 3), 255, np.uint8)
    x = np.arange(SPACE)
    beside_door = abs(x - DOOR_Y) > DOOR_HALF
    plan[np.ix_(beside_door, abs(x - WALL_X) <= WALL_HALF)] = 0
    for first in BORDER:
        plan[first : first + BORDER_WIDTH] = 0
        plan[:, first : first + BORDER_WIDTH] = 0
    return plan


def _dot(picture: NDArray[np.uint8], centre: NDArray[np.float32], colour: tuple[int, int, int]) -> None:
    """Blends the agent into `picture`: a Gaussian of its radius, 1 at the pixel nearest to its centre."""
    low = np.clip(np.floor(centre).astype(int) - DOT_REACH, 0, SPACE - 1)
    high = np.clip(np.ceil(centre).astype(int) + DOT_REACH + 1, 1, SPACE)
    x, y = (np.arange(low[axis], high[axis], dtype=np.float32) - centre[axis] for axis in (0, 1))
    weight = np.exp(-(x[None] ** 2 + y[:, None] ** 2) / np.float32(2 * RADIUS**2))
    if weight.max() == 0:
        return  # too far outside to leave a trace
    weight = (weight / weight.max())[..., None]
    part = picture[low[1] : high[1], low[0] : high[0]]
    part[:] = part.astype(np.float32) * (1 - weight) + np.array(colour, np.float32) * weight


def _checked(values: ArrayLike, what: str) -> NDArray[np.float32]:
    array = np.asarray(values, dtype=np.float32)
    if array.shape != (2,) or not np.isfinite(array).all():
        raise InputError(f"a TwoRoom {what} must be 2 finite numbers, got {array.tolist()}")
    return array.copy()
