"""Encodes and scores with a checkpoint whose simulator is not here, and says what is skipped for that reason.

Input: `checkpoint`. The pictures are seeded patterns, not scenes of the world: the figures show that the whole model
computes, repeatably and fast enough, not that it plans well.

Writes
- scalars `score/latent_norm` (step 0 start, 1 goal), `score/cem/elite_cost_mean|elite_cost_min` (step = iteration);
- histogram `score/costs`: of random z-scored candidates;
- arrays `score/model`: `pictures` (2, H, W, 3), `latents` (2, D), `candidates` (S, T, A), `costs` (S,), `plan` (T, A);
- event `score/planner` with `path`, what computed;
- event `score/repeats` with `repeats` and `equal`: whether latents and costs came out the same each time, to the bit;
- one event `score/skipped` for each stage that needs the simulator, with `stage` and `reason`;
- timings `latency/encode`, `latency/cost` (step = repeat), `latency/solve`.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lewm_evidence.config import Planner
from lewm_evidence.planning import CEM, FastLeWM
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.stages.rollout import load_model

SKIPPED = ("showcase", "evaluate", "gate", "render_rerun", "probe_rerun")
REPEATS = 5
T = TypeVar("T")
_TILES = 16  # a picture is a grid of this many coloured tiles a side


def run(out: Run) -> None:
    """Encodes two pictures, scores random candidates, plans once."""
    planner = Planner.model_validate(out.config["planner"])
    model = FastLeWM(load_model(out), precision=planner.precision)
    generator = torch.Generator().manual_seed(out.config["seed"])
    pictures = seeded_pictures(out.config["seed"], model.config.image_size)
    encoded = _timed(out, "latency/encode", lambda: model.encode(pictures), REPEATS)
    latents = encoded[0]
    shape = (planner.num_samples, planner.horizon, model.config.action_block_dim)
    candidates = torch.randn(shape, generator=generator)
    scored = _timed(
        out,
        "latency/cost",
        lambda: model.cost_from_latents(latents[0], latents[1], candidates.to(model.device)),
        REPEATS,
    )
    costs = scored[0]
    equal = all(torch.equal(again, found[0]) for found in (encoded, scored) for again in found)
    cem = CEM(model, planner.num_samples, planner.iterations, planner.elites, planner.horizon)
    (plan,) = _timed(out, "latency/solve", lambda: cem.solve(latents[0], latents[1], generator), 1)
    for step, norm in enumerate(latents.norm(dim=1).tolist()):
        out.scalar("score/latent_norm", norm, step)
    out.histogram("score/costs", costs.tolist())
    for step, entry in enumerate(plan.history):
        elite = entry.costs[entry.elite_indices]
        out.scalar("score/cem/elite_cost_mean", elite.mean().item(), step)
        out.scalar("score/cem/elite_cost_min", elite.min().item(), step)
    tensors = {"latents": latents, "candidates": candidates, "costs": costs, "plan": plan.actions}
    arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    out.arrays("score/model", {"pictures": pictures, **arrays})
    out.event("score/planner", path=model.path)
    out.event("score/repeats", repeats=REPEATS, equal=equal)
    say(f"score: {len(costs)} candidates cost {costs.min():.3f} to {costs.max():.3f}; a plan costs {plan.cost:.3f}")
    _record_skipped(out, model)


def seeded_pictures(seed: int, size: int) -> NDArray[np.uint8]:
    """Returns two seeded patterns as pictures, uint8 (2, size, size, 3)."""
    tiles = np.random.default_rng(seed).integers(0, 256, (2, _TILES, _TILES, 3), np.uint8)
    index = np.arange(size) * _TILES // size
    # Contiguous: the last bit of a convolution depends on the layout of its input.
    return np.ascontiguousarray(tiles[:, index][:, :, index])


def _timed(out: Run, tag: str, call: Callable[[], T], repeats: int) -> list[T]:
    results = []
    for repeat in range(repeats):
        start = time.perf_counter()
        results.append(call())
        out.timing(tag, time.perf_counter() - start, repeat)
    return results


def _record_skipped(out: Run, model: FastLeWM) -> None:
    reason = f"there is no simulator of {model.normalization.world} here; the checkpoint was loaded and scored only"
    for step, stage in enumerate(SKIPPED):
        out.event("score/skipped", step, stage=stage, reason=reason)
    say(f"score: skipped {', '.join(SKIPPED)}: {reason}")


if __name__ == "__main__":
    main(run)
