"""Starts the stages under test on a tiny untrained checkpoint, the way their rules do."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import tiny
from lewm_evidence.records import FinishedRun, Run, Spec

PLANNER = {"num_samples": 12, "iterations": 2, "elites": 4, "horizon": 2, "execute": 1}
SHOWCASE = {"goal_offset": 10, "budget": 12, "candidates": 3, "latency_repeats": 2, "planner": PLANNER}
EVALUATE = {"episodes": 6, "goal_offset": 25, "budget": 20, "bootstrap": 500, "planner": PLANNER}


def run_stage(
    runs: Path, stage: str, run: Callable[[Run], None], config: dict[str, Any], **inputs: FinishedRun
) -> FinishedRun:
    """Returns the finished run of `stage` with `config` on `inputs`, below `runs`."""
    spec = Spec(
        stage=stage,
        config=config,
        code="0" * 64,
        packages={},
        device="cpu",
        precision="fp32",
        inputs={role: found.name for role, found in inputs.items()},
    )
    out = Run(runs, spec)
    with closing(out):
        run(out)
        out.timing("stage/wall_time", 1.0)
        out.timing("stage/peak_memory", 1e8, unit="bytes")
        out.finish({})
    return FinishedRun(out.path)


def checkpoint(runs: Path, world: str = "pusht") -> FinishedRun:
    """Returns a finished run that provides the tiny checkpoint, for `world`."""

    def write(out: Run) -> None:
        tiny.tiny_checkpoint(out.path / "checkpoint", world=world)

    return run_stage(runs, "fetch", write, {} if world == "pusht" else {"world": world})


def digests(run: FinishedRun) -> dict[str, str]:
    """Returns the sha256 of every file with role result."""
    return {entry.path: entry.sha256 for entry in run.manifest.files if entry.role == "result"}
