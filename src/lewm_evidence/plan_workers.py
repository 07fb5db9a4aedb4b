"""The DAG of foreign trainers as data, as `plan` is that of the evidence."""

import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from lewm_evidence.canonical import sha256_file
from lewm_evidence.config import Config, Parity, Policy, WorkerRun
from lewm_evidence.errors import ConfigError
from lewm_evidence.plan import Draft, Planned, settings, world_of
from lewm_evidence.workers.contract import ulid
from lewm_evidence.workers.environment import LOCKS, Build, WorkerEnvironment, worker_environment
from lewm_evidence.workers.tracking import tracking_mode

ADAPTERS = Path(__file__).parent / "workers" / "adapters"
# Runs of the evidence whose records make a curve or a table worth tracking.
_TRACKED = ("train", "smoke_train", "showcase", "evaluate", "probing")
# What says how and where a run is shown changes nothing of it.
_SHOWN_BY = {"track", "logger", "log_dir", "tensorboard_dir", "wandb_project", "wandb_entity"}


def torch_build() -> Build:
    """Returns which build of torch the workers take: that of this installation."""
    return "cpu" if metadata.version("torch").endswith("+cpu") else "cuda"


def plan_workers(config: Config, evidence: Mapping[str, Planned], locks: Path = LOCKS) -> dict[str, Planned]:
    """Returns every run that `snakemake workers` makes, by name, inputs before users; empty without workers.

    Args:
        config: the whole configuration.
        evidence: the plan of the evidence, which has the checkpoint.
        locks: folder of the requirement files.

    Raises:
        ConfigError: for a worker that has no lock.
    """
    draft = Draft(config, Path("runs"))
    for worker in config.workers:
        draft.add("worker", _subset(worker, worker_environment(worker.worker, torch_build(), locks)), name=worker.name)
    trained = {name: name for name in draft.made}
    if trained:
        draft.add("render_tensorboard", {}, **trained)
        draft.add("probe_tensorboard", {}, render="render_tensorboard", **trained)
        draft.add("compare", {}, **trained)
        if config.parity is not None:
            _add_parity(draft, config.parity, evidence, locks)
        for worker in config.workers:
            _add_wandb(draft, config, worker.name, worker, locks)
    if config.policy is not None:
        _add_policy(draft, config, config.policy, evidence, locks)
    if draft.made:
        draft.add("seal", {"config": settings(config)}, **{name: name for name in draft.made})
        draft.add("verify", {}, seal="seal")
    return draft.made


def links(config: Config, made: Mapping[str, Planned]) -> list[str]:
    """Returns `PLACE=TARGET` for every run whose TensorBoard files are wanted at a place of their own."""
    shown = made["render_tensorboard"].path / "views" / "results" if config.workers else Path()
    wanted = ((worker, worker.log_dir or worker.tensorboard_dir) for worker in config.workers)
    return [
        f"{place}/{ulid(made[worker.name].key)}/tensorboard={shown / worker.name}" for worker, place in wanted if place
    ]


def plan_wandb(config: Config, made: Mapping[str, Planned], locks: Path = LOCKS) -> dict[str, Planned]:
    """Returns the W&B runs of the evidence, by name; empty when tracking is off."""
    draft = Draft(config, Path("runs"))
    draft.made.update(made)
    for name in _TRACKED:
        if name in made:
            _add_wandb(draft, config, name, None, locks)
    return {name: run for name, run in draft.made.items() if name not in made}


def _add_wandb(draft: Draft, config: Config, name: str, worker: WorkerRun | None, locks: Path) -> None:
    """Adds the W&B run of the run `name`, if it is tracked; the environment's variables have their say."""
    configured = config.wandb.mode
    if configured == "off" and worker is not None and worker.tracked:
        configured = "offline"
    mode = tracking_mode(configured, os.environ)
    if mode != "off":
        own = (worker.wandb_project, worker.wandb_entity) if worker is not None else (None, None)
        subset = {
            "mode": mode,
            "project": own[0] or os.environ.get("WANDB_PROJECT") or config.wandb.project,
            "entity": own[1] or os.environ.get("WANDB_ENTITY") or config.wandb.entity,
            "environment": worker_environment("wandb", torch_build(), locks).name,
            "adapter": sha256_file(ADAPTERS / "wandb_writer.py"),
        }
        draft.add("render_wandb", subset, name=f"wandb-{name}", run=name)


def _take_checkpoint(draft: Draft, evidence: Mapping[str, Planned]) -> None:
    draft.made["checkpoint"] = evidence["fetch"] if "fetch" in evidence else evidence["train"]


def _add_parity(draft: Draft, parity: Parity, evidence: Mapping[str, Planned], locks: Path) -> None:
    _take_checkpoint(draft, evidence)
    subset = {
        **parity.model_dump(mode="json"),
        "environment": worker_environment("upstream", torch_build(), locks).name,
        "adapter": _adapter("upstream_worker.py", "cpu_torchvision.py"),
    }
    draft.add("parity", subset, checkpoint="checkpoint")


def _add_policy(draft: Draft, config: Config, policy: Policy, evidence: Mapping[str, Planned], locks: Path) -> None:
    if world_of(config) != "pusht":
        raise ConfigError(f"policy acts on pusht, the checkpoint's world is {world_of(config)}; set policy: null")
    _take_checkpoint(draft, evidence)
    foreign = {
        "environment": worker_environment("lerobot", torch_build(), locks).name,
        "adapter": _adapter("lerobot_worker.py", "cpu_torchvision.py"),
    }
    chosen = policy.model_dump(mode="json")
    draft.add("fetch_policy", chosen.pop("source"))
    draft.add("convert_policy", {**foreign, "time_limit": policy.time_limit}, policy="fetch_policy")
    draft.add("policy", {**chosen, **foreign}, checkpoint="checkpoint", policy="convert_policy")


def _adapter(*names: str) -> dict[str, str]:
    """Returns the digests of what runs in a worker's environment."""
    return {file: sha256_file(ADAPTERS / file) for file in (*names, "telemetry.py")}


def _subset(worker: WorkerRun, environment: WorkerEnvironment) -> dict[str, Any]:
    return {
        **worker.model_dump(mode="json", exclude=_SHOWN_BY),
        "environment": environment.name,
        "adapter": _adapter(f"{worker.worker}_worker.py"),
    }
