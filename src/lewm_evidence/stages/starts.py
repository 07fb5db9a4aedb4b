"""Chooses the episodes and starts that the paper's tables are about.

Input: `data`, a collected dataset with states, where one is configured; else scripted episodes are simulated, the
same ones for every checkpoint. Config: `world`, `seed` of the scripted episodes, `starts`.

A start is a recorded row with a goal `goal_offset` rows later in its episode. As in the published evaluation, rows
are drawn without replacement by `numpy.random.default_rng(choice_seed)` from all possible ones and then sorted. Of
scripted episodes, only rows are possible that show the agent at start and goal; recorded ones are taken as they are.

Writes arrays `starts/chosen`, int64 (n,): `rows` in the pool, `episodes`, `steps` in the episode; for scripted
episodes arrays `starts/pool`: `lengths` int64 (E,), `states` float32 (F, S), `actions` float32 (F, A), NaN where no
action follows; scalars `starts/episodes`, `starts/possible`; event `starts/protocol`.
"""

import numpy as np
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.config import Starts
from lewm_evidence.errors import StageError
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.stages.pool import Pool, read_dataset
from lewm_evidence.stages.rollout import EDGE_PX, episode_seeds


def run(out: Run) -> None:
    """Makes or reads the pool, and chooses the starts."""
    config = Starts.model_validate(out.config["starts"])
    world = worlds.make(out.config["world"])
    recorded = "data" in out.spec.inputs
    pool = read_dataset(out.input("data")) if recorded else _simulate(world, config, out.config["seed"])
    if not recorded:
        out.arrays("starts/pool", {"lengths": pool.lengths, "states": pool.states, "actions": pool.actions})
    possible = possible_rows(pool.lengths, config.goal_offset)
    if not recorded:
        shown = _shown(world, pool.states)
        possible = possible[shown[possible] & shown[possible + config.goal_offset]]
    rows = choose(possible, config.episodes, config.choice_seed)
    episodes = np.searchsorted(np.cumsum(pool.lengths), rows, side="right")
    steps = rows - (np.cumsum(pool.lengths) - pool.lengths)[episodes]
    out.arrays("starts/chosen", {"rows": rows, "episodes": episodes, "steps": steps})
    out.scalar("starts/episodes", len(pool.lengths))
    out.scalar("starts/possible", len(possible))
    source = "dataset" if recorded else "scripted"
    out.event("starts/protocol", source=source, world=world.name, seed=out.config["seed"], **config.model_dump())
    say(f"starts: {len(rows)} of {len(possible)} possible ones, from {len(pool.lengths)} {source} episodes")


def possible_rows(lengths: NDArray[np.int64], goal_offset: int) -> NDArray[np.int64]:
    """Returns, in order, the rows of episodes of `lengths` (E,) whose episode goes on for `goal_offset` rows."""
    steps = np.concatenate([np.arange(length) for length in lengths])
    return np.nonzero(steps < np.repeat(lengths, lengths) - goal_offset)[0]


def choose(possible: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Returns `count` of the `possible` rows, sorted, drawn as `eval.py` of lucas-maes/le-wm draws them.

    Older revisions of that file leave out the last possible row, which gives another draw.

    Raises:
        StageError: when there are not so many.
    """
    if count > len(possible):
        raise StageError(
            f"{count} starts are wanted and only {len(possible)} are possible; lower tables.starts.episodes or "
            "raise tables.starts.pool"
        )
    return np.sort(possible[np.random.default_rng(seed).choice(len(possible), size=count, replace=False)])


def _simulate(world: worlds.World, config: Starts, seed: int) -> Pool:
    length = config.pool_steps + 1
    states = np.empty((config.pool, length, world.state_dim), np.float32)
    actions = np.full((config.pool, length, world.action_dim), np.nan, np.float32)
    for number in range(config.pool):
        episode = worlds.scripted_episode(world, episode_seeds(seed, number).task, config.pool_steps)
        states[number], actions[number, :-1] = episode.states, episode.actions
    rows = config.pool * length
    return Pool(np.full(config.pool, length), states.reshape(rows, -1), actions.reshape(rows, -1), None)


def _shown(world: worlds.World, states: NDArray[np.float32]) -> NDArray[np.bool_]:
    agent = states[:, :2]
    return np.asarray(np.all((agent > EDGE_PX) & (agent < np.array(world.space) - EDGE_PX), axis=1))


if __name__ == "__main__":
    main(run)
