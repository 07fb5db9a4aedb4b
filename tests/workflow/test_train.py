"""`snakemake train`, killed again and again."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from project import Project

EVERY = 20
TRAINING: dict[str, Any] = {
    "collect": {"world": "tworoom", "episodes": 20, "steps": 30},
    "train": {
        "steps": 400,
        "batch": 8,
        "image_size": 16,
        "dim": 8,
        "depth": 1,
        "heads": 2,
        "channels": [4, 8],
        "sigreg_projections": 16,
        "record_every": 1,
        "checkpoint_every": EVERY,
        "measured": 8,
        "min_embedding_std": 0.0,
        "max_prediction_ratio": 1e9,
        "min_shuffled_ratio": 0.0,
        "max_sigreg": 1e9,
        "min_probe_r2": -1e30,
    },
}


def _steps(folder: Path) -> int:
    """Returns the last step that a live or killed training recorded; every step is."""
    found = 0
    for path in folder.glob("runs/train/*/records.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                found = max(found, json.loads(line)["step"])
    return found


def _killed(project: Project, after: int, wait: float) -> tuple[int, int]:
    """Starts `train`, kills all of it `wait` seconds after step `after`; returns where it began and where it ended."""
    command = project.command("train", **TRAINING)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=project.path, start_new_session=True
    ) as job:
        deadline = time.monotonic() + 240
        while _steps(project.path) <= after:
            assert job.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(wait)
        os.killpg(job.pid, signal.SIGKILL)
        said, _ = job.communicate()
    began = [int(line.rsplit(maxsplit=1)[1]) for line in said.splitlines() if "continuing after step" in line]
    return (began[0] if began else 0), _steps(project.path)


@pytest.mark.slow
def test_three_kills_change_nothing_and_cost_an_interval_each(tmp_path: Path) -> None:
    """The result digest is that of an undisturbed run; at most `checkpoint_every` steps are done again per kill."""
    straight, broken = Project(tmp_path / "straight"), Project(tmp_path / "broken")
    for project in (straight, broken):
        project.path.mkdir()
    assert straight.snakemake("train", **TRAINING).returncode == 0
    chance = random.Random(7)
    ended, again = 0, 0
    for after in (40, 140, 260):
        began, now = _killed(broken, max(ended, after), chance.uniform(0, 0.5))
        again += ended - began
        assert 0 <= ended - began <= EVERY
        ended = now
        assert ended < TRAINING["train"]["steps"], "it was done before it was killed"
    last = broken.snakemake("train", **TRAINING)
    assert last.returncode == 0, last.stdout
    (line,) = [line for line in last.stdout.splitlines() if "continuing after step" in line]
    again += ended - int(line.rsplit(maxsplit=1)[1])
    assert again <= 3 * EVERY
    assert broken.keys() == straight.keys()
