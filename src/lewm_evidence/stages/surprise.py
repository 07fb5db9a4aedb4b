"""Violation of expectation: is the model surprised by what cannot happen?

Inputs: `checkpoint`, `starts` (and `data` where the episodes are recorded ones). Config: `seed`, `surprise`.

Each episode is played in the simulator from its recorded start with its recorded actions, three times with the same
past: as it is (`expected`), with the state suddenly that of another start (`teleport`), and with the block, or the
agent where there is none, in another colour from then on (`colour`); as in appendix F.3 of the paper. Surprise is the
mean squared error, over the numbers of a latent, of the model's one-step prediction from up to `history` pictures.

Writes
- scalars `surprise/<condition>/curve` with `_low` and `_high` (mean over episodes and its 95 % t interval; step =
  action block, the event is at block `before`);
- scalars `surprise/<condition>/at_event` (step = episode) for each condition;
- for `teleport` and `colour`, each against `expected` in the same episodes at the event, a paired t-test: scalars
  `surprise/<condition>/difference` with `_low` and `_high`, and `t`, `p`, `effect`, `n`;
- event `surprise/protocol`.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.config import Planner, Surprise
from lewm_evidence.errors import StageError
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.stages.inference import mean_t, paired_t
from lewm_evidence.stages.pool import Pool, read_pool
from lewm_evidence.stages.rollout import Actions, Actor, episode_seeds, load_model
from lewm_evidence.stages.statistics import record_estimate
from lewm_evidence.worlds import World

CONDITIONS = ("expected", "teleport", "colour")
FAR = 0.25  # of the plane's width: how far block, or agent, is moved at least

States = NDArray[np.float64]


def run(out: Run) -> None:
    """Plays every episode under each condition and tests the difference."""
    config = Surprise.model_validate(out.config["surprise"])
    model = load_model(out)
    if config.before < model.config.history:
        raise StageError(f"surprise.before must be at least the model's history={model.config.history}")
    actor = Actor(model, Planner())
    world = worlds.make(model.normalization.world)
    pool = read_pool(out)
    steps = (config.before + config.after) * actor.frameskip
    long_enough = np.nonzero(pool.lengths > steps)[0]
    episodes = np.random.default_rng(out.config["seed"]).permutation(long_enough)[: config.episodes]
    if len(episodes) < 2:
        raise StageError(f"{len(episodes)} episodes have {steps} steps; lower surprise.before or surprise.after")
    out.event("surprise/protocol", n=len(episodes), seed=out.config["seed"], **config.model_dump())
    found: dict[str, list[NDArray[np.float64]]] = {condition: [] for condition in CONDITIONS}
    for number, episode in enumerate(episodes):
        rows = pool.rows(int(episode))[: steps + 1]
        seed = episode_seeds(out.config["seed"], int(episode)).task
        for condition, values in _episode(actor, world, pool, rows, config.before, seed).items():
            found[condition].append(values)
        if (number + 1) % max(1, len(episodes) // 5) == 0:
            say(f"surprise: {number + 1} of {len(episodes)} episodes")
    _record(out, {condition: np.array(values) for condition, values in found.items()}, config.before)


def _episode(
    actor: Actor, world: World, pool: Pool, rows: NDArray[np.int64], before: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Returns the surprise (T,) at blocks 1..T of one episode of T blocks, by condition."""
    actions = pool.actions[rows[:-1]]
    event = before * actor.frameskip
    expected = simulate(world, pool.states[rows[0]], actions)
    elsewhere = teleported(world, expected[event], seed)
    moved = np.concatenate([expected[:event], simulate(world, elsewhere, actions[event:])])
    size, every = actor.model.config.image_size, slice(None, None, actor.frameskip)
    plain = [world.draw(state, size) for state in expected[every]]
    jump = plain[:before] + [world.draw(state, size) for state in moved[every][before:]]
    colour = plain[:before] + [world.draw(state, size, recoloured=True) for state in expected[every][before:]]
    films = {"expected": plain, "teleport": jump, "colour": colour}
    return {condition: surprise(actor, np.stack(film), actions) for condition, film in films.items()}


def simulate(world: World, start: States, actions: Actions) -> States:
    """Returns the states (steps + 1, S) from `start` under actions (steps, A)."""
    states = [world.set_state(start)]
    states += [world.step(action) for action in actions]
    return np.array(states)


def teleported(world: World, state: States, seed: int) -> States:
    """Returns the state of a random start from which what matters would have to travel far to `state`."""
    stream = np.random.default_rng(seed)
    while True:
        there = world.reset(int(stream.integers(2**32)))
        if world.travel(state[None], there[None])[0] >= FAR * world.space[0]:
            return there


def surprise(actor: Actor, pictures: NDArray[np.uint8], actions: Actions) -> NDArray[np.float64]:
    """Returns the prediction error (T,) of each picture after the first.

    Args:
        actor: the model, with its normalisation.
        pictures: uint8 (T + 1, H, W, 3), frameskip steps apart.
        actions: raw, (T * frameskip, A).
    """
    z = actor.model.encode(pictures)
    blocks = actor.blocks(actions[None])[0]
    errors = []
    with torch.no_grad():
        for t in range(len(blocks)):
            past = slice(max(0, t + 1 - actor.model.config.history), t + 1)
            guess = actor.model.model.predict(z[None, past], blocks[None, past])[0, -1]
            errors.append(float((guess - z[t + 1]).square().mean()))
    return np.array(errors)


def _record(out: Run, found: dict[str, NDArray[np.float64]], before: int) -> None:
    for condition, curves in found.items():
        for block, values in enumerate(curves.T, 1):
            record_estimate(out, f"surprise/{condition}/curve", mean_t(values), block)
        for episode, value in enumerate(curves[:, before - 1]):
            out.scalar(f"surprise/{condition}/at_event", value, episode)
    for condition in CONDITIONS[1:]:
        test = paired_t(found[condition][:, before - 1], found["expected"][:, before - 1])
        tag = f"surprise/{condition}"
        record_estimate(out, f"{tag}/difference", test.difference)
        for name in ("t", "p", "effect", "n"):
            out.scalar(f"{tag}/{name}", getattr(test, name))
        say(f"surprise: {condition}: {test.difference.mean:+.3f}, t = {test.t:.1f}, p = {test.p:.1e}")


if __name__ == "__main__":
    main(run)
