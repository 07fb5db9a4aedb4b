"""The same candidates scored by this project and by the reference implementation, with the same checkpoint.

REQUIRED INPUTS: `checkpoint`; the environment `envs/upstream-<digest>/`.
OUTPUTS, step = question (a start, a goal, candidates drawn from N(0, 1)): scalars `parity/reference/cost_error`,
`parity/fast/cost_error` (largest |ours - theirs| / theirs, of the readable and of the fast model),
`parity/reference/spearman`, and `parity/latent_error` (largest absolute difference) where the reference has the
encoder; arrays `parity/costs` (`ours`, `fast`, `theirs`); event `parity/outcome`.

Fails when costs differ by more than `tolerance` relative.
"""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr

import lewm_evidence.workers
from lewm_evidence import worlds
from lewm_evidence.config import WorldName
from lewm_evidence.errors import GateError
from lewm_evidence.model import LeWM
from lewm_evidence.planning.fast import FastLeWM
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.stages.rollout import load_model, make_task
from lewm_evidence.stages.score import seeded_pictures
from lewm_evidence.workers.contract import NATIVE, run_worker, ulid
from lewm_evidence.workers.environment import ENVIRONMENTS

ADAPTER = Path(lewm_evidence.workers.__path__[0]) / "adapters" / "upstream_worker.py"
_OFFSET = 25


def run(out: Run) -> None:
    """Asks both and compares."""
    config = out.config
    model = load_model(out)
    pictures = torch.stack([_pictures(model, config["seed"] + place) for place in range(config["questions"])])
    latents = torch.stack([model.encode(pair) for pair in pictures]).cpu()
    stream = torch.Generator().manual_seed(config["seed"])
    shape = (len(pictures), config["candidates"], config["horizon"], model.config.action_block_dim)
    candidates = torch.randn(shape, generator=stream)
    ours, fast = _ours(model, latents, candidates)
    theirs = _theirs(out, model, pictures, latents, candidates)
    _record(out, model, latents, {"ours": ours, "fast": fast, "theirs": theirs["costs"]}, theirs["latents"])


def _pictures(model: LeWM, seed: int) -> torch.Tensor:
    """Returns start and goal, uint8 (2, H, W, 3), from the checkpoint's world where it is here."""
    size, name = model.config.image_size, model.normalization.world
    if name not in get_args(WorldName):
        return torch.from_numpy(seeded_pictures(seed, size))
    world = worlds.make(name)
    task = make_task(world, seed, _OFFSET)
    return torch.from_numpy(np.stack([world.draw(state, size) for state in (task.start, task.goal)]))


def _ours(model: LeWM, latents: torch.Tensor, candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    z, actions, fast = latents.to(model.device), candidates.to(model.device), FastLeWM(model)
    found = [
        torch.stack([scorer(pair[0], pair[1], rows) for pair, rows in zip(z, actions, strict=True)]).cpu()
        for scorer in (model.cost_from_latents, fast.cost_from_latents)
    ]
    return found[0], found[1]


def _theirs(
    out: Run, model: LeWM, pictures: torch.Tensor, latents: torch.Tensor, candidates: torch.Tensor
) -> dict[str, torch.Tensor]:
    logs = out.path / "logs"
    exchange = logs / "exchange"
    exchange.mkdir(parents=True, exist_ok=True)
    sizes = _sizes(model)
    # Buffers of ours that the reference keeps elsewhere, and encoders that it does not have, stay here.
    left = ("image_mean", "image_std") if sizes["vit"] else ("image_mean", "image_std", "encoder.")
    weights = {name: value.cpu() for name, value in model.state_dict().items() if not name.startswith(left)}
    save_file(weights, exchange / "weights.safetensors")
    question = {"candidates": candidates, "latents": latents.contiguous()}
    if sizes["vit"]:
        mean, std = (part.cpu() for part in (model.image_mean, model.image_std))
        scaled = (pictures.movedim(-1, -3).float() / 255 - mean) / std
        question["pixels"] = scaled.contiguous()
    save_file(question, exchange / "question.safetensors")
    (exchange / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
    command: list[str | Path] = [(ENVIRONMENTS / out.config["environment"] / "bin/python").absolute(), ADAPTER]
    asked = {"algo": "parity", "hyperparameters": {"exchange": str(exchange.absolute())}}
    run_worker(command, ulid(out.key), asked, logs, out.threads, out.config["time_limit"])
    answer: dict[str, torch.Tensor] = load_file(logs / NATIVE / "answer.safetensors")
    return answer


def _sizes(model: LeWM) -> dict[str, Any]:
    config = model.config
    encoder = config.encoder
    return {
        "dim": config.dim,
        "hidden": config.projector_dim,
        "history": config.history,
        "action": config.action_block_dim,
        "encoder_dim": encoder.output_dim,
        "predictor": config.predictor.model_dump(),
        "vit": encoder.model_dump() if encoder.kind == "vit" else None,
    }


def _record(out: Run, model: LeWM, latents: torch.Tensor, costs: dict[str, torch.Tensor], theirs: torch.Tensor) -> None:
    whole = model.config.encoder.kind == "vit"
    worst = 0.0
    for place, wanted in enumerate(costs["theirs"]):
        for name, tag in (("ours", "reference"), ("fast", "fast")):
            error = ((costs[name][place] - wanted).abs() / wanted).max().item()
            worst = max(worst, error)
            out.scalar(f"parity/{tag}/cost_error", error, place)
        rank = spearmanr(costs["ours"][place].numpy(), wanted.numpy()).statistic
        out.scalar("parity/reference/spearman", float(rank), place)
        if whole:
            out.scalar("parity/latent_error", (latents[place] - theirs[place]).abs().max().item(), place)
    out.arrays("parity/costs", {name: value.numpy() for name, value in costs.items()})
    compared = "encoder, predictor and cost" if whole else "predictor and cost; the reference has no such encoder"
    out.event("parity/outcome", worst_cost_error=worst, tolerance=out.config["tolerance"], compared=compared)
    say(f"parity: costs differ from the reference by at most {worst:.1e} relative ({compared})")
    allowed = out.config["tolerance"]
    if not worst <= allowed:
        raise GateError(f"costs differ from the reference by {worst:.1e} relative; {allowed:g} is allowed")


if __name__ == "__main__":
    main(run)
