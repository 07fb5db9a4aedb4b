"""Plays every chosen start without a model: staying still, random actions, the recorded ones, and an oracle.

Inputs: `starts` (and `data` where the starts are recorded ones). Config: `world`, `seed`, `oracle`. It does not depend
on the checkpoint, so all checkpoints of a world share this run.

- `noop` stays where it is: what starts that lie at their goal are worth.
- `random` draws every action uniformly.
- `replay` repeats the recorded actions, then stays: what is reachable, up to the simulator's own rounding.
- `oracle` plans as the model does, but in the simulator, and judges a plan by the true state: the distance to the goal
  at its end, or 0 when it reaches the goal on the way. Of all plans it has tried it takes the best. Few samples bound
  it, not knowledge: it is no upper limit.

Writes the scalars of `play`, `baselines/<method>/...`. Timing: `baselines/oracle`, seconds for all starts.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lewm_evidence import worlds
from lewm_evidence.config import Planner
from lewm_evidence.data.statistics import action_statistics
from lewm_evidence.planning import CEM
from lewm_evidence.records import Run
from lewm_evidence.records.job import main
from lewm_evidence.stages.play import PolicyFor, play
from lewm_evidence.stages.pool import Chosen, read_chosen
from lewm_evidence.stages.rollout import (
    Actions,
    Policy,
    Task,
    episode_seeds,
    execute,
    generator,
    noop_policy,
    random_policy,
)
from lewm_evidence.worlds import World

FRAMESKIP = 5  # steps in an action block of the oracle, as in the paper


def run(out: Run) -> None:
    """Plays every start with each method."""
    world = worlds.make(out.config["world"])
    chosen = read_chosen(out)
    seed = out.config["seed"]
    play(out, world, chosen, "noop", lambda world, number, task: noop_policy(world.action_dim))
    play(
        out,
        world,
        chosen,
        "random",
        lambda world, number, task: random_policy(world.action_dim, episode_seeds(seed, number).actions),
    )
    play(out, world, chosen, "replay", lambda world, number, task: _replay(chosen, number))
    began = time.perf_counter()
    play(out, world, chosen, "oracle", _oracle(chosen, Planner.model_validate(out.config["oracle"]), seed))
    out.timing("baselines/oracle", time.perf_counter() - began)


def _replay(chosen: Chosen, number: int) -> Policy:
    actions = chosen.actions(number)
    still = noop_policy(actions.shape[1])
    return lambda world, left: actions if left == chosen.budget else still(world, left)


@dataclass(frozen=True)
class _Blocks:
    """The size of an action block, as CEM asks for it."""

    action_block_dim: int


class Simulator:
    """The true dynamics in the place of a model: a latent is a state, its cost what the simulator does.

    Args:
        world: is driven to and fro; not the one that is being played.
        mean: of one raw action, (A,).
        std: its standard deviation, (A,).
    """

    device = torch.device("cpu")

    def __init__(self, world: World, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
        self.config = _Blocks(FRAMESKIP * world.action_dim)
        self._world = world
        self._mean, self._std = mean, std

    def encode(self, images: Tensor) -> Tensor:
        """Is never asked: an oracle sees states, not pictures."""
        raise NotImplementedError

    def actions(self, blocks: Tensor) -> Actions:
        """Returns raw actions (..., steps, A) in [-1, 1] for z-scored blocks (..., T, FRAMESKIP * A)."""
        scored = blocks.double().numpy().reshape(*blocks.shape[:-2], -1, len(self._mean))
        return np.clip(scored * self._std + self._mean, -1.0, 1.0).astype(np.float32)

    def cost_from_latents(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> Tensor:
        """Returns the true costs (S,) in px of z-scored blocks (S, T, FRAMESKIP * A) from one state to another."""
        start, goal = z_start.numpy(), z_goal.numpy()
        return torch.tensor([self._cost(start, goal, sequence) for sequence in self.actions(actions)])

    def cost_gradient(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Is never asked: the cross-entropy method needs no gradient, and contacts have none."""
        raise NotImplementedError

    def _cost(self, start: NDArray[np.float64], goal: NDArray[np.float64], actions: Actions) -> float:
        self._world.set_state(start)
        _, reached = execute(self._world, goal, actions)
        return 0.0 if reached else self._world.error(goal)


def _oracle(chosen: Chosen, planner: Planner, seed: int) -> PolicyFor:
    mean, std = (np.array(values) for values in action_statistics(chosen.pool.actions))

    def policy_for(world: World, number: int, task: Task) -> Policy:
        simulator = Simulator(worlds.make(world.name), mean, std)
        stream = generator(episode_seeds(seed, number).planner)

        def plan_and_act(world: World, left: int) -> Actions:
            horizon = min(planner.horizon, -(-left // FRAMESKIP))
            cem = CEM(simulator, planner.num_samples, planner.iterations, planner.elites, horizon)
            plan = cem.solve(torch.from_numpy(world.state), torch.from_numpy(task.goal), stream)
            tried = torch.cat([step.candidates for step in plan.history] + [plan.actions[None]])
            costs = torch.cat([step.costs for step in plan.history] + [torch.tensor([plan.cost])])
            return simulator.actions(tried[costs.argmin()])[: planner.execute * FRAMESKIP]

        return plan_and_act

    return policy_for


if __name__ == "__main__":
    main(run)
