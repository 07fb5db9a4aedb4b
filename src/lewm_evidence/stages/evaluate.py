"""Many seeded starts, each given to the world model and to two baselines.

Input: `checkpoint`. Every start is tried by three methods: `lewm` (the world model with CEM; no plan looks beyond
the budget), `random` (uniform actions) and `noop` (stay). Success is looked for after every step; the final error
is the distance in px to the goal, over agent and block, at success or when the budget is spent.

Writes, step = episode: scalars `evaluate/<method>/success` (0 or 1) and `evaluate/<method>/final_error_px`;
at step 0: `evaluate/<method>/success_rate`, `evaluate/<method>/mean_final_error_px`,
`evaluate/lewm_minus_<baseline>/final_error_px`, each with `_low` and `_high`, the limits of a 95 % percentile
bootstrap interval over the paired starts; event `evaluate/protocol`. Timing: `evaluate/solve`, one per episode,
mean over its decisions.
"""

import time

import numpy as np

from lewm_evidence import worlds
from lewm_evidence.config import Evaluate
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.stages.rollout import (
    Actions,
    Actor,
    Outcome,
    Policy,
    act,
    episode_seeds,
    load_model,
    make_task,
    noop_policy,
    planning_policy,
    random_policy,
)
from lewm_evidence.stages.statistics import bootstrap_means, record_estimate
from lewm_evidence.worlds import World

METHODS = ("lewm", "random", "noop")
_REPORTS = 5  # progress lines in a stage


def run(out: Run) -> None:
    """Runs every episode with every method and records outcomes and estimates."""
    config = Evaluate.model_validate(out.config)
    model = load_model(out)
    actor = Actor(model, config.planner, max(0, config.budget - config.goal_offset))
    name = model.normalization.world
    _record_protocol(out, config, actor, worlds.make(name))
    outcomes = []
    for episode in range(config.episodes):
        outcomes.append(_episode(out, config, actor, worlds.make(name), episode))
        if (episode + 1) % max(1, config.episodes // _REPORTS) == 0:
            say(f"evaluate: {episode + 1} of {config.episodes} starts, {_standing(outcomes)}")
    _record_estimates(out, config, outcomes)


def _record_protocol(out: Run, config: Evaluate, actor: Actor, world: World) -> None:
    planner = {f"planner_{key}": value for key, value in config.planner.model_dump().items()}
    fields = config.model_dump(exclude={"planner", "episodes"})
    fields |= {"world": world.name, "judged": world.judged, "min_travel_px": world.min_travel}
    out.event("evaluate/protocol", n=config.episodes, **fields, **planner, planner_path=actor.model.path)


def _episode(out: Run, config: Evaluate, actor: Actor, world: World, episode: int) -> dict[str, Outcome]:
    seeds = episode_seeds(config.seed, episode)
    task = make_task(world, seeds.task, config.goal_offset)
    solve_times: list[float] = []
    policies = {
        "lewm": _timed(planning_policy(actor, world, task.goal, seeds.planner), solve_times),
        "random": random_policy(world.action_dim, seeds.actions),
        "noop": noop_policy(world.action_dim),
    }
    outcomes = {method: act(world, task, policies[method], config.budget) for method in METHODS}
    for method, outcome in outcomes.items():
        out.scalar(f"evaluate/{method}/success", outcome.success, episode)
        out.scalar(f"evaluate/{method}/final_error_px", outcome.final_error_px, episode)
    out.timing("evaluate/solve", sum(solve_times) / len(solve_times), episode)
    return outcomes


def _timed(policy: Policy, times: list[float]) -> Policy:
    def timed(world: World, left: int) -> Actions:
        start = time.perf_counter()
        actions = policy(world, left)
        times.append(time.perf_counter() - start)
        return actions

    return timed


def _standing(outcomes: list[dict[str, Outcome]]) -> str:
    means = {m: sum(o[m].final_error_px for o in outcomes) / len(outcomes) for m in METHODS}
    return "mean final error " + ", ".join(f"{method} {mean:.0f} px" for method, mean in means.items())


def _record_estimates(out: Run, config: Evaluate, outcomes: list[dict[str, Outcome]]) -> None:
    columns: dict[str, list[float]] = {}
    for method in METHODS:
        columns[f"evaluate/{method}/success_rate"] = [float(o[method].success) for o in outcomes]
        columns[f"evaluate/{method}/mean_final_error_px"] = [o[method].final_error_px for o in outcomes]
    for baseline in METHODS[1:]:
        tag = f"evaluate/lewm_minus_{baseline}/final_error_px"
        columns[tag] = [o["lewm"].final_error_px - o[baseline].final_error_px for o in outcomes]
    values = np.array(list(columns.values()), np.float64).T
    estimates = bootstrap_means(values, config.bootstrap, config.seed)
    for column, tag in enumerate(columns):
        record_estimate(out, tag, estimates[column])


if __name__ == "__main__":
    main(run)
