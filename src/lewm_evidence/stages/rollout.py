"""What showcase and evaluate share: seeded tasks, and acting in the real simulator under a policy.

Every random stream belongs to one episode and one purpose, so a result does not depend on the order of episodes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.config import Planner
from lewm_evidence.errors import StageError
from lewm_evidence.model import LeWM
from lewm_evidence.planning import CEM, FastLeWM, Plan
from lewm_evidence.records import Run
from lewm_evidence.worlds import World

EPISODE_STEPS = 100  # of the scripted episode that start and goal are cut from; as in training data
LATE = 2  # blocks that a planner which counts down looks ahead once the goal is overdue
EDGE_PX = 15.0  # a start and a goal are preferred whose agent is farther than this inside the picture

Actions = NDArray[np.float32]
Policy = Callable[[World, int], Actions]  # the world and the steps left, to the actions to execute next


@dataclass(frozen=True)
class Seeds:
    """The seeds of one episode: of its task, of the planner's samples and of random actions."""

    task: int
    planner: int
    actions: int


@dataclass(frozen=True)
class Task:
    """From where to where. Both states have settled: they are what the pictures show.

    Attributes:
        start: state (S,).
        goal: state (S,), reached by the scripted pusher from `start`.
    """

    start: NDArray[np.float64]
    goal: NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """How an episode ended, and the distance in px to the goal then."""

    success: bool
    env_steps: int
    final_error_px: float


def episode_seeds(seed: int, episode: int) -> Seeds:
    """Returns the seeds of one episode of a stage that was given `seed`."""
    return Seeds(*(int(word) for word in np.random.SeedSequence([seed, episode]).generate_state(3)))


def make_task(world: World, seed: int, goal_offset: int) -> Task:
    """Returns a start and a goal `goal_offset` steps later along a scripted episode.

    Offsets into the episode are tried in an order chosen by `seed`; the first one from which what matters travels
    by `world.min_travel` is taken, or the one with the farthest travel when there is none. Offsets at which the
    agent is not wholly in the picture come last.
    """
    states = worlds.scripted_episode(world, seed, max(EPISODE_STEPS, goal_offset)).states
    starts = np.random.default_rng(seed).permutation(len(states) - goal_offset)
    goals = starts + goal_offset
    enough = world.min_travel
    travel = np.minimum(world.travel(states[starts], states[goals]), enough)
    agent = states[:, :2]
    shown = np.all((agent > EDGE_PX) & (agent < np.array(world.space) - EDGE_PX), axis=1)
    start = starts[np.argmax(travel - 2 * enough * ~(shown[starts] & shown[goals]))]
    return Task(world.set_state(states[start]), world.set_state(states[start + goal_offset]))


def load_model(out: Run) -> LeWM:
    """Returns the model of the run's `checkpoint` input, on the device the spec names.

    Raises `StageError` when the spec asks for CUDA and there is none.
    """
    model = load_checkpoint(out.input("checkpoint").path / "checkpoint")
    if out.spec.device == "cuda":
        if not torch.cuda.is_available():
            raise StageError(f"{out.spec.stage} was planned for CUDA and finds no device; set device: cpu")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        model = model.to("cuda")
    return model


