"""The train stage, on a model and data small enough for seconds."""

import itertools
import json
import math
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import recorded
from lewm_evidence.canonical import canonical_json
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.config import Train
from lewm_evidence.errors import GateError, StageError
from lewm_evidence.records import FinishedRun, Run, Spec
from lewm_evidence.records.run import run_key
from lewm_evidence.stages import collect, train
from lewm_evidence.training import fit, windows

TINY: dict[str, Any] = {
    "seed": 0,
    "steps": 12,
    "batch": 8,
    "image_size": 16,
    "dim": 8,
    "depth": 1,
    "heads": 2,
    "channels": [4, 8],
    "warmup": 2,
    "sigreg_projections": 16,
    "record_every": 3,
    "checkpoint_every": 4,
    # So small a model learns nothing in 12 steps; the gates have a test of their own.
    "measured": 64,
    "min_embedding_std": 0.0,
    "min_shuffled_ratio": 0.0,
    "max_sigreg": 1e9,
    "max_prediction_ratio": 1e9,
    "min_probe_r2": -1e9,
}


def _spec(stage: str, config: dict[str, Any], **inputs: str) -> Spec:
    return Spec(stage=stage, config=config, code="", packages={}, device=None, precision=None, inputs=inputs)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished collect run of ten short episodes; its grandparent folder holds the runs."""
    config = {"world": "pusht", "seed": 1, "episodes": 10, "steps": 20}
    out = Run(tmp_path_factory.mktemp("train") / "runs", _spec("collect", config))
    collect.run(out)
    out.finish({})
    return FinishedRun(out.path)


def _train(data: FinishedRun, **changes: Any) -> FinishedRun:
    out = Run(data.path.parents[1], _spec("train", {**TINY, **changes}, data=data.name))
    with closing(out):
        train.run(out)
        out.finish({})
    return FinishedRun(out.path)


@pytest.fixture(scope="module")
def trained(data: FinishedRun) -> FinishedRun:
    """A finished tiny training. Read only."""
    return _train(data)


def test_it_records_losses_and_held_out_measures(trained: FinishedRun) -> None:
    """Every promised tag has a point at the first step, every k steps, and the last."""
    names = ("loss", "prediction_loss", "sigreg", "learning_rate", "grad_norm", "embedding_std", "effective_rank")
    for name in (*names, "val_prediction", "val_copy", "val_shuffled", "probe_r2_min", "probe_r2/agent_x"):
        assert sorted(trained.scalars(f"train/{name}")) == [1, 3, 6, 9, 12], name
    assert {timing.tag for timing in trained.timings()} == {"train/throughput"}


def test_the_loss_is_prediction_plus_weighted_sigreg(trained: FinishedRun) -> None:
    """The recorded numbers add up with the configured weight."""
    weight = Train.model_validate(TINY).sigreg_weight
    for step, loss in trained.scalars("train/loss").items():
        parts = trained.scalars("train/prediction_loss")[step], trained.scalars("train/sigreg")[step]
        assert loss == pytest.approx(parts[0] + weight * parts[1], rel=1e-5)


def test_the_checkpoint_loads_and_knows_its_data(trained: FinishedRun, data: FinishedRun) -> None:
    """The folder passes the loader's checks; action statistics are those of the training episodes."""
    model = load_checkpoint(trained.path / "checkpoint")
    (record,) = data.records("arrays")
    actions = data.arrays(record.path)["actions"][:9].reshape(-1, 2)  # type: ignore[union-attr]
    np.testing.assert_allclose(model.normalization.action_mean, actions.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(model.normalization.action_std, actions.std(axis=0), rtol=1e-5)
    assert (model.normalization.world, model.normalization.renderer) == ("pusht", "pusht")
    assert model.encode(np.zeros((2, 16, 16, 3), dtype=np.uint8)).shape == (2, 8)
    provenance = json.loads((trained.path / "checkpoint" / "provenance.json").read_bytes())
    assert provenance["data"] == data.name


def test_training_changes_every_weight(trained: FinishedRun) -> None:
    """No part of the model is left as it was made: a shorter training has other values everywhere."""
    torch.manual_seed(TINY["seed"])
    model = load_checkpoint(trained.path / "checkpoint")
    fresh = type(model)(model.config).state_dict()
    for name, tensor in model.state_dict().items():
        assert not torch.equal(tensor, fresh[name]), name


def test_only_promised_files_are_part_of_a_run(trained: FinishedRun) -> None:
    """The finished run holds records, the checkpoint and its spec, no more."""
    assert {entry.path.split("/")[0] for entry in trained.manifest.files} == {
        "arrays",
        "checkpoint",
        "records.jsonl",
        "spec.json",
        "timing.jsonl",
    }


def test_a_killed_training_ends_with_the_same_result(data: FinishedRun, tmp_path: Path) -> None:
    """SIGKILL after a resume point, with records beyond it; the next start continues and ends bit for bit equal."""
    runs = data.path.parents[1]
    spec = _spec("train", {**TINY, "steps": 150, "checkpoint_every": 10, "record_every": 50}, data=data.name)
    assert _finish(_program(runs, spec)) == (0, "")
    path = runs / "train" / run_key(spec)
    digest = FinishedRun(path).manifest.result_digest
    assert not (path / "logs" / "resume").exists()
    path.rename(tmp_path / "straight")

    killed = _program(runs, spec)
    _wait_for_point(path)
    killed.send_signal(signal.SIGKILL)
    assert _finish(killed)[0] == -signal.SIGKILL
    assert not (path / "manifest.json").exists()
    with (path / "records.jsonl").open("ab") as file:
        file.write(b'{"half a line')
    assert _finish(_program(runs, spec)) == (0, "continuing after step")
    assert FinishedRun(path).manifest.result_digest == digest


def _finish(program: "subprocess.Popen[str]") -> tuple[int, str]:
    """Returns the exit status, and whether the program said that it continued."""
    said, _ = program.communicate(timeout=60)
    mark = "continuing after step"
    return program.returncode, mark if mark in said else ""


def _program(runs: Path, spec: Spec) -> "subprocess.Popen[str]":
    line = canonical_json(spec.model_dump()).decode()
    words = [sys.executable, "-m", "lewm_evidence.stages.train", "--runs", str(runs), "--spec", line]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def _wait_for_point(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not (path / "logs" / "resume" / "point.safetensors").exists():
        assert time.monotonic() < deadline, "no resume point was written"
        time.sleep(0.005)


def test_a_damaged_resume_point_means_a_new_start(data: FinishedRun, trained: FinishedRun) -> None:
    """Garbage where the point should be, and old records: the run starts over and ends the same."""
    other = Run(data.path.parents[1], _spec("train", {**TINY, "seed": 3}, data=data.name))
    point = other.path / "logs" / "resume" / "point.safetensors"
    point.parent.mkdir(parents=True)
    point.write_bytes(b"not safetensors")
    other.scalar("train/loss", 1.0, 1)
    train.run(other)
    other.finish({})
    assert sorted(FinishedRun(other.path).scalars("train/loss")) == [1, 3, 6, 9, 12]


def test_a_collapsed_model_fails_by_name_although_its_prediction_loss_is_best(data: FinishedRun) -> None:
    """Without SIGReg the prediction loss falls and the gate says that the latents collapsed."""
    gates = {"min_embedding_std": 0.5, "max_prediction_ratio": 0.5, "min_probe_r2": 0.7}
    config = {**TINY, "sigreg_weight": 0.0, "steps": 60, "record_every": 60, **gates}
    failed = Run(data.path.parents[1], _spec("train", config, data=data.name))
    with pytest.raises(GateError, match="the latents collapsed"):
        train.run(failed)
    failed.close()
    assert not (failed.path / "checkpoint").exists()
    losses = FinishedRun(failed.path).scalars("train/prediction_loss")
    assert losses[60] < losses[1]


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished collect run of a tiny recorded dataset with episodes of several lengths."""
    folder = tmp_path_factory.mktemp("recorded")
    made = recorded.episodes((25, 21, 30, 18), size=16)
    path = recorded.write_hdf5(folder / "tiny.h5", made)
    out = Run(folder / "runs", _spec("collect", {"world": "pusht", "dataset": {"path": str(path), "image_size": 16}}))
    collect.run(out)
    out.finish({})
    return FinishedRun(out.path)


def test_it_trains_on_recorded_episodes(taken_in: FinishedRun) -> None:
    """Episodes of several lengths give a checkpoint that says its pictures were recorded; states are probed."""
    trained = _train(taken_in, min_probe_r2=-1e30)  # the one held-out block hardly moves
    normalization = load_checkpoint(trained.path / "checkpoint").normalization
    assert (normalization.world, normalization.renderer) == ("pusht", "recorded")
    (record,) = taken_in.records("arrays")
    actions = taken_in.arrays(record.path)["actions"][: 25 + 21 + 30]  # type: ignore[union-attr]
    np.testing.assert_allclose(normalization.action_mean, np.nanmean(actions, axis=0), atol=1e-6)
    assert sorted(trained.scalars("train/probe_r2/block_x")) == [1, 3, 6, 9, 12]


def test_recorded_pictures_of_another_size_are_refused(taken_in: FinishedRun) -> None:
    """The error names both sizes and both keys."""
    with pytest.raises(StageError, match=r"16 px wide and train\.image_size is 32"):
        _train(taken_in, image_size=32)


def test_windows_stay_inside_an_episode() -> None:
    """Whatever the lengths, frames and actions of a window belong to one episode and to each other."""
    lengths = np.array([20, 35, 16])
    frame = np.arange(lengths.sum())
    episode = np.repeat(np.arange(3), lengths)
    frames = np.stack([frame, episode, frame], axis=-1).astype(np.uint8)[:, None, None]
    actions = frame[:, None].astype(np.float32)
    drawn = windows.Windows(windows.Episodes(frames, actions, None, lengths), history=3, frameskip=5)
    pictures, blocks = drawn.draw(np.random.default_rng(0), 500)
    seen = pictures[:, :, 0, 0].numpy().astype(int)
    assert (seen[:, :, 1] == seen[:, :1, 1]).all()
    assert (np.diff(seen[:, :, 0], axis=1) == 5).all()
    np.testing.assert_array_equal(blocks.reshape(500, 15)[:, 0], seen[:, 0, 0])
    assert set(seen[:, 0, 1]) == {0, 1, 2}
    assert {20 + 35, 20 + 35 - 16} <= set(seen[:, 0, 0])  # the last window of the second, the only one of the third


def test_episodes_too_short_for_a_window_are_refused(data: FinishedRun) -> None:
    """The error names both lengths and what to raise."""
    with pytest.raises(StageError, match=r"20 steps.*4 x 6.*collect\.steps"):
        _train(data, history=4, frameskip=6)


def test_the_weight_of_sigreg_falls_geometrically_to_its_end() -> None:
    """Half way it is the geometric mean; without an end it stays."""
    config = Train.model_validate({**TINY, "steps": 100, "sigreg_weight": 0.4, "sigreg_weight_end": 0.1})
    assert [fit.sigreg_weight(config, step) for step in (0, 50, 100)] == pytest.approx([0.4, 0.2, 0.1])
    constant = config.model_copy(update={"sigreg_weight_end": None})
    assert fit.sigreg_weight(constant, 99) == 0.4


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    """Linear to the peak, then half a cosine."""
    config = Train.model_validate({**TINY, "steps": 100, "warmup": 10, "learning_rate": 0.5})
    rates = [fit.learning_rate(config, step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.05 * (step + 1) for step in range(10)])
    assert rates[10] == 0.5
    assert rates[55] == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)) / 2)
    assert rates[-1] < 0.001
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
