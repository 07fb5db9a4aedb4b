"""The training loop: from the newest resume point, or from the start, to the last step.

Everything random in a step comes from (seed, step), so that a resumed run, one with other timing, and one with more
ranks is the same run.
"""

import math
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lewm_evidence.config import Train
from lewm_evidence.errors import GateError
from lewm_evidence.model import LeWM, ModelConfig
from lewm_evidence.model.sigreg import sigreg
from lewm_evidence.records import Run
from lewm_evidence.records.job import RESUME, say
from lewm_evidence.training import measure, resume
from lewm_evidence.training.ahead import ahead
from lewm_evidence.training.data import Data, prepare
from lewm_evidence.training.ranks import ALONE, Ranks


@dataclass
class Trainer:
    """What changes from step to step, and where it happens."""

    config: Train
    model: LeWM
    optimizer: torch.optim.Optimizer
    ranks: Ranks = ALONE
    done: int = 0


class Batch(NamedTuple):
    """One step's input: this rank's pictures uint8 (b, T + 1, H, W, 3), all actions (B, T, A), and two seeds."""

    frames: Tensor
    actions: Tensor
    projections_seed: int
    dropout_seed: int


def point_of(out: Run) -> Path:
    """Returns where the resume point of a run is."""
    return out.path / RESUME / "point.safetensors"


def fit(out: Run, device: torch.device, ranks: Ranks = ALONE) -> tuple[LeWM, Data]:
    """Trains to the last step, leaves a resume point there, and returns the model with its data.

    Args:
        out: the run; the first rank writes records into it.
        device: of this rank.
        ranks: this process and its peers.
    """
    config = Train.model_validate(out.config)
    data = prepare(out, config)
    trainer = start(config, data, device, ranks)
    _resume(out, trainer)
    if ranks.first and trainer.done == 0:
        _describe(out, trainer, data)
    _train(out, trainer, data)
    return trainer.model, data


def start(config: Train, data: Data, device: torch.device, ranks: Ranks = ALONE) -> Trainer:
    """Returns a trainer with fresh weights, the same on every rank."""
    torch.manual_seed(config.seed)
    model = LeWM(architecture(config, data.normalization.action_block_dim), data.normalization).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    return Trainer(config, model, optimizer, ranks)


def architecture(config: Train, action_block_dim: int) -> ModelConfig:
    """Returns the model that `config` asks for."""
    if config.architecture == "paper":
        return ModelConfig.paper(
            image_size=config.image_size,
            dim=config.dim,
            depth=config.depth,
            heads=config.heads,
            history=config.history,
            action_block_dim=action_block_dim,
            dropout=config.dropout,
        )
    return ModelConfig.small(
        image_size=config.image_size,
        dim=config.dim,
        depth=config.depth,
        heads=config.heads,
        encoder=config.encoder,
        channels=config.channels,
        maps=config.maps,
        history=config.history,
        action_block_dim=action_block_dim,
        dropout=config.dropout,
    )


def _resume(out: Run, trainer: Trainer) -> None:
    found = resume.load_point(point_of(out), trainer.model, trainer.optimizer)
    trainer.done = found.step if found else 0
    if trainer.ranks.first:
        out.rewind(found.offsets if found else {})
        shutil.rmtree(out.path / "checkpoint", ignore_errors=True)
        if found:
            say(f"train: continuing after step {found.step}")


def _describe(out: Run, trainer: Trainer, data: Data) -> None:
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    counts = {"train_episodes": len(data.train), "held_out_episodes": len(data.held_out)}
    out.event("train/model", parameters=parameters, precision=trainer.config.precision, **counts)


def _train(out: Run, trainer: Trainer, data: Data) -> None:
    config, ranks = trainer.config, trainer.ranks
    record = _Recorder(out, trainer, data) if ranks.first else None
    with tqdm(total=config.steps, initial=trainer.done, unit="step", disable=None if ranks.first else True) as bar:
        for batch in ahead(_batches(trainer, data), range(trainer.done, config.steps), out.threads):
            found = step(trainer, batch)
            bar.update()
            done = trainer.done
            if record and (done % config.record_every == 0 or done in (1, config.steps)):
                bar.set_postfix_str(record(found))
            if ranks.first and (done % config.checkpoint_every == 0 or done == config.steps):
                resume.save_point(point_of(out), trainer.model, trainer.optimizer, done, out.offsets())


