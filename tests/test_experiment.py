"""The logger for trainers: two files and TensorBoard say the same."""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from lewm_evidence.errors import InputError
from lewm_evidence.experiment import TrainConfig, create_run_context, create_training_run


def config(folder: Path) -> TrainConfig:
    """A run on CartPole."""
    return TrainConfig(algo="ppo", env_id="CartPole-v1", seed=13, total_timesteps=64, output_dir=folder)


def series(folder: Path, tag: str) -> list[tuple[int, object]]:
    """Returns the points of a tag as TensorBoard reads them."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return [(point.step, make_ndarray(point.tensor_proto).item()) for point in accumulator.Tensors(tag)]


def test_create_training_run_emits_tensorboard_event_file(tmp_path: Path) -> None:
    """The plan's first test: one logged metric makes an event file in the run's folder."""
    run = create_training_run(config(tmp_path), run_suffix="tb")
    try:
        run.logger.log_metrics({"loss": 1.25}, step=7)
    finally:
        run.close()
    assert list(run.run_context.tensorboard_dir.glob("events.out.tfevents.*"))


def test_create_run_context_exposes_tensorboard_directory(tmp_path: Path) -> None:
    """The plan's second test: the folder is there before anything is logged, and empty."""
    context = create_run_context(config(tmp_path), run_suffix="manual")
    assert context.tensorboard_dir.exists()
    assert context.run_dir == tmp_path / "ppo-CartPole-v1-seed13-manual"
    assert list(context.run_dir.iterdir()) == [context.tensorboard_dir]


def test_files_and_tensorboard_say_the_same(tmp_path: Path) -> None:
    """Configuration and every number, at the same steps, as soon as it is logged."""
    with create_training_run(config(tmp_path)) as run:
        run.logger.log_metrics({"loss": 1.25, "return": np.float32(20.0), "note": "warm-up"}, step=7)
        run.logger.log_metrics({"loss": float("nan"), "return": torch.tensor(21.5)}, step=8)
        run.logger.flush()
        context = run.run_context
        lines = [json.loads(line) for line in context.metrics_path.read_text().splitlines()]
        returns = series(context.tensorboard_dir, "return")
        losses = series(context.tensorboard_dir, "loss")
        text = series(context.tensorboard_dir, "config")[0][1]
    run.close()
    assert lines == [
        {"step": 7, "loss": 1.25, "return": 20.0, "note": "warm-up"},
        {"step": 8, "loss": "NaN", "return": 21.5},
    ]
    assert returns == [(line["step"], line["return"]) for line in lines]
    assert losses[0] == (7, 1.25) and losses[1][0] == 8 and np.isnan(losses[1][1])  # type: ignore[call-overload]
    written = json.loads(context.config_path.read_text())
    assert written["algo"] == "ppo" and written["env_id"] == "CartPole-v1" and written["total_timesteps"] == 64
    assert isinstance(text, bytes) and json.loads(text.decode().strip("`json\n")) == written


def test_a_run_is_not_mixed_with_another(tmp_path: Path) -> None:
    """The same suffix twice is refused; without one, the time tells runs apart."""
    create_training_run(config(tmp_path), run_suffix="a").close()
    with pytest.raises(InputError, match="holds a run already; give another run_suffix"):
        create_training_run(config(tmp_path), run_suffix="a")
    assert create_run_context(config(tmp_path)).run_dir.name.endswith("Z")


def test_what_cannot_be_logged_is_refused(tmp_path: Path) -> None:
    """A metric called step, a step before the first; and then nothing is half written."""
    with create_training_run(config(tmp_path), run_suffix="../x") as run:
        with pytest.raises(InputError, match="named 'step'"):
            run.logger.log_metrics({"step": 1.0}, step=1)
        with pytest.raises(InputError, match="step=-1"):
            run.logger.log_metrics({"loss": 1.0}, step=-1)
        assert run.run_context.metrics_path.read_text() == ""
        assert run.run_context.run_dir.parent == tmp_path
    with pytest.raises(InputError, match="total_timesteps=0"):
        TrainConfig(algo="ppo", env_id="x", total_timesteps=0)
    with pytest.raises(InputError, match="algo"):
        TrainConfig(algo=" ", env_id="x")


def test_secrets_in_a_configuration_are_left_out(tmp_path: Path) -> None:
    """Of the file as of the panel."""
    secret = {"api_key": "canary-abcdefgh", "use_mask_token": True}
    given = TrainConfig(algo="ppo", env_id="x", output_dir=tmp_path, hyperparameters=secret)
    with create_training_run(given) as run:
        written = b"".join(path.read_bytes() for path in run.run_context.run_dir.rglob("*") if path.is_file())
    assert b"canary" not in written and b'"use_mask_token": true' in written


def test_without_tensorboard_the_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Training goes on, and one sentence says what is missing."""
    for name in ("lewm_evidence.render.live_tensorboard", "torch.utils.tensorboard", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level(logging.WARNING), create_training_run(config(tmp_path)) as run:
        run.logger.log_metrics({"loss": 1.25}, step=7)
    assert json.loads(run.run_context.metrics_path.read_text()) == {"step": 7, "loss": 1.25}
    assert len(caplog.records) == 1 and not list(run.run_context.tensorboard_dir.iterdir())
