"""Collects training data: scripted episodes in the simulator, as states and actions.

Inputs: none.
Writes:
    arrays `collect/episodes`: `states` float32 (episodes, steps + 1, S), `actions` float32 (episodes, steps, A).
    scalars `collect/block_motion` (share of steps that move the block by more than 0.1 px),
    `collect/displacement_mean`, `collect/displacement_median` (px the block moves in 25 steps),
    `collect/turn_mean` (degrees it turns in 25 steps), `collect/episodes`, `collect/steps`.
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
    _summarise(out, states)


def _summarise(out: Run, states: NDArray[np.float32]) -> None:
    block = states[:, :, 2:4].astype(np.float64)
    moved = np.linalg.norm(np.diff(block, axis=1), axis=-1) > MOVED
    lag = min(LAG, states.shape[1] - 1)
    displacement = np.linalg.norm(block[:, lag:] - block[:, :-lag], axis=-1)
    turn = states[:, lag:, 4].astype(np.float64) - states[:, :-lag, 4]
    turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
    out.scalar("collect/episodes", len(states))
    out.scalar("collect/steps", states.shape[1] - 1)
    out.scalar("collect/block_motion", moved.mean())
    out.scalar("collect/displacement_mean", displacement.mean())
    out.scalar("collect/displacement_median", np.median(displacement))
    out.scalar("collect/turn_mean", np.degrees(turn).mean())


if __name__ == "__main__":
    main(run)
