"""PushT as LeRobot's policies know it (gym-pusht): the block goes to one fixed pose, actions are points on the table.

The physics is that of `PushT`. The agent's end is free there, so only the block is judged here.
"""

from collections import deque

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lewm_evidence.worlds.pusht import ACTION_SCALE, DAMPING, DT, STIFFNESS, SUBSTEPS, PushT
from lewm_evidence.worlds.pusht_picture import AGENT_RADIUS, TARGET_POSE, WALL_RADIUS, placed

Values = NDArray[np.float64]

_BEHIND = placed([(0.0, -AGENT_RADIUS - WALL_RADIUS)], TARGET_POSE)[0]
GOAL: Values = np.array([*_BEHIND, *TARGET_POSE, 0.0, 0.0])
"""The block at its target, and the agent at the back of its bar as after a push; (7,)."""


class TargetPushT(PushT):
    """PushT in which the block alone is judged, and that remembers where it has been.

    Success is the block within 20 px and 20 degrees of the goal; gym-pusht asks for 95 % overlap, which is stricter.
    """

    task = "Push the block onto the green T, wherever the agent ends"
    judged = (
        "Final error: distance in pixels of a 512 × 512 table between the block and its target. Success also needs the "
        "block's angle within 20° and the distance below 20 px, at any step."
    )

    def __init__(self, remembered: int = 1) -> None:
        super().__init__()
        self._past: deque[Values] = deque(maxlen=remembered)

    def set_state(self, state: ArrayLike) -> Values:
        """Sets `state` as `PushT` does and forgets what was before."""
        settled = super().set_state(state)
        self._past.clear()
        self._past.append(settled)
        return settled

    def step(self, action: ArrayLike) -> Values:
        """Executes one relative action as `PushT` does."""
        state = super().step(action)
        self._past.append(state)
        return state

    def past(self) -> list[Values]:
        """Returns the last states, oldest first; the first one stands for those before the start."""
        missing = (self._past.maxlen or 0) - len(self._past)
        return [self._past[0]] * missing + list(self._past)

    def error(self, goal_state: ArrayLike) -> float:
        """Returns the distance in px between the block and its place in `goal_state`."""
        goal = np.asarray(goal_state, dtype=np.float64)
        return float(np.linalg.norm(self.state[2:4] - goal[2:4]))


def relative_actions(state: ArrayLike, targets: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Returns the actions that move the agent towards absolute targets one after another, and which were too far.

    The agent is not slowed by what it pushes, so where it will be is known from its own motion. A target more than
    100 px away along an axis is approached as far as one action of the simulator reaches, [-1, 1].

    Args:
        state: where the agent starts, as of `PushT`, (7,).
        targets: points on the table in px, (N, T, 2).

    Returns:
        actions, float32 (N, T, 2), and whether each was clipped, (N, T).
    """
    points = np.asarray(targets, dtype=np.float64)
    start = np.asarray(state, dtype=np.float64)
    position = np.broadcast_to(start[:2], (len(points), 2))
    velocity = np.broadcast_to(start[5:7], (len(points), 2))
    actions, clipped = np.empty(points.shape, np.float32), np.empty(points.shape[:2], np.bool_)
    for step in range(points.shape[1]):
        wanted = (points[:, step] - position) / ACTION_SCALE
        actions[:, step] = np.clip(wanted, -1.0, 1.0)
        clipped[:, step] = (np.abs(wanted) > 1.0).any(axis=1)
        aim = position + ACTION_SCALE * actions[:, step]
        for _ in range(SUBSTEPS):
            velocity = velocity + (STIFFNESS * (aim - position) - DAMPING * velocity) * DT
            position = position + velocity * DT
    return actions, clipped
