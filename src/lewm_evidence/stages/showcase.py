"""One episode, recorded in full: plan, act in the real simulator, look again.

Input: `checkpoint`. At every decision the world model scores candidate action sequences from four sources: the
scripted pusher continued from where the world is (it does not know the goal), perturbed copies of those, uniform
random actions, and CEM's own mean and elites. The sequence of lowest predicted cost *among all of them* is the
winner; its first `planner.execute` blocks are executed, then the decision is made again, until success or budget.
No plan looks beyond the budget, so the last plans, and the arrays about them, are shorter.

Writes, step d = decision, t = environment step, i = CEM iteration counted over all decisions:

- scalars `showcase/cost/best|mean|max` and `showcase/latent_distance` (d; squared, before acting),
  `showcase/prediction_error` (d; squared, at the last block executed whole; absent when there was none),
  `showcase/cem/elite_cost_mean|elite_cost_min` (i), `showcase/error_px` and
  the visible numbers of the state by name, such as `showcase/agent_x` (t)
- histograms `showcase/cost/candidates` (d), `showcase/cem/costs` (i; of all samples), `showcase/cem/elite_costs` (i)
- images `showcase/observation` (d; what the model sees), `showcase/goal`, `showcase/frame` (t; for people),
  `showcase/retrieved` (d; what was reached, beside the real pictures nearest to it and to the prediction),
  `showcase/pictures` (thumbnails of those pictures)
- arrays `showcase/decision` (d; see `_record_decision`), `showcase/geometry`, `showcase/latents` (of the pictures),
  and where an action has two numbers `showcase/landscape` (d; see `_record_landscape`)
- events `showcase/decision` (d), `showcase/outcome`; texts `showcase/task`, `showcase/checkpoint`
- timings `latency/encode|cost|solve` (step 0 is the first call in the process), `decision/solve` (d),
  and on a GPU `gpu/peak_memory`
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.config import Showcase
from lewm_evidence.planning import Plan
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.stages.latents import Library, explore, retrieved, sheet
from lewm_evidence.stages.rollout import Actions, Actor, Seeds, Task, episode_seeds, generator, load_model, make_task
from lewm_evidence.worlds import World

SOURCES = ("scripted", "perturbed", "random", "cem")
PERTURBATION = 0.3  # standard deviation of the noise on the scripted pusher's actions, in action units
FRAME_SIZE = 224
LANDSCAPE = 21  # values of each number of an action in the cost landscape

T = TypeVar("T")


@dataclass(frozen=True)
class Candidates:
    """What is scored at a decision: raw actions (N, steps, A), costs (N,) and indices (N,) into `SOURCES`."""

    actions: Actions
    costs: NDArray[np.float64]
    source: NDArray[np.int64]

    @property
    def winner(self) -> int:
        """The index of the lowest cost; the first of equals."""
        return int(np.argmin(self.costs))


@dataclass(frozen=True)
class Setting:
    """What stays the same over the episode."""

    out: Run
    config: Showcase
    actor: Actor
    world: World
    scratch: World
    task: Task
    z_goal: torch.Tensor
    library: Library
    rng: np.random.Generator
    stream: torch.Generator


def run(out: Run) -> None:
    """Measures latencies, then records the episode."""
    config = Showcase.model_validate(out.config)
    model = load_model(out)
    actor = Actor(model, config.planner, max(0, config.budget - config.goal_offset))
    world, scratch = (worlds.make(model.normalization.world) for _ in range(2))
    seeds = episode_seeds(config.seed, 0)
    task = make_task(world, seeds.task, config.goal_offset)
    _record_task(out, config, actor, world, task)
    _measure_latencies(out, config, actor, world, task)
    setting = _setting(out, config, actor, (world, scratch), task, seeds)
    decisions, steps, success = _episode(setting)
    fields = {"env_steps": steps, "decisions": decisions, "success": success}
    start_error = _error_between(scratch, task)
    final_error = world.error(task.goal)
    out.event(
        "showcase/outcome",
        planner_path=actor.model.path,
        **fields,
        start_error_px=start_error,
        final_error_px=final_error,
    )
    say(f"showcase: {'goal reached' if success else 'budget spent'} after {steps} steps, {final_error:.0f} px off")
    if out.spec.device == "cuda":
        out.timing("gpu/peak_memory", torch.cuda.max_memory_allocated(), unit="bytes")


def _setting(out: Run, config: Showcase, actor: Actor, pair: tuple[World, World], task: Task, seeds: Seeds) -> Setting:
    world, scratch = pair
    z_goal = actor.encode(actor.picture(world, task.goal))
    library = explore(actor, scratch, task.start, config.seed, config.budget)
    out.arrays("showcase/latents", library.arrays())
    out.image("showcase/pictures", sheet(scratch, library))
    rng, stream = np.random.default_rng(seeds.actions), generator(seeds.planner)
    return Setting(out, config, actor, world, scratch, task, z_goal, library, rng, stream)


def _error_between(scratch: World, task: Task) -> float:
    scratch.set_state(task.start)
    return scratch.error(task.goal)


def _record_task(out: Run, config: Showcase, actor: Actor, world: World, task: Task) -> None:
    out.image("showcase/goal", world.draw(task.goal, FRAME_SIZE))
    geometry = {
        "goal_state": task.goal,
        "start_state": task.start,
        "space": np.array(world.space, np.float64),
    }
    if world.block_outline is not None:
        geometry["block_outline"] = world.block_outline
    if len(world.walls):
        geometry["walls"] = world.walls
    out.arrays("showcase/geometry", geometry)
    planner = config.planner
    out.text(
        "showcase/task",
        f"**{world.title}, seed {config.seed}.** {world.task} "
        f"{config.goal_offset} steps later, within {config.budget} environment steps. The model sees pictures "
        f"only. CEM: {planner.num_samples} samples, {planner.iterations} iterations, {planner.elites} elites, "
        f"horizon {planner.horizon} blocks of {actor.frameskip} steps but never beyond the budget, "
        f"{planner.execute} executed at a time. "
        f"{config.candidates} candidates from each of: {', '.join(SOURCES)}.",
    )
    out.text("showcase/checkpoint", _describe_checkpoint(out, actor))


def _describe_checkpoint(out: Run, actor: Actor) -> str:
    rows = [
        f"| `{entry.path}` | {entry.size} | `{entry.sha256}` |"
        for entry in out.input("checkpoint").manifest.files
        if entry.path.startswith("checkpoint/")
    ]
    parameters = sum(parameter.numel() for parameter in actor.model.model.parameters())
    size, dim = actor.model.config.image_size, actor.model.config.dim
    head = f"LeWM, {parameters:,} parameters, pictures of {size} x {size} px, latents of {dim} numbers."
    return "\n".join([head, "", "| file | bytes | sha256 |", "|---|---|---|", *rows])


def _measure_latencies(out: Run, config: Showcase, actor: Actor, world: World, task: Task) -> None:
    # Before anything else has run, so that step 0 is cold: first call, empty caches, kernels not chosen yet.
    goal, start = (actor.picture(world, state) for state in (task.goal, task.start))
    planner = config.planner
    z = torch.zeros(2, actor.model.config.dim, device=actor.model.device)
    full = planner.horizon * actor.frameskip
    actions = np.zeros((planner.num_samples, full, world.action_dim), np.float32)
    measured: dict[str, Callable[[], Any]] = {
        "latency/encode": lambda: actor.encode(start),
        "latency/cost": lambda: actor.costs(z[0], z[1], actions),
        "latency/solve": lambda: actor.plan(actor.encode(start), actor.encode(goal), generator(0), full),
    }
    for tag, call in measured.items():
        for repeat in range(config.latency_repeats + 1):
            out.timing(tag, _seconds(call)[0], repeat)
    say(f"showcase: latencies measured, {config.latency_repeats} warm repeats each")


def _seconds(call: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = call()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch gives no types here
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def _episode(setting: Setting) -> tuple[int, int, bool]:
    """Acts until success or budget; returns the numbers of decisions and steps, and whether the goal is reached."""
    setting.world.set_state(setting.task.start)
    _record_step(setting, 0)
    decisions, steps, success = 0, 0, False
    while steps < setting.config.budget and not success:
        executed, success = _decide(setting, decisions, steps)
        decisions, steps = decisions + 1, steps + executed
        error = setting.world.error(setting.task.goal)
        say(f"showcase: decision {decisions}, step {steps} of {setting.config.budget}, {error:.0f} px to the goal")
    return decisions, steps, success


def _decide(setting: Setting, decision: int, step: int) -> tuple[int, bool]:
    """Makes and executes one decision; returns the number of steps executed and whether the goal is reached."""
    out, actor, world = setting.out, setting.actor, setting.world
    observation = actor.picture(world, world.state)
    out.image("showcase/observation", observation, decision)
    z = actor.encode(observation)
    out.scalar("showcase/latent_distance", _squared(z, setting.z_goal), decision)
    left = setting.config.budget - step
    seconds, plan = _seconds(lambda: actor.plan(z, setting.z_goal, setting.stream, left))
    out.timing("decision/solve", seconds, decision)
    _record_landscape(setting, z, len(plan.actions) * actor.frameskip, decision)
    candidates = _candidates(setting, z, plan)
    winner = candidates.actions[candidates.winner]
    before = world.state
    states, reached, success = _act(setting, winner[:left], step)
    predicted = _predict(actor, z, winner)[: len(reached)]
    if len(reached):
        out.scalar("showcase/prediction_error", float(((predicted[-1] - reached[-1]) ** 2).sum()), decision)
        after = np.stack(states[actor.frameskip - 1 :: actor.frameskip])
        out.image("showcase/retrieved", retrieved(world, setting.library, after, reached, predicted), decision)
    _record_costs(out, candidates, plan, decision)
    paths = {
        "candidate_paths": _paths(setting.scratch, before, candidates.actions),
        **_elites(setting, before, plan),
    }
    latents = {"predicted_latents": predicted, "reached_latents": reached, "goal_latent": _numpy(setting.z_goal)}
    _record_decision(out, candidates, {**paths, **latents, "states": np.stack([before, *states])}, decision)
    return len(states), success


def _record_landscape(setting: Setting, z: torch.Tensor, steps: int, decision: int) -> None:
    """Records what the model expects of every constant action, held for a whole plan of `steps`.

    `axis` (K,) are the values that both numbers of an action take, `costs` (K, K) has a row for each value of the
    second number. Worlds whose actions have other than two numbers have no such map.
    """
    if setting.world.action_dim != 2:
        return
    axis = np.linspace(-1.0, 1.0, LANDSCAPE, dtype=np.float32)
    held = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 1, 2)
    costs = setting.actor.costs(z, setting.z_goal, held.repeat(steps, axis=1))
    setting.out.arrays("showcase/landscape", {"axis": axis, "costs": costs.reshape(len(axis), -1)}, decision)


def _candidates(setting: Setting, z: torch.Tensor, plan: Plan) -> Candidates:
    actor, count, rng = setting.actor, setting.config.candidates, setting.rng
    scripted = _scripted(setting, count, len(plan.actions) * actor.frameskip)
    noise = rng.normal(0.0, PERTURBATION, scripted.shape)
    perturbed = np.clip(scripted + noise, -1.0, 1.0).astype(np.float32)
    random = rng.uniform(-1.0, 1.0, scripted.shape).astype(np.float32)
    last = plan.history[-1]
    best = last.candidates[last.elite_indices][: count - 1]
    cem = actor.actions(torch.cat([plan.actions[None], best]))
    groups = (scripted, perturbed, random, cem)
    source = np.concatenate([np.full(len(group), index, np.int64) for index, group in enumerate(groups)])
    actions = np.concatenate(groups)
    return Candidates(actions, actor.costs(z, setting.z_goal, actions), source)


def _scripted(setting: Setting, count: int, steps: int) -> Actions:
    """Returns the actions (count, steps, A) of as many scripted pushers, all starting where the world is now."""
    scratch = setting.scratch
    chunks = []
    for policy in [scratch.policy(rng) for rng in setting.rng.spawn(count)]:
        state = scratch.set_state(setting.world.state)
        chunk = []
        for _ in range(steps):
            chunk.append(policy(state))
            state = scratch.step(chunk[-1])
        chunks.append(chunk)
    return np.array(chunks, np.float32)


def _act(setting: Setting, winner: Actions, step: int) -> tuple[list[NDArray[np.float64]], Actions, bool]:
    """Executes the first blocks of `winner`; returns the states, latents after whole blocks (K, D), and success."""
    actor, world = setting.actor, setting.world
    states: list[NDArray[np.float64]] = []
    latents: list[Actions] = []
    success = False
    for action in winner[: actor.execute]:
        states.append(world.step(action))
        _record_step(setting, step + len(states))
        if len(states) % actor.frameskip == 0:
            latents.append(_numpy(actor.encode(actor.picture(world, states[-1]))))
        success = world.success(setting.task.goal)
        if success:
            break
    return states, np.array(latents, np.float32).reshape(len(latents), actor.model.config.dim), success


def _record_step(setting: Setting, step: int) -> None:
    out, world = setting.out, setting.world
    for name, value in zip(world.state_names, world.state, strict=True):
        if "velocity" not in name:
            out.scalar(f"showcase/{name}", value, step)
    out.scalar("showcase/error_px", world.error(setting.task.goal), step)
    out.image("showcase/frame", world.render(FRAME_SIZE), step)


def _predict(actor: Actor, z: torch.Tensor, actions: Actions) -> Actions:
    """Returns the latents (T, D) that the model expects after each block of `actions` (steps, A)."""
    return _numpy(actor.model.rollout(z, actor.blocks(actions[None]))[0, 1:])


def _elites(setting: Setting, state: NDArray[np.float64], plan: Plan) -> dict[str, NDArray[Any]]:
    """Returns the elites' agent paths (I, E, steps + 1, 2) and costs (I, E), I iterations and E elites."""
    chosen = [entry.candidates[entry.elite_indices] for entry in plan.history]
    costs = [_numpy(entry.costs[entry.elite_indices]) for entry in plan.history]
    paths = [_paths(setting.scratch, state, setting.actor.actions(blocks)) for blocks in chosen]
    return {"elite_paths": np.stack(paths), "elite_costs": np.stack(costs).astype(np.float64)}


