"""Trains a LeWM on collected episodes: next-embedding prediction and SIGReg (arXiv 2603.19312, section 3).

Inputs: `data`, a collect run.
Writes:
    scalars, step = optimiser steps done: `train/loss`, `train/prediction_loss`, `train/sigreg`, `train/grad_norm`,
    `train/learning_rate` of the last step; on held-out episodes `train/embedding_std`, `train/effective_rank`,
    `train/val_prediction`, `train/val_copy`, `train/val_shuffled`, and where states are known
    `train/probe_r2_min` (agent and block position, of pictures that show the agent) and `train/probe_r2/<quantity>`.
    event `train/model` (parameters, precision, training and held-out episodes); text
    `checkpoint/tensors_by_name`.
    arrays `train/latents`: `latents` (128, D) of the same held-out pictures each time, and `places` (128, 2), where in
    them the block was, or the agent where there is no block, as shares of the plane; 0.5 where no states are known.
    timing `train/throughput` (windows per second).
    files `checkpoint/` as `checkpoint.load_checkpoint` reads it.

Resumable: `logs/resume/` holds the drawn pictures and `point.safetensors`, replaced every `checkpoint_every` steps.
Several ranks give the result of one but for the order of floating-point sums.
"""

import torch

from lewm_evidence.checkpoint import save_checkpoint
from lewm_evidence.checkpoint.format import WEIGHTS
from lewm_evidence.config import Train
from lewm_evidence.errors import StageError
from lewm_evidence.model import LeWM
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.records.job import main
from lewm_evidence.tensors import tensor_table
from lewm_evidence.training.data import Data, prepare
from lewm_evidence.training.fit import fit
from lewm_evidence.training.gates import judge
from lewm_evidence.training.launch import launch


def run(out: Run) -> None:
    """Trains from the newest resume point, or from the start, to the end, and judges the result."""
    config = Train.model_validate(out.config)
    if config.batch % out.ranks:
        raise StageError(f"train.batch={config.batch} cannot be shared out among {out.ranks} ranks")
    if out.ranks > 1 and config.encoder == "moments":
        raise StageError("train.encoder: moments has a BatchNorm of its own rank; train it in one rank")
    if out.ranks > 1:
        prepare(out, config)  # the pictures, which all ranks share
        launch(out)
    # With ranks this takes up the point they left after the last step.
    model, data = fit(out, torch.device(out.spec.device or "cpu"))
    judge(FinishedRun(out.path), config)
    _save(out, config, model, data)


def _save(out: Run, config: Train, model: LeWM, data: Data) -> None:
    provenance = {
        "source": "trained",
        "run": f"{out.spec.stage}/{out.key}",
        "data": out.spec.inputs["data"],
        "train": config.model_dump(mode="json"),
        "collect": out.input("data").spec.config,
    }
    folder = out.path / "checkpoint"
    save_checkpoint(folder, model.config, model.state_dict(), data.normalization, provenance)
    out.text("checkpoint/tensors_by_name", tensor_table(folder / WEIGHTS))


if __name__ == "__main__":
    main(run, resumable=True)
