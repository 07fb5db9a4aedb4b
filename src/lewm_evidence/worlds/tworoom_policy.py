"""Scripted behaviours for TwoRoom: walk to places, through the door where they are in the other room; or wander."""

import numpy as np
from numpy.typing import NDArray

OTHER_ROOM = 0.6  # share of the places that are chosen in the room where the agent is not
ARRIVED = 5.0  # px from a place at which the next one is chosen
STRIDE = 5.0  # px that an action of 1 moves
CLEAR = 12.0  # px from the wall's centre at which the agent is out of the wall's way
MARGIN = 20.0  # px from the wall's centre at which places begin
ALIGNED = 10.0  # px from the door's centre, along the wall, within which the agent goes through
PATIENCE = 60  # steps after which a place that was not reached is given up

Vector = NDArray[np.float64]


class Walker:
    """Chooses actions for one episode; everything random comes from `rng`.

    Args:
        rng: decides speed, noise, places and every action.
        wanders: walk at random instead of to places.
        inside: the least and the largest coordinate where the agent may be, along both axes.
        door: the centre of the door.
    """

    def __init__(
        self, rng: np.random.Generator, *, wanders: bool, inside: tuple[float, float], door: tuple[float, float]
    ) -> None:
        self._rng = rng
        self._wanders = wanders
        self._inside = inside
        self._door: Vector = np.array(door)
        self._speed = float(rng.uniform(0.5, 1.0))
        self._noise = float(rng.uniform(0.05, 0.5))
        self._left = 0  # steps until the present intention is given up

    def __call__(self, state: Vector) -> NDArray[np.float32]:
        """Returns the action (2,) in [-1, 1] for `state` (2,)."""
        wish = self._wander() if self._wanders else self._walk(state)
        action = wish + self._rng.normal(0.0, self._noise, 2)
        return np.clip(action, -1.0, 1.0).astype(np.float32)

    def _wander(self) -> Vector:
        """Returns a random velocity, held for some steps."""
        if self._left == 0:
            self._left = int(self._rng.integers(1, 9))
            self._wish = self._rng.uniform(-1.0, 1.0, 2)
        self._left -= 1
        return self._wish

    def _walk(self, state: Vector) -> Vector:
        if self._left == 0 or np.linalg.norm(self._place - state) < ARRIVED:
            self._choose(state)
        self._left -= 1
        way = self._next(state) - state
        length = float(np.linalg.norm(way))
        # Not further than the place, so that a walker slows down instead of running to and fro.
        return way / max(length, 1e-9) * min(self._speed, length / STRIDE)

    def _choose(self, state: Vector) -> None:
        left = bool(state[0] < self._door[0]) != bool(self._rng.random() < OTHER_ROOM)
        low, high = self._inside
        across = (low, self._door[0] - MARGIN) if left else (self._door[0] + MARGIN, high)
        self._place = np.array([self._rng.uniform(*across), self._rng.uniform(low, high)])
        self._left = PATIENCE

    def _next(self, state: Vector) -> Vector:
        """Returns where to head for: the place, or when it is in the other room, first the door and then through."""
        side = 1.0 if self._place[0] > self._door[0] else -1.0
        through: Vector = np.array([MARGIN * side, 0.0])
        beyond = (state[0] - self._door[0]) * side  # px past the wall's centre
        if beyond > CLEAR:
            return self._place
        if beyond < -MARGIN - ARRIVED or abs(state[1] - self._door[1]) > ALIGNED:
            return self._door - through
        return self._door + through
