"""Collects training data: scripted episodes in the simulator, as states and actions.

Inputs: none.
Writes:
    arrays `collect/episodes`: `states` float32 (episodes, steps + 1, S), `actions` float32 (episodes, steps, A).
    scalars `collect/episodes`, `collect/steps`; where there is a block: `collect/block_motion` (share of steps
    that move the block by more than 0.1 px), `collect/displacement_mean` and `collect/displacement_median` (px the
    block moves in 25 steps), `collect/turn_mean` (degrees it turns in 25 steps).
    timing `collect/simulate` (episodes per second).

The episodes are shared out among as many processes as the job has threads; the result is the same for any number.
"""

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.config import Collect
from lewm_evidence.errors import StageError
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say

LAG = 25  # steps over which displacement is measured, as far as goals lie ahead
MOVED = 0.1  # px per step


def run(out: Run, processes: int = 1) -> None:
    """Simulates the episodes; episode i has the seed `seed + i`."""
    config = Collect.model_validate(out.config)
    world = worlds.make(config.world)
    if config.behaviours is not None:
        worlds.check_shares(config.behaviours, world.behaviours, world.name)
    states = np.empty((config.episodes, config.steps + 1, world.state_dim), dtype=np.float32)
    actions = np.empty((config.episodes, config.steps, world.action_dim), dtype=np.float32)
    start = time.perf_counter()
    for index, episode in enumerate(_episodes(config, processes)):
        states[index], actions[index] = episode.states, episode.actions
        if (index + 1) % max(1, config.episodes // 10) == 0:
            say(f"collect: {index + 1} of {config.episodes} episodes")
    out.timing("collect/simulate", config.episodes / (time.perf_counter() - start), unit="1/s")
    out.arrays("collect/episodes", {"states": states, "actions": actions})
    out.scalar("collect/episodes", config.episodes)
    out.scalar("collect/steps", config.steps)
    if world.block_outline is not None:
        _summarise(out, world, states)


def _episodes(config: Collect, processes: int) -> Iterator[worlds.Episode]:
    """Yields the episodes in order, each a pure function of the configuration and its number."""
    simulate = partial(_simulate, config)
    if processes == 1:
        yield from map(simulate, range(config.episodes))
        return
    # Fresh processes, not forks: nothing of this one's state or locks may leak into an episode.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(simulate, range(config.episodes), chunksize=max(1, config.episodes // (8 * processes)))
    except BrokenProcessPool as error:
        raise StageError("a collecting process died, perhaps for want of memory; use fewer threads") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _simulate(config: Collect, index: int) -> worlds.Episode:
    world = worlds.make(config.world)
    return worlds.scripted_episode(world, config.seed + index, config.steps, config.behaviours)


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


def _threads() -> int:
    """Returns the job's `--threads`; the rest of the command line is for `main`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--threads", type=int, default=1)
    threads: int = parser.parse_known_args()[0].threads
    return max(1, threads)


if __name__ == "__main__":
    main(partial(run, processes=_threads()))
