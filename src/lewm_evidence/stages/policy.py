"""A LeRobot policy proposes action chunks, the world model scores them, the cheapest is executed; against each alone.

REQUIRED INPUTS: `checkpoint` of PushT; `policy`, from `convert_policy`; the environment `envs/lerobot-<digest>/`.
Every start is tried by three methods: `cem` (the world model alone), `policy` (its first sample alone) and `proposals`.
The task is the policy's own: the block goes to the fixed green T, the agent may end anywhere. The world model compares
whole pictures, so its goal shows the agent at the back of the bar. A chunk is scored over the action blocks that it
fills and executed for as many steps as the policy executes by itself. All actions keep to the simulator's [-1, 1].

OUTPUTS, step = episode: scalars `policy/<method>/success` (0 or 1), `policy/<method>/final_error_px`,
`policy/<method>/steps`, and `policy/<method>/clipped`, the share of a policy's actions that wanted to go farther;
arrays `policy/decisions`, of `proposals`: `costs` (D, N) and `winner` (D,) for D decisions; at step 0:
`policy/<method>/success_rate`, `policy/<method>/mean_final_error_px` and the paired differences
`policy/proposals_minus_<other>/success_rate`, `.../final_error_px`, each with `_low` and `_high` (95 % percentile
bootstrap over starts); events `policy/protocol`, `policy/outcome`. Timings: `policy/propose`, `policy/score`, means.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.config import Planner
from lewm_evidence.errors import StageError
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.stages.convert_policy import ADAPTER, CONVERTED
from lewm_evidence.stages.policy_files import checked
from lewm_evidence.stages.rollout import Actions, Actor, Outcome, Task, act, episode_seeds, load_model, planning_policy
from lewm_evidence.stages.statistics import bootstrap_means, record_estimate
from lewm_evidence.workers.asking import Asking
from lewm_evidence.workers.contract import started, ulid
from lewm_evidence.workers.environment import ENVIRONMENTS
from lewm_evidence.worlds import World
from lewm_evidence.worlds.pusht_target import GOAL, TargetPushT, relative_actions

METHODS = ("cem", "policy", "proposals")


def run(out: Run) -> None:
    """Runs every start with every method and records outcomes and estimates."""
    model = load_model(out)
    if model.normalization.world != "pusht":
        raise StageError(f"policies act on PushT; this checkpoint was trained on {model.normalization.world}")
    config = out.config
    (event,) = out.input("policy").events("policy/about")
    about: dict[str, Any] = dict(event.fields)
    actor = Actor(model, Planner.model_validate(config["planner"]))
    out.event("policy/protocol", task=TargetPushT.task, judged=TargetPushT.judged, **_protocol(config), **about)
    outcomes = []
    with _asking(out) as asking:
        for episode in range(config["episodes"]):
            proposer = Proposer(asking, actor, about, config, episode)
            outcomes.append(_episode(out, actor, proposer, episode))
            ended = ", ".join(f"{name} {outcome.final_error_px:.0f} px" for name, outcome in outcomes[-1].items())
            say(f"policy: {episode + 1} of {config['episodes']} starts, final error {ended}")
        asking.end()
    _record_estimates(out, outcomes)


def _protocol(config: dict[str, Any]) -> dict[str, Any]:
    planner = {f"planner_{key}": value for key, value in config["planner"].items()}
    return planner | {key: config[key] for key in ("samples", "episodes", "seed", "budget", "inference_steps")}


@contextmanager
def _asking(out: Run) -> Iterator[Asking]:
    """Runs the policy in its own environment while the block asks it."""
    source = out.input("policy")
    config = {
        "policy": str(checked(source, source.path / CONVERTED).absolute()),
        "device": out.spec.device or "cpu",
        "inference_steps": out.config["inference_steps"],
    }
    command: list[str | Path] = [(ENVIRONMENTS / out.config["environment"] / "bin/python").absolute(), ADAPTER]
    asked = {"algo": "propose", "hyperparameters": config}
    with started(command, ulid(out.key), asked, out.path / "logs", out.threads, out.config["time_limit"]) as worker:
        yield Asking(worker)


class Proposer:
    """The policy in one episode, as policies of the simulator.

    Attributes:
        costs: of each decision's proposals, (N,) each.
        winners: the cheapest of each.
        clipped: by method, whether an action proposed wanted to go farther than one may.
        times: by what was done, seconds.
        remembered: states that the policy looks at.
    """

    def __init__(
        self, asking: Asking, actor: Actor, about: dict[str, Any], config: dict[str, Any], episode: int
    ) -> None:
        self.costs: list[NDArray[np.float64]] = []
        self.winners: list[int] = []
        self.clipped: dict[str, list[NDArray[np.bool_]]] = defaultdict(list)
        self.times: dict[str, list[float]] = defaultdict(list)
        self._asking, self._actor, self._about = asking, actor, about
        self.remembered: int = about["n_obs_steps"]
        self._samples = config["samples"]
        self._stream = episode_seeds(config["seed"], episode).actions
        self._z_goal = actor.encode(actor.picture(TargetPushT(), GOAL))

    def alone(self, world: World, left: int) -> Actions:
        """Returns the first steps of one chunk."""
        return self._chunks(world, "policy", 1)[0, : self._about["n_action_steps"]]

    def scored(self, world: World, left: int) -> Actions:
        """Returns the first steps of the chunk that the world model finds cheapest."""
        chunks = self._chunks(world, "proposals", self._samples)
        start = time.perf_counter()
        steps = self._scored_steps(left)
        now = self._actor.encode(self._actor.picture(world, world.state))
        costs = self._actor.costs(now, self._z_goal, chunks[:, :steps])
        if not np.isfinite(costs).all():
            raise StageError("the world model gives costs that are not finite; its weights are damaged")
        self.times["score"].append(time.perf_counter() - start)
        self.costs.append(costs)
        self.winners.append(int(costs.argmin()))
        return chunks[self.winners[-1], : self._about["n_action_steps"]]

    def _scored_steps(self, left: int) -> int:
        """Returns the steps of the whole action blocks in a chunk, none of them beyond the budget."""
        frameskip = self._actor.frameskip
        longest: int = self._about["horizon"] - self._about["n_obs_steps"] + 1
        if longest < frameskip:
            raise StageError(f"the policy's chunks have {longest} steps, less than an action block of {frameskip}")
        return min(longest // frameskip, math.ceil(left / frameskip)) * frameskip

    def _chunks(self, world: World, method: str, samples: int) -> Actions:
        """Returns `samples` chunks of relative actions, (N, T, 2)."""
        assert isinstance(world, TargetPushT)
        start = time.perf_counter()
        past = np.stack(world.past())
        question: dict[str, NDArray[Any]] = {
            "pictures": np.stack([world.draw(state, self._about["picture_size"]) for state in past]),
            "agent": past[:, :2].astype(np.float32),
            "seed": np.array(self._seed(method), np.int64),
            "samples": np.array(samples, np.int64),
        }
        targets = self._asking.ask(question)["targets"]
        actions, clipped = relative_actions(world.state, targets)
        self.clipped[method].append(clipped)
        self.times["propose"].append(time.perf_counter() - start)
        return actions

    def _seed(self, method: str) -> int:
        """Returns the seed of one chunk: of its episode, method and decision."""
        words = [self._stream, METHODS.index(method), len(self.clipped[method])]
        return int(np.random.SeedSequence(words).generate_state(1)[0])


def _episode(out: Run, actor: Actor, proposer: Proposer, episode: int) -> dict[str, Outcome]:
    config, seeds = out.config, episode_seeds(out.config["seed"], episode)
    world = TargetPushT(proposer.remembered)
    task = Task(world.reset(seeds.task), GOAL)
    policies = {
        "cem": planning_policy(actor, world, GOAL, seeds.planner),
        "policy": proposer.alone,
        "proposals": proposer.scored,
    }
    outcomes = {method: act(world, task, policies[method], config["budget"]) for method in METHODS}
    for method, outcome in outcomes.items():
        out.scalar(f"policy/{method}/success", outcome.success, episode)
        out.scalar(f"policy/{method}/final_error_px", outcome.final_error_px, episode)
        out.scalar(f"policy/{method}/steps", outcome.env_steps, episode)
    for method, clipped in proposer.clipped.items():
        out.scalar(f"policy/{method}/clipped", float(np.concatenate(clipped).mean()), episode)
    out.arrays("policy/decisions", {"costs": np.stack(proposer.costs), "winner": np.array(proposer.winners)}, episode)
    for what, times in proposer.times.items():
        out.timing(f"policy/{what}", sum(times) / len(times), episode)
    return outcomes


def _record_estimates(out: Run, outcomes: list[dict[str, Outcome]]) -> None:
    values = {
        "success_rate": {name: np.array([float(o[name].success) for o in outcomes]) for name in METHODS},
        "final_error_px": {name: np.array([o[name].final_error_px for o in outcomes]) for name in METHODS},
    }
    columns: dict[str, NDArray[np.float64]] = {}
    for measure, by_method in values.items():
        for method in METHODS:
            mean = "" if measure == "success_rate" else "mean_"
            columns[f"policy/{method}/{mean}{measure}"] = by_method[method]
        for other in METHODS[:-1]:
            columns[f"policy/proposals_minus_{other}/{measure}"] = by_method["proposals"] - by_method[other]
    table = np.stack(list(columns.values()), axis=1)
    estimates = bootstrap_means(table, out.config["bootstrap"], out.config["seed"])
    for column, tag in enumerate(columns):
        record_estimate(out, tag, estimates[column])
    means = {f"{name}_{measure}": float(values[measure][name].mean()) for measure in values for name in METHODS}
    out.event("policy/outcome", 0, **means)


if __name__ == "__main__":
    main(run)
