"""Collects training data: scripted episodes in the simulator, as states and actions; or recorded ones.

Inputs: none.
Writes for scripted episodes:
    arrays `collect/episodes`: `states` float32 (episodes, steps + 1, S), `actions` float32 (episodes, steps, A).
    scalars `collect/episodes`, `collect/steps`; where there is a block: `collect/block_motion` (share of steps
    that move the block by more than 0.1 px), `collect/displacement_mean` and `collect/displacement_median` (px the
    block moves in 25 steps), `collect/turn_mean` (degrees it turns in 25 steps).
    timing `collect/simulate` (episodes per second).

Writes for a dataset, E episodes with F frames together:
    arrays `collect/recorded`: `lengths` int64 (E,), `actions` float32 (F, A), `states` float32 (F, S) if recorded.
    event `collect/dataset` (episodes, frames, sha256 of the dataset and of the decoded pictures); scalars
    `collect/action_mean/<i>` and `collect/action_std/<i>` (population, of rows without NaN).
    file `logs/frames.npy` uint8 (F, size, size, 3), a cache of the decoded pictures that is never sealed.

Scripted episodes are shared out among as many processes as the job has threads; any number gives the same result.
"""

import argparse
import importlib
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.config import Collect, Dataset
from lewm_evidence.data import Recording, identity, open_recording
from lewm_evidence.data.frames import write_frames
from lewm_evidence.data.statistics import action_statistics
from lewm_evidence.errors import DataError, StageError
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say

LAG = 25  # steps over which displacement is measured, as far as goals lie ahead
MOVED = 0.1  # px per step


def run(out: Run, processes: int = 1) -> None:
    """Simulates the episodes, episode i with the seed `seed + i`; or reads the dataset."""
    config = Collect.model_validate(out.config)
    world = worlds.make(config.world)
    if config.dataset is not None:
        _read(out, config.dataset, world)
        return
    if config.behaviours is not None:
        worlds.check_shares(config.behaviours, world.behaviours, world.name)
    states = np.empty((config.episodes, config.steps + 1, world.state_dim), dtype=np.float32)
    actions = np.empty((config.episodes, config.steps, world.action_dim), dtype=np.float32)
    start = time.perf_counter()
    for index, episode in enumerate(_episodes(config, processes)):
        states[index], actions[index] = episode.states, episode.actions
        _progress(index + 1, config.episodes)
    out.timing("collect/simulate", config.episodes / (time.perf_counter() - start), unit="1/s")
    out.arrays("collect/episodes", {"states": states, "actions": actions})
    out.scalar("collect/episodes", config.episodes)
    out.scalar("collect/steps", config.steps)
    if world.block_outline is not None:
        _summarise(out, world, states)


def _progress(done: int, episodes: int) -> None:
    if done % max(1, episodes // 10) == 0:
        say(f"collect: {done} of {episodes} episodes")


def _read(out: Run, dataset: Dataset, world: worlds.World) -> None:
    """Reads the dataset episode by episode; actions and states are kept, pictures shrunk into the cache."""
    path = Path(dataset.path)
    if dataset.repo is not None:
        # Not an import statement: how the file came here changes nothing in it, its sha256 is in the key.
        hub = importlib.import_module("lewm_evidence.data.hub")
        hub.fetch_dataset(dataset.repo, dataset.revision, dataset.sha256, path)
    found = identity(path)
    if dataset.sha256 not in (None, found):
        raise DataError(f"{path} has sha256 {found}, the configuration pins {dataset.sha256}; nothing was read")
    with closing(open_recording(path, dataset.camera)) as recording:
        lengths = recording.lengths[: dataset.episodes]
        episodes = range(len(lengths))
        actions = np.concatenate([recording.actions(episode) for episode in episodes])
        states = [recording.states(episode) for episode in episodes]
        _check_fit(path, world, actions)
        frames = write_frames(out.path, _pictures(recording, len(lengths)), int(lengths.sum()), dataset.image_size)
    arrays = {"lengths": lengths, "actions": actions}
    known = [part for part in states if part is not None and part.shape[1] == world.state_dim]
    out.arrays("collect/recorded", arrays | ({"states": np.concatenate(known)} if known else {}))
    out.event("collect/dataset", episodes=len(lengths), frames=len(actions), sha256=found, frames_sha256=frames)
    for name, values in zip(("mean", "std"), action_statistics(actions), strict=True):
        for index, value in enumerate(values):
            out.scalar(f"collect/action_{name}/{index}", value)


def _check_fit(path: Path, world: worlds.World, actions: NDArray[np.float32]) -> None:
    if actions.shape[1] != world.action_dim:
        raise DataError(
            f"the actions in {path} have {actions.shape[1]} numbers, those of {world.name} {world.action_dim}; "
            "set collect.world to the simulator that the dataset was recorded in"
        )


def _pictures(recording: Recording, episodes: int) -> Iterator[NDArray[np.uint8]]:
    for episode in range(episodes):
        yield recording.frames(episode)
        _progress(episode + 1, episodes)


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
