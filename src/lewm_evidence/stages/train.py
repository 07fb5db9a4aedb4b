"""Trains a LeWM on collected episodes: next-embedding prediction and SIGReg (arXiv 2603.19312, section 3).

Inputs: `data`, a collect run.
Writes:
    scalars, step = optimiser steps done: `train/loss`, `train/prediction_loss`, `train/sigreg`, `train/grad_norm`,
    `train/learning_rate` of the last step; on held-out episodes `train/embedding_std`, `train/effective_rank`,
    `train/val_prediction`, `train/val_copy`, `train/val_shuffled`, and where states are known
    `train/probe_r2_min` (agent and block position, of pictures that show the agent) and `train/probe_r2/<quantity>`.
    event `train/model` (parameters, training and held-out episodes); text `checkpoint/tensors_by_name`.
    timing `train/throughput` (windows per second).
    files `checkpoint/` as `checkpoint.load_checkpoint` reads it.

Resumable: `logs/resume/point.safetensors` is replaced every `checkpoint_every` steps and removed at the end.
"""

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lewm_evidence import worlds
from lewm_evidence.checkpoint import save_checkpoint
from lewm_evidence.checkpoint.format import WEIGHTS
from lewm_evidence.config import Train
from lewm_evidence.data.frames import open_frames
from lewm_evidence.data.statistics import action_statistics
from lewm_evidence.errors import GateError, StageError
from lewm_evidence.model import LeWM, ModelConfig, Normalization
from lewm_evidence.model.sigreg import sigreg
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.records.job import main, say
from lewm_evidence.tensors import tensor_table
from lewm_evidence.training import measure, resume, windows

# Pictures are mostly white table: white becomes 0, so that zero padding looks like more table.
IMAGE_MEAN, IMAGE_STD = (1.0, 1.0, 1.0), (0.25, 0.25, 0.25)
VAL_WINDOWS, PROBE_TRAIN, PROBE_TEST = 256, 1024, 512


@dataclass(frozen=True)
class _Data:
    train: windows.Windows
    held_out: windows.Windows
    normalization: Normalization
    world: worlds.World


@dataclass
class _Trainer:
    """What changes from step to step."""

    config: Train
    model: LeWM
    optimizer: torch.optim.Optimizer
    done: int = 0


def run(out: Run) -> None:
    """Trains from the newest resume point, or from the start, to the end, and judges the result."""
    config = Train.model_validate(out.config)
    data = _prepare(out, config)
    trainer = _start(config, data, torch.device(out.spec.device or "cpu"))
    point = out.path / "logs" / "resume" / "point.safetensors"
    _resume(out, trainer, point)
    _describe(out, trainer, data)
    _train(out, trainer, data, point)
    _judge(out, config)
    _save(out, trainer, data)
    shutil.rmtree(point.parent, ignore_errors=True)


def _prepare(out: Run, config: Train) -> _Data:
    source = out.input("data")
    world = worlds.make(source.spec.config["world"])
    episodes = _episodes(source, world, config)
    windows.check_lengths(episodes.lengths, config.history, config.frameskip)
    seen = int(episodes.lengths[: windows.train_episodes(len(episodes.lengths))].sum())
    mean, std = action_statistics(episodes.actions[:seen])
    normalization = Normalization(
        action_mean=mean,
        action_std=std,
        image_mean=IMAGE_MEAN,
        image_std=IMAGE_STD,
        frameskip=config.frameskip,
        image_size=config.image_size,
        renderer="recorded" if source.spec.config.get("dataset") else world.name,
        world=world.name,
    )
    train, held_out = windows.split_windows(episodes, normalization, config.history)
    return _Data(train, held_out, normalization, world)


def _episodes(source: FinishedRun, world: worlds.World, config: Train) -> windows.Episodes:
    for record in source.records("arrays"):
        if record.tag == "collect/episodes" and record.kind == "arrays":
            return _drawn(world, source.arrays(record.path), config.image_size)
        if record.tag == "collect/recorded" and record.kind == "arrays":
            return _recorded(source, source.arrays(record.path), config)
    raise StageError(f"{source.path} holds no arrays 'collect/episodes'; is it a collect run?")


def _drawn(world: worlds.World, arrays: dict[str, NDArray[Any]], size: int) -> windows.Episodes:
    """Returns simulated episodes of equal lengths, with the pictures that the world draws."""
    states, actions = arrays["states"].astype(np.float32), arrays["actions"].astype(np.float32)
    count, length = states.shape[:2]
    # A row for each frame, NaN where no action follows.
    actions = np.pad(actions, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan).reshape(count * length, -1)
    frames = _draw(world, states, size).reshape(count * length, size, size, 3)
    return windows.Episodes(frames, actions, states.reshape(count * length, -1), np.full(count, length))


