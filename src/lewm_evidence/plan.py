"""The DAG as data: from a configuration to the spec and key of every stage, at parse time, without torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lewm_evidence.canonical import canonical_json
from lewm_evidence.config import Config, WorldName
from lewm_evidence.keys import PACKAGE, device_class, import_closure, resolved_versions
from lewm_evidence.records.manifest import MANIFEST
from lewm_evidence.records.run import run_key
from lewm_evidence.records.schema import Spec

# The stages of `snakemake tables`.
TABLES = ("starts", "success", "baselines", "probing", "surprise", "tables")
# Stages whose result depends on where tensors live.
_ON_DEVICE = {"train", "score", "showcase", "evaluate", "success", "probing", "surprise", "policy"}


@dataclass(frozen=True)
class Planned:
    """A run that the DAG will make.

    Attributes:
        spec: what its key is made of.
        key: its run key.
        runs: the folder that holds all runs.
    """

    spec: Spec
    key: str
    runs: Path

    @property
    def name(self) -> str:
        """`<stage>/<key>`."""
        return f"{self.spec.stage}/{self.key}"

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.runs / self.name

    @property
    def manifest(self) -> str:
        """The only output that Snakemake knows of this run."""
        return str(self.path / MANIFEST)

    @property
    def inputs(self) -> list[str]:
        """The manifests this run waits for."""
        return [str(self.runs / name / MANIFEST) for name in sorted(self.spec.inputs.values())]

    @property
    def spec_json(self) -> str:
        """The spec as one line, for the job's command line."""
        return canonical_json(self.spec.model_dump()).decode().rstrip("\n")


class Draft:
    """A plan in the making: runs are added one after another, inputs before users.

    Attributes:
        made: every run so far, by name.
    """

    def __init__(self, config: Config, runs: Path) -> None:
        self.made: dict[str, Planned] = {}
        self._device = config.device
        self._runs = runs

    def add(self, stage: str, subset: dict[str, Any], *, name: str = "", **inputs: str) -> None:
        """Adds a run, under its stage's name or `name`: its part of the configuration, and its inputs by role."""
        closure = import_closure(f"{PACKAGE}.stages.{stage}")
        on_device = stage in _ON_DEVICE
        spec = Spec(
            stage=stage,
            config=subset,
            code=closure.digest,
            packages=resolved_versions(closure.packages),
            device=device_class(self._device) if on_device else None,
            precision=subset.get("precision", "fp32") if on_device else None,
            inputs={role: self.made[source].name for role, source in inputs.items()},
        )
        self.made[name or stage] = Planned(spec, run_key(spec), self._runs)


def settings(config: Config) -> dict[str, Any]:
    """Returns the configuration as keys see it: without what changes how fast, not what, and who signs."""
    left_out: dict[str, Any] = {
        "threads": True,
        "ranks": True,
        "workers": True,
        "wandb": True,
        "parity": True,
        "policy": True,
        "sweep": True,
        "seal": {"key"},
    }
    return config.model_dump(mode="json", exclude=left_out)


def plan(config: Config, runs: Path = Path("runs")) -> dict[str, Planned]:
    """Returns every run by name, inputs before users; `seal` takes in those that evidence needs.

    The name is that of the stage, except for `smoke_collect` and `smoke_train`.
    Raises `ConfigError` for a device this installation cannot use and `StageError` for a missing package.
    """
    draft = Draft(config, runs)
    made, add, whole = draft.made, draft.add, settings(config)
    add("collect", whole["collect"])
    add("train", whole["train"], data="collect")
    checkpoint = "train"
    if config.checkpoint.source != "trained":
        checkpoint = "fetch"
        add("fetch", whole["checkpoint"])
        if config.smoke is not None:
            add("collect", config.smoke.collect.model_dump(mode="json"), name="smoke_collect")
            add("train", config.smoke.train.model_dump(mode="json"), name="smoke_train", data="smoke_collect")
    if has_simulator(config):
        _add_tables(config, whole, checkpoint, add)
        _add_episodes(whole, checkpoint, add)
        _add_rerun(made, checkpoint, add)
    else:
        scored = {key: whole["evaluate"][key] for key in ("seed", "planner")}
        add("score", scored, checkpoint=checkpoint)
    unused = _unused(config)
    _add_tensorboard([name for name in made if name not in unused], add)
    told = ["score", "showcase", "evaluate", "gate", "probe_tensorboard", "probe_rerun", "smoke_train"]
    told += ["tables", "probing", "surprise"] if config.tables.sealed else []
    add("report", {}, checkpoint=checkpoint, **{name: name for name in told if name in made})
    add("seal", {"config": whole}, **{stage: stage for stage in made if stage not in unused})
    add("verify", {}, seal="seal")
    return made


