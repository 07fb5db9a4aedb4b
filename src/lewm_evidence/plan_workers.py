"""The DAG of foreign trainers as data, as `plan` is that of the evidence."""

from importlib import metadata
from pathlib import Path
from typing import Any

from lewm_evidence.canonical import sha256_file
from lewm_evidence.config import Config, WorkerRun
from lewm_evidence.plan import Draft, Planned, settings
from lewm_evidence.workers.environment import LOCKS, Build, WorkerEnvironment, worker_environment

ADAPTERS = Path(__file__).parent / "workers" / "adapters"
# What says how and where a run is shown changes nothing of it.
_SHOWN_BY = {"track", "logger", "log_dir", "tensorboard_dir", "wandb_project", "wandb_entity"}


def torch_build() -> Build:
    """Returns which build of torch the workers take: that of this installation."""
    return "cpu" if metadata.version("torch").endswith("+cpu") else "cuda"


def plan_workers(config: Config, runs: Path = Path("runs"), locks: Path = LOCKS) -> dict[str, Planned]:
    """Returns every run that `snakemake workers` makes, by name, inputs before users; empty without workers.

    Raises `ConfigError` for a worker that has no lock.
    """
    draft = Draft(config, runs)
    for worker in config.workers:
        draft.add("worker", _subset(worker, environment_of(worker, locks)), name=worker.name)
    trained = {name: name for name in draft.made}
    if trained:
        draft.add("render_tensorboard", {}, **trained)
        draft.add("probe_tensorboard", {}, render="render_tensorboard", **trained)
        draft.add("compare", {}, **trained)
        draft.add("seal", {"config": settings(config)}, **{name: name for name in draft.made})
        draft.add("verify", {}, seal="seal")
    return draft.made


def environment_of(worker: WorkerRun, locks: Path = LOCKS) -> WorkerEnvironment:
    """Returns what the environment of a configured run is made of."""
    return worker_environment(worker.worker, torch_build(), locks)


def _subset(worker: WorkerRun, environment: WorkerEnvironment) -> dict[str, Any]:
    files = (ADAPTERS / f"{worker.worker}_worker.py", ADAPTERS / "telemetry.py")
    return {
        **worker.model_dump(mode="json", exclude=_SHOWN_BY),
        "environment": environment.name,
        "adapter": {path.name: sha256_file(path) for path in files},
    }