def _paths(scratch: World, state: NDArray[np.float64], actions: Actions) -> NDArray[np.float64]:
    """Returns where the agent really goes, (N, steps + 1, 2) in px, under actions (N, steps, A) from `state`.

    Setting a state takes one physics substep, so a path starts at most a few pixels from `state`.
    """
    paths = [[scratch.set_state(state)[:2], *(scratch.step(action)[:2] for action in row)] for row in actions]
    return np.array(paths, np.float64)


def _record_costs(out: Run, candidates: Candidates, plan: Plan, decision: int) -> None:
    costs = candidates.costs
    for name, value in (("best", costs.min()), ("mean", costs.mean()), ("max", costs.max())):
        out.scalar(f"showcase/cost/{name}", value, decision)
    out.histogram("showcase/cost/candidates", costs, decision)
    for index, entry in enumerate(plan.history):
        step = decision * len(plan.history) + index
        out.histogram("showcase/cem/costs", _numpy(entry.costs), step)
        elite_costs = _numpy(entry.costs[entry.elite_indices]).astype(np.float64)
        out.scalar("showcase/cem/elite_cost_mean", elite_costs.mean(), step)
        out.scalar("showcase/cem/elite_cost_min", elite_costs.min(), step)
        out.histogram("showcase/cem/elite_costs", elite_costs, step)


