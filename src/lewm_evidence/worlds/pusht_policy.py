"""A scripted mix of behaviours for PushT, one per episode.

push: go behind the block, push through it, choose again; the block moves in many directions and turns.
wander: move at random, so that a model also sees what the agent does alone.
rotate: push the ends of the block's bar and stem sideways, so that it turns more than it moves.
weak: move at random near the block, touching it by chance.
"""

import math
from collections.abc import Mapping
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.worlds.mix import chosen

BEHAVIOURS = {"push": 0.7, "wander": 0.3, "rotate": 0.0, "weak": 0.0}
SPACE_CENTRE = 256.0
REACH = 100.0  # px that an action of 1 aims ahead
APPROACH_SPEED = 0.6
STANDOFF = 110.0  # px from the aimed point, clear of the block whatever its angle
CLEARANCE = 95.0  # px from the block's centre at which the agent walks round it
INSIDE = (25.0, 487.0)  # where the agent may be sent
# A wandering agent turns back this far inside the border; below 0 it leaves the table first, which nothing
# prevents. A model that never saw this plans paths through the walls and loses the agent from sight.
MARGIN = (-100.0, 60.0)
LEVERS = ((-50.0, 15.0), (50.0, 15.0), (0.0, 105.0))  # the block's ends in its own frame
NEAR = 100.0  # px from the block's centre beyond which a weak agent turns back to it
BLOCK_INSIDE = (90.0, 422.0)  # where pushes should leave the block's centre

Vector = NDArray[np.float64]


class _Phase(Enum):
    APPROACH = 1
    PUSH = 2


class PushTPolicy:
    """Chooses actions for one episode; everything random comes from `rng`.

    Args:
        rng: decides the behaviour of the episode, its pushes and the noise of every action.
        shares: of the behaviours; by default `BEHAVIOURS`.
    """

    def __init__(self, rng: np.random.Generator, shares: Mapping[str, float] | None = None) -> None:
        self._rng = rng
        self._behaviour = chosen(rng, BEHAVIOURS if shares is None else shares)
        self._speed = float(rng.uniform(0.2, 0.6))
        margin = float(rng.uniform(*MARGIN))
        self._turn_back = (margin, 2 * SPACE_CENTRE - margin)
        self._noise = float(rng.uniform(0.0, 0.15))
        self._phase = _Phase.APPROACH
        self._left = 0  # steps until the present intention is given up

    def __call__(self, state: Vector) -> NDArray[np.float32]:
        """Returns the action (2,) in [-1, 1] for `state` (7,)."""
        act = {"wander": self._wander, "weak": self._stay_near}.get(self._behaviour, self._push)
        wish = act(state)
        action = wish + self._rng.normal(0.0, self._noise, 2)
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def _wander(self, state: Vector) -> Vector:
        """Returns a random velocity, held for some steps and turned back near the border."""
        if self._left == 0:
            self._left = int(self._rng.integers(1, 9))
            self._wish = self._rng.uniform(-1.5, 1.5, 2) * self._speed
        self._left -= 1
        outward = np.sign(state[:2] - np.clip(state[:2], *self._turn_back))
        return np.where(outward != 0, -outward * np.abs(self._wish), self._wish)

    def _stay_near(self, state: Vector) -> Vector:
        """Returns a random velocity, turned towards the block when it is far."""
        wish, centre = self._wander(state), block_centre(state)
        far = np.linalg.norm(centre - state[:2]) > NEAR
        return _direction(centre - state[:2]) * float(np.linalg.norm(wish)) if far else wish

    def _push(self, state: Vector) -> Vector:
        if self._left == 0:
            choose = self._choose_turn if self._behaviour == "rotate" else self._choose
            choose(state)
        self._left -= 1
        agent = state[:2]
        if self._phase is _Phase.APPROACH and np.linalg.norm(self._behind - agent) < 15:
            self._phase, self._left = _Phase.PUSH, int(self._rng.integers(6, 16))
            self._through = agent + (self._aim - agent) / np.linalg.norm(self._aim - agent) * self._length
        if self._phase is _Phase.PUSH:
            if np.linalg.norm(self._through - agent) < 10:
                self._left = 0
            return _towards(self._through, agent, self._speed)
        return _towards(_around(agent, self._behind, block_centre(state)), agent, APPROACH_SPEED)

    def _choose(self, state: Vector) -> None:
        """Chooses a point of the block, a direction and a length for the next push."""
        for _ in range(10):
            direction = _unit(self._rng.uniform(0, 2 * math.pi))
            travel = float(self._rng.uniform(30, 160))
            end = block_centre(state) + travel * direction
            if np.all((end > BLOCK_INSIDE[0]) & (end < BLOCK_INSIDE[1])):
                break
        else:
            direction = _direction(np.full(2, SPACE_CENTRE) - block_centre(state))
        # Off the centre of gravity the block turns, so pushes aim up to half its width beside it.
        sideways = np.array([-direction[1], direction[0]]) * self._rng.uniform(-50, 50)
        self._go(block_centre(state) + sideways, direction, travel)

    def _choose_turn(self, state: Vector) -> None:
        """Chooses an end of the bar or of the stem, and a short push across the lever to the centre of gravity."""
        x, y, angle = state[2:5]
        u, v = LEVERS[self._rng.integers(len(LEVERS))]
        end = np.array([x + math.cos(angle) * u - math.sin(angle) * v, y + math.sin(angle) * u + math.cos(angle) * v])
        lever = _direction(end - block_centre(state))
        across = np.array([-lever[1], lever[0]]) * self._rng.choice([-1.0, 1.0])
        self._go(end, across, float(self._rng.uniform(20, 90)))

    def _go(self, aim: Vector, direction: Vector, travel: float) -> None:
        """Intends to push through `aim` in `direction`, `travel` px beyond it."""
        self._aim = aim
        self._behind = np.clip(aim - STANDOFF * direction, *INSIDE)
        self._length = STANDOFF + travel
        self._phase, self._left = _Phase.APPROACH, 30


def block_centre(state: Vector) -> Vector:
    """Returns the block's centre of gravity (2,) in px for `state` (7,)."""
    x, y, angle = state[2:5]
    return np.array([x - 45 * math.sin(angle), y + 45 * math.cos(angle)])


def _around(agent: Vector, goal: Vector, centre: Vector) -> Vector:
    """Returns where to head for so as to reach `goal` without touching a block at `centre`."""
    way = goal - agent
    nearest = agent + way * np.clip(np.dot(centre - agent, way) / max(float(np.dot(way, way)), 1e-9), 0, 1)
    if np.linalg.norm(nearest - centre) > CLEARANCE - 10:
        return goal
    here, there = agent - centre, goal - centre
    turn = math.copysign(0.6, float(here[0] * there[1] - here[1] * there[0]))
    angle = math.atan2(here[1], here[0]) + turn
    return np.clip(centre + (CLEARANCE + 15) * _unit(angle), *INSIDE)


def _towards(goal: Vector, agent: Vector, speed: float) -> Vector:
    way = (goal - agent) / REACH * 2
    length = float(np.linalg.norm(way))
    return way * min(1.0, speed / length) if length > 0 else way


def _direction(way: Vector) -> Vector:
    length = float(np.linalg.norm(way))
    return way / length if length > 0 else np.array([1.0, 0.0])


def _unit(angle: float) -> Vector:
    return np.array([math.cos(angle), math.sin(angle)])
