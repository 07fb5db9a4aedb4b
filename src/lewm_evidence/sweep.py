"""A sweep as data: every checkpoint on every task with every seed, and the page about all of them.

What members share, such as a checkpoint or a task that two sweeps have in common, has one key and is planned once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lewm_evidence.config import Config, Sweep, Task
from lewm_evidence.errors import ConfigError
from lewm_evidence.plan import Draft, Planned, has_simulator, settings

# The stages of one member, inputs before users.
MEMBER_STAGES = ("fetch", "collect", "train", "showcase", "evaluate", "render_tensorboard", "seal")


@dataclass(frozen=True)
class PlannedSweep:
    """Every run of a sweep.

    Attributes:
        runs: the runs of all members by `<stage>/<key>`, each once.
        members: each member's runs by stage, by `<checkpoint>/<task>/<seed>`.
        aggregate: the page about all of them.
    """

    runs: dict[str, Planned]
    members: dict[str, dict[str, Planned]]
    aggregate: Planned


def plan_sweep(config: Config, runs: Path = Path("runs")) -> PlannedSweep:
    """Returns the runs of every member and the one that gathers them.

    Raises `ConfigError` without a `sweep` in the configuration, or for a checkpoint whose world is not here.
    """
    sweep = config.sweep
    if sweep is None:
        raise ConfigError("there is no `sweep` in the configuration; docs/clusters.md shows one")
    members = {
        f"{checkpoint}/{task}/{seed}": _plan_member(_member(config, sweep, checkpoint, task, seed), checkpoint, runs)
        for checkpoint in sweep.checkpoints
        for task in sweep.tasks
        for seed in sweep.seeds
    }
    gathered = Draft(config, runs)
    gathered.made.update({name: planned["evaluate"] for name, planned in members.items()})
    named: dict[str, Any] = {"checkpoints": list(sweep.checkpoints), "tasks": list(sweep.tasks), "seeds": sweep.seeds}
    bundles = {name: planned["seal"].key for name, planned in members.items()}
    gathered.add("aggregate", {**named, "bundles": bundles}, **{name: name for name in members})
    every = {run.name: run for planned in members.values() for run in planned.values()}
    return PlannedSweep(every, members, gathered.made["aggregate"])


def _member(config: Config, sweep: Sweep, checkpoint: str, task: str, seed: int) -> Config:
    """Returns the configuration that `evidence` would have for one member."""
    set_by_task = _set_by(sweep.tasks[task])
    return config.model_copy(
        update={
            "checkpoint": sweep.checkpoints[checkpoint],
            "showcase": config.showcase.model_copy(update={"seed": seed, **set_by_task}),
            "evaluate": config.evaluate.model_copy(update={"seed": seed, **set_by_task}),
        }
    )


def _set_by(task: Task) -> dict[str, Any]:
    return {name: getattr(task, name) for name in Task.model_fields if getattr(task, name) is not None}


def _plan_member(config: Config, name: str, runs: Path) -> dict[str, Planned]:
    if not has_simulator(config):
        raise ConfigError(f"sweep.checkpoints.{name}: there is no simulator of its world here to act in")
    draft = Draft(config, runs)
    add, whole = draft.add, settings(config)
    checkpoint = "fetch"
    if config.checkpoint.source == "trained":
        checkpoint = "train"
        add("collect", whole["collect"])
        add("train", whole["train"], data="collect")
    else:
        add("fetch", whole["checkpoint"])
    add("showcase", whole["showcase"], checkpoint=checkpoint)
    add("evaluate", whole["evaluate"], checkpoint=checkpoint)
    add("render_tensorboard", {}, **{stage: stage for stage in (checkpoint, "showcase", "evaluate")})
    add("seal", {"config": whole}, **{stage: stage for stage in draft.made})
    return draft.made
