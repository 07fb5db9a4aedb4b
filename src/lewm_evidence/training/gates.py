"""What a trained model must show before it becomes a checkpoint.

The prediction loss alone says nothing: it is best when all latents are equal. Each gate catches that collapse in
another way, and the ratios also catch a model that learned nothing or does not heed the actions.
"""

import math
from collections.abc import Mapping

import torch

from lewm_evidence.config import Train
from lewm_evidence.errors import GateError
from lewm_evidence.model.sigreg import sigreg
from lewm_evidence.records import FinishedRun


def judge(run: FinishedRun, config: Train) -> None:
    """Raises `GateError` with all that is wrong with the last records of a training; the run needs no manifest."""
    names = ("embedding_std", "sigreg", "val_prediction", "val_copy", "val_shuffled")
    faults = _faults({name: run.last(f"train/{name}") for name in names} | _probe(run), config)
    if faults:
        raise GateError(f"{'; '.join(faults)}. Train longer, or raise train.sigreg_weight if the latents collapsed")


def _probe(run: FinishedRun) -> dict[str, float]:
    probed = run.scalars("train/probe_r2_min")
    return {"probe": probed[max(probed)] if probed else math.inf}  # empty when no states were recorded


def _faults(last: Mapping[str, float], config: Train) -> list[str]:
    ratio = last["val_prediction"] / max(last["val_copy"], 1e-12)
    shuffled = last["val_shuffled"] / max(last["val_prediction"], 1e-12)
    spread = last["sigreg"] / collapsed_sigreg(config)
    checks = {
        f"the latents collapsed: their spread is {last['embedding_std']:.3f}, below {config.min_embedding_std}": (
            last["embedding_std"] < config.min_embedding_std
        ),
        f"the latents are far from a Gaussian: SIGReg is {spread:.2f} of its value for latents that are all equal, "
        f"above {config.max_sigreg}": spread > config.max_sigreg,
        f"the predictions are hardly better than predicting no change: error ratio {ratio:.2f}, "
        f"above {config.max_prediction_ratio}": ratio > config.max_prediction_ratio,
        f"the predictions hardly depend on the actions: with those of other windows the error is {shuffled:.2f} "
        f"times as large, below {config.min_shuffled_ratio}": shuffled < config.min_shuffled_ratio,
        f"positions cannot be read from the latents: worst R^2 {last['probe']:.2f}, below {config.min_probe_r2}": (
            last["probe"] < config.min_probe_r2
        ),
    }
    return [sentence for sentence, fails in checks.items() if fails]


def collapsed_sigreg(config: Train) -> float:
    """Returns SIGReg of a batch whose latents are all 0, the value it is largest at in practice."""
    return float(sigreg(torch.zeros(config.batch, 1), 1, config.sigreg_knots, torch.Generator()))