def _record_decision(out: Run, candidates: Candidates, arrays: dict[str, NDArray[Any]], decision: int) -> None:
    """Records the arrays of one decision, N candidates of n steps with A numbers each, D numbers in a latent.

    `candidate_actions` (N, n, A) raw, `candidate_costs` (N,), `candidate_paths` (N, n + 1, 2) in px,
    `candidate_source` (N,), `winner` (), `elite_paths` (I, E, n + 1, 2), `elite_costs` (I, E),
    `predicted_latents` and `reached_latents` (K, D) for the K blocks executed whole, `goal_latent` (D,),
    `states` (executed steps + 1, S).
    """
    shared: dict[str, NDArray[Any]] = {
        "candidate_actions": candidates.actions,
        "candidate_costs": candidates.costs,
        "candidate_source": candidates.source,
        "winner": np.array(candidates.winner, np.int64),
    }
    out.arrays("showcase/decision", {**shared, **arrays}, decision)
    source = SOURCES[candidates.source[candidates.winner]]
    cost = float(candidates.costs[candidates.winner])
    steps = len(arrays["states"]) - 1
    out.event("showcase/decision", decision, winner_source=source, winner_cost=cost, executed_steps=steps)


def _squared(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b) ** 2).sum())


def _numpy(tensor: torch.Tensor) -> Actions:
    return tensor.detach().float().cpu().numpy()


if __name__ == "__main__":
    main(run)
