"""Several processes that share one training: real ones, talking over loopback with gloo."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun, Run, Spec
from lewm_evidence.records.job import RESUME
from lewm_evidence.stages import collect, train

SMALL: dict[str, Any] = {
    "steps": 6,
    "batch": 8,
    "image_size": 16,
    "dim": 8,
    "depth": 1,
    "heads": 2,
    "channels": [4, 8],
    "dropout": 0.2,
    "warmup": 1,
    "sigreg_projections": 16,
    "record_every": 1,
    "checkpoint_every": 2,
    "measured": 8,
    "min_embedding_std": 0.0,
    "max_prediction_ratio": 1e9,
    "min_shuffled_ratio": 0.0,
    "max_sigreg": 1e9,
    "min_probe_r2": -1e30,
}
TOLERANCE = 2e-3  # relative, after six steps of AdamW on sums in another order


def _spec(stage: str, config: dict[str, Any], **inputs: str) -> Spec:
    return Spec(stage=stage, config=config, code="", packages={}, device=None, precision=None, inputs=inputs)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished collect run of ten short episodes. Read only."""
    out = Run(
        tmp_path_factory.mktemp("data") / "runs", _spec("collect", {"world": "pusht", "episodes": 10, "steps": 20})
    )
    with closing(out):
        collect.run(out)
        out.finish({})
    return FinishedRun(out.path)


def _runs(data: FinishedRun, folder: Path) -> Path:
    """Returns a folder of runs that holds the data and nothing else."""
    runs = folder / "runs"
    (runs / "collect").mkdir(parents=True)
    (runs / "collect" / data.path.name).symlink_to(data.path)
    return runs


def _train(data: FinishedRun, folder: Path, ranks: int, **changes: Any) -> FinishedRun:
    out = Run(_runs(data, folder), _spec("train", {**SMALL, **changes}, data=data.name), ranks=ranks)
    with closing(out):
        train.run(out)
        out.finish({})
    return FinishedRun(out.path)


VIT = {"architecture": "paper", "image_size": 28, "heads": 1}


@pytest.mark.parametrize("changes", [{}, pytest.param(VIT, marks=pytest.mark.slow)], ids=["small", "vit"])
def test_two_ranks_train_what_one_trains(data: FinishedRun, tmp_path: Path, changes: dict[str, Any]) -> None:
    """At the same global batch, with dropout: losses, SIGReg, gradients and weights after six steps."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one, two = (_train(data, tmp_path / str(ranks), ranks, **changes) for ranks in (1, 2))
    torch.set_num_threads(threads)
    assert one.path.name == two.path.name
    for name in ("loss", "prediction_loss", "sigreg", "grad_norm"):
        expected = one.scalars(f"train/{name}")
        assert two.scalars(f"train/{name}")[1] == pytest.approx(expected[1], rel=1e-5), name
        assert two.scalars(f"train/{name}") == pytest.approx(expected, rel=TOLERANCE), name
        assert sorted(expected) == [1, 2, 3, 4, 5, 6]
    points = [load_file(run.path / RESUME / "point.safetensors") for run in (one, two)]
    assert _distance(points, "exp_avg") < TOLERANCE  # the running mean of the gradients
    # AdamW turns the rounding of a gradient that is zero (a bias before BatchNorm) into steps, so all weights together.
    assert _distance(points, "model.") < TOLERANCE


def _distance(points: list[dict[str, torch.Tensor]], part: str) -> float:
    """Returns how far the second lies from the first, over the first's norm."""
    first, second = (
        torch.cat([tensor.double().flatten() for name, tensor in sorted(point.items()) if part in name])
        for point in points
    )
    return float((second - first).norm() / first.norm())


def test_a_batch_that_cannot_be_shared_is_refused(data: FinishedRun, tmp_path: Path) -> None:
    """The sentence names both numbers."""
    with pytest.raises(StageError, match=r"train\.batch=8 cannot be shared out among 3 ranks"):
        _train(data, tmp_path, 3)


def _program(runs: Path, spec: Spec) -> "subprocess.Popen[str]":
    words = ["--runs", str(runs), "--spec", canonical_json(spec.model_dump()).decode(), "--ranks", "2"]
    command = [sys.executable, "-m", "lewm_evidence.stages.train", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def _ranks_of(run: Path) -> list[int]:
    """Returns the process ids of a run's ranks."""
    found = subprocess.run(["ps", "-e", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=1) for line in found.splitlines()]
    return [int(row[0]) for row in rows if "training.rank" in row[1] and str(run) in row[1]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("whom", "status"), [("rank", 1), ("job", -signal.SIGKILL), ("group", 130)], ids=["rank", "kill", "ctrl-c"]
)
def test_no_rank_outlives_the_others(data: FinishedRun, tmp_path: Path, whom: str, status: int) -> None:
    """Whether a rank is killed, the job is, or someone presses Ctrl-C; a rank that fails is named."""
    spec = _spec("train", {**SMALL, "steps": 100_000, "record_every": 10, "checkpoint_every": 100}, data=data.name)
    runs = _runs(data, tmp_path)
    path = Run(runs, spec).path
    with _program(runs, spec) as job:
        try:
            deadline = time.monotonic() + 120
            while not (path / "records.jsonl").exists():
                assert time.monotonic() < deadline and job.poll() is None, job.communicate()[0]
                time.sleep(0.05)
            _, second = sorted(_ranks_of(path))
            if whom == "group":
                os.killpg(job.pid, signal.SIGINT)
            else:
                os.kill(second if whom == "rank" else job.pid, signal.SIGKILL)
            said, _ = job.communicate(timeout=60)
            assert job.returncode == status, said
            if whom == "rank":
                assert "of 2 ended with status -9" in said
            deadline = time.monotonic() + 20
            while _ranks_of(path):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
