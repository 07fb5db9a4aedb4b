"""The runs that a showcase takes, and making those that are not there yet."""

from collections.abc import Callable
from pathlib import Path

from lewm_evidence.config import Config
from lewm_evidence.errors import ConfigError, StageError
from lewm_evidence.plan import Planned, plan, world_of
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.manifest import MANIFEST
from lewm_evidence.records.start import start_stage


def needed_runs(config: Config, runs: Path) -> list[Planned]:
    """Returns the showcase, last, and before it the runs that it is made from.

    Raises:
        ConfigError: when the checkpoint's world has no simulator here, or the device cannot be used.
        StageError: when a package is missing.
    """
    planned = plan(config, runs)
    if "showcase" not in planned:
        raise ConfigError(
            f"nobody can act in the world {world_of(config)!r} here; take a checkpoint of pusht or tworoom"
        )
    by_name = {run.name: run for run in planned.values()}
    order: dict[str, Planned] = {}

    def add(run: Planned) -> None:
        for name in sorted(run.spec.inputs.values()):
            add(by_name[name])
        order[run.name] = run

    add(planned["showcase"])
    return list(order.values())


def is_made(run: Planned) -> bool:
    """Says whether a run is finished: then there is nothing to do."""
    return (run.path / MANIFEST).exists()


def make(run: Planned, threads: int, tell: Callable[[str], None]) -> FinishedRun:
    """Makes a run, unless it is there, and returns it.

    Args:
        run: what to make.
        threads: torch threads.
        tell: is given each line that the stage says.

    Raises:
        StageError: when the stage fails; says its last lines and where the others are.
    """
    if not is_made(run):
        log = run.path / "logs" / "showcase.log"
        failure = start_stage(run.spec, run.runs, log, tell, threads)
        if failure:
            raise StageError(f"{run.spec.stage} failed with {failure}; all it said is in {log}")
    return FinishedRun(run.path)


def checkpoint_of(showcase: FinishedRun) -> FinishedRun:
    """Returns the run that made or fetched the checkpoint of a showcase."""
    return FinishedRun(showcase.path.parents[1] / showcase.spec.inputs["checkpoint"])
