"""Collects training data: scripted episodes in the simulator, as states and actions.

Inputs: none.
Writes:
    arrays `collect/episodes`: `states` float32 (episodes, steps + 1, S), `actions` float32 (episodes, steps, A).
    scalars `collect/episodes`, `collect/steps`; where there is a block: `collect/block_motion` (share of steps
    that move the block by more than 0.1 px), `collect/displacement_mean` and `collect/displacement_median` (px the
    block moves in 25 steps), `collect/turn_mean` (degrees it turns in 25 steps).
    timing `collect/simulate` (episodes per second).
"""

import time

import numpy as np
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.config import Collect
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say

LAG = 25  # steps over which displacement is measured, as far as goals lie ahead
MOVED = 0.1  # px per step


def run(out: Run) -> None:
    """Simulates the episodes one after the other; episode i has the seed `seed + i`."""
    config = Collect.model_validate(out.config)
    world = worlds.make(config.world)
    states = np.empty((config.episodes, config.steps + 1, world.state_dim), dtype=np.float32)
    actions = np.empty((config.episodes, config.steps, world.action_dim), dtype=np.float32)
    start = time.perf_counter()
    for index in range(config.episodes):
        episode = worlds.scripted_episode(world, config.seed + index, config.steps)
        states[index], actions[index] = episode.states, episode.actions
        if (index + 1) % max(1, config.episodes // 10) == 0:
            say(f"collect: {index + 1} of {config.episodes} episodes")
    out.timing("collect/simulate", config.episodes / (time.perf_counter() - start), unit="1/s")
    out.arrays("collect/episodes", {"states": states, "actions": actions})
    out.scalar("collect/episodes", config.episodes)
    out.scalar("collect/steps", config.steps)
    if world.block_outline is not None:
        _summarise(out, world, states)


def _summarise(out: Run, world: worlds.World, states: NDArray[np.float32]) -> None:
    names = world.state_names
    x, y, angle = (states[:, :, names.index(name)].astype(np.float64) for name in ("block_x", "block_y", "block_angle"))
    lag = min(LAG, states.shape[1] - 1)
    displacement = np.hypot(x[:, lag:] - x[:, :-lag], y[:, lag:] - y[:, :-lag])
    turn = np.abs((angle[:, lag:] - angle[:, :-lag] + np.pi) % (2 * np.pi) - np.pi)
    out.scalar("collect/block_motion", (np.hypot(np.diff(x), np.diff(y)) > MOVED).mean())
    out.scalar("collect/displacement_mean", displacement.mean())
    out.scalar("collect/displacement_median", np.median(displacement))
    out.scalar("collect/turn_mean", np.degrees(turn).mean())


if __name__ == "__main__":
    main(run)