def _recorded(source: FinishedRun, arrays: dict[str, NDArray[Any]], config: Train) -> windows.Episodes:
    """Returns recorded episodes; their pictures stay in their file until they are used."""
    (event,) = source.events("collect/dataset")
    frames = open_frames(source.path, str(event.fields["frames_sha256"]))
    if frames.shape[1:] != (config.image_size, config.image_size, 3):
        raise StageError(
            f"the pictures of {source.name} are {frames.shape[1]} px wide and train.image_size is "
            f"{config.image_size}; make it and collect.dataset.image_size equal"
        )
    return windows.Episodes(frames, arrays["actions"], arrays.get("states"), arrays["lengths"])


def _draw(world: worlds.World, states: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    total = len(states)

    def progress(done: int) -> None:
        if done % max(1, total // 10) == 0:
            say(f"train: pictures of {done} of {total} episodes drawn")

    start = time.perf_counter()
    frames = windows.draw_all(world, states, size, progress)
    rate = states.shape[0] * states.shape[1] / (time.perf_counter() - start)
    say(f"train: {rate:.0f} pictures per second")
    return frames


def _start(config: Train, data: _Data, device: torch.device) -> _Trainer:
    torch.manual_seed(config.seed)
    architecture = ModelConfig.small(
        image_size=config.image_size,
        dim=config.dim,
        depth=config.depth,
        heads=config.heads,
        channels=config.channels,
        history=config.history,
        action_block_dim=data.normalization.action_block_dim,
        dropout=config.dropout,
    )
    model = LeWM(architecture, data.normalization).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    return _Trainer(config, model, optimizer)


def _resume(out: Run, trainer: _Trainer, point: Path) -> None:
    found = resume.load_point(point, trainer.model, trainer.optimizer)
    out.rewind(found.offsets if found else {})
    shutil.rmtree(out.path / "checkpoint", ignore_errors=True)
    if found:
        trainer.done = found.step
        say(f"train: continuing after step {found.step}")


def _describe(out: Run, trainer: _Trainer, data: _Data) -> None:
    if trainer.done == 0:
        parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
        counts = {"train_episodes": len(data.train), "held_out_episodes": len(data.held_out)}
        out.event("train/model", parameters=parameters, **counts)


def _train(out: Run, trainer: _Trainer, data: _Data, point: Path) -> None:
    config = trainer.config
    start, since = time.perf_counter(), trainer.done
    while trainer.done < config.steps:
        losses = _step(trainer, data.train)
        done = trainer.done
        if done % config.record_every == 0 or done in (1, config.steps):
            rate = (done - since) * config.batch / (time.perf_counter() - start)
            _record(out, trainer, data, losses, rate)
            start, since = time.perf_counter(), done
        if done % config.checkpoint_every == 0 and done < config.steps:
            resume.save_point(point, trainer.model, trainer.optimizer, done, out.offsets())


def _step(trainer: _Trainer, data: windows.Windows) -> dict[str, float]:
    """Takes one optimiser step; everything random comes from (seed, step), so a resumed run is the same run."""
    config, model = trainer.config, trainer.model
    rng = np.random.default_rng([config.seed, trainer.done])
    generator = torch.Generator(model.device).manual_seed(int(rng.integers(2**62)))
    torch.manual_seed(int(rng.integers(2**62)))  # dropout knows no other generator than the global one
    frames, actions = data.draw(rng, config.batch)
    rate = learning_rate(config, trainer.done)
    for group in trainer.optimizer.param_groups:
        group["lr"] = rate
    model.train()
    prediction, spread = losses(model, frames, actions.to(model.device), config, generator)
    loss = prediction + config.sigreg_weight * spread
    trainer.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    trainer.optimizer.step()
    trainer.done += 1
    found = {"loss": loss, "prediction_loss": prediction, "sigreg": spread, "grad_norm": norm}
    return {name: float(value.detach()) for name, value in found.items()} | {"learning_rate": rate}


def losses(
    model: LeWM, frames: Tensor, actions: Tensor, config: Train, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Returns the prediction loss and SIGReg of windows, frames (B, T + 1, H, W, 3) and actions (B, T, A).

    The target is the next latent itself, with its gradient; only SIGReg keeps the latents from collapsing. It is
    taken over the batch at each time apart, because the frames of one window are not independent samples.
    """
    z = model.embed(frames)
    prediction = (model.predict(z[:, :-1], actions) - z[:, 1:]).square().mean()
    spread = sigreg(z.transpose(0, 1), config.sigreg_projections, config.sigreg_knots, generator)
    return prediction, spread


def learning_rate(config: Train, step: int) -> float:
    """Returns the rate for the optimiser step after `step` steps: linear warm-up, then a cosine to zero."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def _record(out: Run, trainer: _Trainer, data: _Data, values: dict[str, float], rate: float) -> None:
    done, model = trainer.done, trainer.model.eval()
    held_out = _measure(model, data, trainer.config.seed)
    for name, value in (values | held_out).items():
        out.scalar(f"train/{name}", value, done)
    out.timing("train/throughput", rate, done, unit="1/s")
    say(
        f"train: step {done} of {trainer.config.steps}, loss {values['loss']:.3f}, held out "
        f"{held_out['val_prediction']:.3f} (copy {held_out['val_copy']:.3f}), std {held_out['embedding_std']:.2f}, "
        f"probe {held_out.get('probe_r2_min', math.nan):.2f}, {rate:.0f} windows/s"
    )


def _measure(model: LeWM, data: _Data, seed: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, 0, 1])  # the same sample at every record
    errors = measure.dynamics(model, *data.held_out.draw(rng, VAL_WINDOWS))
    z_test = model.encode(data.held_out.draw_frames(rng, PROBE_TEST)[0])
    scores = _probe(model, data, rng) if data.train.episodes.states is not None else {}
    positions = [score for name, score in scores.items() if measure.is_position(name)]
    return {
        "embedding_std": measure.embedding_std(z_test),
        "effective_rank": measure.effective_rank(z_test),
        "val_prediction": errors.prediction,
        "val_copy": errors.copy,
        "val_shuffled": errors.shuffled,
        **({"probe_r2_min": min(positions)} if positions else {}),
        **{f"probe_r2/{name}": score for name, score in scores.items()},
    }


def _probe(model: LeWM, data: _Data, rng: np.random.Generator) -> dict[str, float]:
    """Returns the held-out R^2 of each quantity, of pictures that show the agent."""
    z, targets = _seen(model, data.world, *data.train.draw_frames(rng, PROBE_TRAIN))
    z_test, targets_test = _seen(model, data.world, *data.held_out.draw_frames(rng, PROBE_TEST))
    names = list(targets)
    columns = (np.column_stack(list(found.values())) for found in (targets, targets_test))
    return dict(zip(names, measure.probe_r2(z, next(columns), z_test, next(columns)).tolist(), strict=True))


def _seen(
    model: LeWM, world: worlds.World, frames: Tensor, states: NDArray[np.float32]
) -> tuple[Tensor, dict[str, NDArray[np.float64]]]:
    shown = measure.visible(states, world)
    return model.encode(frames[torch.from_numpy(shown)]), measure.probed(states[shown], world)


def _judge(out: Run, config: Train) -> None:
    """Raises `GateError` for a model that collapsed or did not learn.

    The prediction loss alone says nothing: it is best when all latents are equal.
    """
    run = FinishedRun(out.path)
    spread = run.last("train/embedding_std")
    probed = run.scalars("train/probe_r2_min")  # empty when no states were recorded
    r2 = probed[max(probed)] if probed else math.inf
    ratio = run.last("train/val_prediction") / max(run.last("train/val_copy"), 1e-12)
    faults = []
    if spread < config.min_embedding_std:
        faults.append(f"the latents collapsed: their spread is {spread:.3f}, below {config.min_embedding_std}")
    if ratio > config.max_prediction_ratio:
        faults.append(
            f"the predictions are hardly better than predicting no change: error ratio {ratio:.2f}, "
            f"above {config.max_prediction_ratio}"
        )
    if r2 < config.min_probe_r2:
        faults.append(f"positions cannot be read from the latents: worst R^2 {r2:.2f}, below {config.min_probe_r2}")
    if faults:
        raise GateError(f"{'; '.join(faults)}. Train longer, or raise train.sigreg_weight if the latents collapsed")


def _save(out: Run, trainer: _Trainer, data: _Data) -> None:
    provenance = {
        "source": "trained",
        "run": f"{out.spec.stage}/{out.key}",
        "data": out.spec.inputs["data"],
        "train": trainer.config.model_dump(mode="json"),
        "collect": out.input("data").spec.config,
    }
    model = trainer.model
    folder = out.path / "checkpoint"
    save_checkpoint(folder, model.config, model.state_dict(), data.normalization, provenance)
    out.text("checkpoint/tensors_by_name", tensor_table(folder / WEIGHTS))


if __name__ == "__main__":
    main(run, resumable=True)