def _unused(config: Config) -> set[str]:
    """Returns the planned stages that evidence does without."""
    tables = config.tables.sealed
    trained = config.checkpoint.source == "trained"
    collected = trained or (tables and has_recorded_starts(config))
    kept = {"train": trained, "collect": collected, **dict.fromkeys(TABLES, tables)}
    return {stage for stage, keep in kept.items() if not keep}


def has_simulator(config: Config) -> bool:
    """Whether the checkpoint's world can be acted in here."""
    return config.checkpoint.source != "hub" or config.checkpoint.world in get_args(WorldName)


def has_recorded_starts(config: Config) -> bool:
    """Whether the tables start from a recorded dataset of the checkpoint's world, not from scripted episodes."""
    return config.collect.dataset is not None and config.collect.world == world_of(config)


def world_of(config: Config) -> str:
    """Returns the world of the checkpoint."""
    checkpoint = config.checkpoint
    if checkpoint.source == "hub":
        return checkpoint.world
    return config.collect.world if checkpoint.source == "trained" else checkpoint.name


def _add_tables(config: Config, whole: dict[str, Any], checkpoint: str, add: Callable[..., None]) -> None:
    """Adds the paper's tables; the episodes and baselines are the same for every checkpoint of a world."""
    settings, world = whole["tables"], {"world": world_of(config)}
    data = {"data": "collect"} if has_recorded_starts(config) else {}
    on_starts = {"starts": "starts", **data}

    def chosen(*names: str) -> dict[str, Any]:
        return {name: settings[name] for name in names}

    add("starts", {**world, **chosen("seed", "starts")}, **data)
    add("baselines", {**world, **chosen("seed", "oracle")}, **on_starts)
    add("success", chosen("seed", "planner"), checkpoint=checkpoint, **on_starts)
    add("probing", chosen("seed", "bootstrap", "probing"), checkpoint=checkpoint, **on_starts)
    add("surprise", chosen("seed", "surprise"), checkpoint=checkpoint, **on_starts)
    measured = {stage: stage for stage in TABLES if stage != "tables"}
    add("tables", {**world, **chosen("seed", "bootstrap")}, checkpoint=checkpoint, **measured)


def _add_episodes(whole: dict[str, Any], checkpoint: str, add: Callable[..., None]) -> None:
    """Adds what acts in the simulator, and the verdict."""
    add("showcase", whole["showcase"], checkpoint=checkpoint)
    add("evaluate", whole["evaluate"], checkpoint=checkpoint)
    add("gate", whole["gate"], evaluate="evaluate")


def _add_rerun(made: dict[str, Planned], checkpoint: str, add: Callable[..., None]) -> None:
    """Adds the recordings: the showcase, and of the trainings the one that is asked for."""
    trained = "train" if checkpoint == "train" else "smoke_train"
    recorded = {"showcase": "showcase", **({"train": trained} if trained in made else {})}
    add("render_rerun", {}, **recorded)
    add("probe_rerun", {}, render="render_rerun", **recorded)


def _add_tensorboard(made: list[str], add: Callable[..., None]) -> None:
    """Adds the event files of everything that has numbers to show."""
    names = ("fetch", "train", "smoke_train", "score", "showcase", "evaluate", *TABLES)
    shown = {name: name for name in names if name in made}
    add("render_tensorboard", {}, **shown)
    add("probe_tensorboard", {}, render="render_tensorboard", **shown)
