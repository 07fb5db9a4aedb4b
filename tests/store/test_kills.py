"""Killed at any step, a store loses nothing and the next run completes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kill_runner


def run(work: Path, tmp_path: Path, job: str, every: int) -> tuple[dict[str, int], int]:
    """Returns the steps of `job` by kind and the number of kills."""
    # Each job has its own copy, so that what it makes does not meet another's.
    subprocess.run(["cp", "-a", work, tmp_path / "work"], check=True)
    command = [sys.executable, kill_runner.__file__, str(tmp_path / "work"), job, str(every)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    events, kills = (json.loads(line) for line in done.stdout.splitlines())
    return events["events"], kills["kills"]


@pytest.mark.parametrize(("job", "every"), [("add", 40), ("prune", 8), ("archive", 8), ("seal", 40)])
def test_a_kill_loses_nothing(job: str, every: int, work: Path, tmp_path: Path) -> None:
    """After a kill at every so many steps the store verifies, and the same command completes."""
    _, kills = run(work, tmp_path, job, every)
    assert kills >= 4


@pytest.mark.slow
@pytest.mark.parametrize("job", kill_runner.JOBS)
def test_a_kill_at_any_step_loses_nothing(job: str, work: Path, tmp_path: Path) -> None:
    """The same at every write, link, rename, removal and sync of the job."""
    events, kills = run(work, tmp_path, job, 1)
    assert kills == sum(events.values())
    wanted = {"add": {"link", "rename", "replace"}, "prune": {"rename", "unlink"}, "seal": {"rename"}, "archive": set()}
    assert {"mkdir", *wanted[job]} <= events.keys()
    assert job == "prune" or {"open", "write"} <= events.keys()