def _batches(trainer: Trainer, data: Data) -> Callable[[int], Batch]:
    """Returns what makes the batch of a step, a function of the seed and the step alone."""
    config, part = trainer.config, trainer.ranks.share(trainer.config.batch)
    pinned = trainer.model.device.type == "cuda"  # copied to the device while the step before it runs

    def make(done: int) -> Batch:
        rng = np.random.default_rng([config.seed, done])
        seeds = int(rng.integers(2**62)), int(rng.integers(2**62))
        frames, actions = data.train.draw(rng, config.batch, part)
        return Batch(frames.pin_memory() if pinned else frames, actions.pin_memory() if pinned else actions, *seeds)

    return make


def step(trainer: Trainer, batch: Batch) -> dict[str, Tensor]:
    """Takes one optimiser step and returns its losses, gradient norm and learning rate."""
    config, model = trainer.config, trainer.model
    generator = torch.Generator(model.device).manual_seed(batch.projections_seed)
    torch.manual_seed(batch.dropout_seed)  # dropout knows no other generator than the global one
    rate = learning_rate(config, trainer.done)
    for group in trainer.optimizer.param_groups:
        group["lr"] = rate
    frames, actions = (tensor.to(model.device, non_blocking=True) for tensor in (batch.frames, batch.actions))
    model.train()
    prediction, spread = losses(model, frames, actions, config, generator, trainer.ranks)
    loss = prediction + sigreg_weight(config, trainer.done) * spread
    trainer.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    trainer.ranks.reduce_gradients(model.encoder, model)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    trainer.optimizer.step()
    trainer.done += 1
    found = {"loss": loss, "prediction_loss": prediction, "sigreg": spread, "grad_norm": norm}
    # Left on the device: asking for the numbers at each step would make a GPU wait.
    return {name: value.detach() for name, value in found.items()} | {"learning_rate": torch.tensor(rate)}


def losses(
    model: LeWM, frames: Tensor, actions: Tensor, config: Train, generator: torch.Generator, ranks: Ranks = ALONE
) -> tuple[Tensor, Tensor]:
    """Returns the prediction loss and SIGReg of windows, frames (b, T + 1, H, W, 3) and actions (B, T, A).

    The target is the next latent itself, with its gradient; only SIGReg keeps the latents from collapsing. It is
    taken over the batch at each time apart, because the frames of one window are not independent samples. Losses are
    computed in float32, whatever `config.precision` says of the layers.
    """
    with torch.autocast(model.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        z = model.projector(ranks.gather(model.features(frames)))
        predicted = model.predict(z[:, :-1], actions)
    z, predicted = z.float(), predicted.float()
    prediction = (predicted - z[:, 1:]).square().mean()
    spread = sigreg(z.transpose(0, 1), config.sigreg_projections, config.sigreg_knots, generator)
    return prediction, spread


def learning_rate(config: Train, step: int) -> float:
    """Returns the rate for the optimiser step after `step` steps: linear warm-up, then a cosine to zero."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def sigreg_weight(config: Train, step: int) -> float:
    """Returns SIGReg's weight in the loss of the optimiser step after `step` steps."""
    if config.sigreg_weight_end is None:
        return config.sigreg_weight
    return float(config.sigreg_weight * (config.sigreg_weight_end / config.sigreg_weight) ** (step / config.steps))


class _Recorder:
    """Writes the records of a step, and says how far the training is."""

    def __init__(self, out: Run, trainer: Trainer, data: Data) -> None:
        self._out, self._trainer, self._data = out, trainer, data
        self._since, self._start = trainer.done, time.perf_counter()

    def __call__(self, found: dict[str, Tensor]) -> str:
        """Returns what a progress bar shows."""
        trainer, config = self._trainer, self._trainer.config
        done, values = trainer.done, {name: float(value) for name, value in found.items()}
        if not all(map(math.isfinite, values.values())):
            raise GateError(f"the loss is not a number at step {done}; lower train.learning_rate or train.clip")
        rate = (done - self._since) * config.batch / (time.perf_counter() - self._start)
        held_out = measure.held_out(trainer.model.eval(), self._data, config)
        for name, value in (values | held_out).items():
            self._out.scalar(f"train/{name}", value, done)
        self._out.arrays("train/latents", measure.shown(trainer.model, self._data, config.seed), done)
        self._out.timing("train/throughput", rate, done, unit="1/s")
        self._since, self._start = done, time.perf_counter()
        shown = (
            f"loss {values['loss']:.3f}, SIGReg {values['sigreg']:.2f}, held out {held_out['val_prediction']:.3f} "
            f"(copy {held_out['val_copy']:.3f}), std {held_out['embedding_std']:.2f}, "
            f"probe {held_out.get('probe_r2_min', math.nan):.2f}, {rate:.0f} windows/s"
        )
        if not sys.stderr.isatty():
            left = tqdm.format_interval((config.steps - done) * config.batch / rate)
            say(f"train: step {done} of {config.steps}, {shown}, {left} left")
        return shown