def untrained_like(model: LeWM, seed: int) -> LeWM:
    """Returns a model of the same architecture, normalisation and device with fresh weights, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = LeWM(model.config, model.normalization)
    return fresh.to(model.device).eval().requires_grad_(False)


class Actor:
    """The model with its normalisation and a planner: from pictures to actions of the simulator.

    Attributes:
        model: the world model, laid out for speed in the precision that the planner asks for.
        normalization: of the data it was trained on.
        frameskip: environment steps in an action block.
        execute: environment steps of a plan that are executed before planning again.

    Args:
        due: steps of the budget that are left when a planner that counts down should be at the goal.
    """

    def __init__(self, model: LeWM, planner: Planner, due: int = 0) -> None:
        self.model = FastLeWM(model, precision=planner.precision)
        self.normalization = model.normalization
        self.frameskip = model.normalization.frameskip
        self.execute = planner.execute * self.frameskip
        self._planner = planner
        self._due = due if planner.countdown else 0

    def horizon(self, left: int) -> int:
        """Returns the length in blocks of a plan made with `left` steps to go.

        No plan looks beyond the budget: one that may reach the goal later never has to, and wanders.
        With `countdown` none looks beyond the step at which the goal is due or, past that, LATE blocks ahead.
        """
        ahead = left - self._due if left > self._due else LATE * self.frameskip
        return min(self._planner.horizon, math.ceil(min(left, ahead) / self.frameskip))

    def plan(self, start: torch.Tensor, goal: torch.Tensor, stream: torch.Generator, left: int) -> Plan:
        """Returns CEM's plan from one latent (D,) to another, with `left` steps to go."""
        planner = self._planner
        cem = CEM(self.model, planner.num_samples, planner.iterations, planner.elites, self.horizon(left))
        return cem.solve(start, goal, stream)

    def picture(self, world: World, state: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Returns the picture of `state` at the size the model was trained on, uint8 (H, W, 3)."""
        return world.draw(state, self.model.config.image_size)

    def encode(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        """Returns the latent (D,) of one picture."""
        return self.model.encode(picture[None])[0]

    def costs(self, start: torch.Tensor, goal: torch.Tensor, actions: Actions) -> NDArray[np.float64]:
        """Returns the model's costs (N,) of raw actions (N, steps, A), from one latent (D,) to another."""
        return self.model.cost_from_latents(start, goal, self.blocks(actions)).double().cpu().numpy()

    def blocks(self, actions: Actions) -> torch.Tensor:
        """Returns raw actions (N, steps, A) as z-scored, time-major blocks (N, T, frameskip * A)."""
        normal = self.normalization.normalize(torch.from_numpy(actions))
        return self.normalization.to_blocks(normal).to(self.model.device)

    def actions(self, blocks: torch.Tensor) -> Actions:
        """Returns z-scored blocks (..., T, frameskip * A) as raw actions (..., steps, A).

        They are clipped to [-1, 1], the simulator's action space: the model may not do what others cannot.
        """
        raw = self.normalization.denormalize(self.normalization.from_blocks(blocks))
        return raw.clamp(-1.0, 1.0).float().cpu().numpy()


def generator(seed: int) -> torch.Generator:
    """Returns a random stream for one episode's planner; on the CPU, so that the draws are the same everywhere."""
    return torch.Generator().manual_seed(seed)


def planning_policy(actor: Actor, world: World, goal: NDArray[np.float64], seed: int) -> Policy:
    """Returns the policy that looks, plans to the picture of `goal`, and executes the first blocks."""
    z_goal = actor.encode(actor.picture(world, goal))
    stream = generator(seed)

    def plan_and_act(world: World, left: int) -> Actions:
        plan = actor.plan(actor.encode(actor.picture(world, world.state)), z_goal, stream, left)
        return actor.actions(plan.actions)[: actor.execute]

    return plan_and_act


def random_policy(action_dim: int, seed: int) -> Policy:
    """Returns the policy that draws every action uniformly from [-1, 1]."""
    stream = np.random.default_rng(seed)
    return lambda world, left: stream.uniform(-1.0, 1.0, (1, action_dim)).astype(np.float32)


def noop_policy(action_dim: int) -> Policy:
    """Returns the policy that always stays where it is."""
    return lambda world, left: np.zeros((1, action_dim), np.float32)


def execute(world: World, goal: NDArray[np.float64], actions: Actions) -> tuple[int, bool]:
    """Executes `actions` until the goal is reached; returns how many were executed and whether it is reached."""
    for count, action in enumerate(actions, 1):
        world.step(action)
        if world.success(goal):
            return count, True
    return len(actions), False


def act(world: World, task: Task, policy: Policy, budget: int) -> Outcome:
    """Runs `policy` from the start of `task` until success, looked for after every step, or `budget` steps."""
    world.set_state(task.start)
    steps, success = 0, False
    while steps < budget and not success:
        executed, success = execute(world, task.goal, policy(world, budget - steps)[: budget - steps])
        steps += executed
    return Outcome(success, steps, world.error(task.goal))
