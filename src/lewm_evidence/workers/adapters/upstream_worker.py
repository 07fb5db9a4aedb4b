"""stable-worldmodel 0.1.1, the reference implementation: scores the candidates it is given with the same weights.

Hyperparameters: `exchange`, a folder with `weights.safetensors`, `question.safetensors` (latents or pictures of start
and goal, candidates) and `sizes.json`. The answer is `answer.safetensors` in the working directory.

Where the checkpoint's encoder is not the published ViT, which is all the reference has, latents come with the question.
"""

import json
from pathlib import Path
from typing import Any

import torch
from cpu_torchvision import declare_operators
from safetensors.torch import load_file, save_file
from telemetry import Source, Worker, main


def sources(algo: str) -> dict[str, Source | None]:
    """It trains nothing, so it has no curves."""
    return {}


def run(worker: Worker) -> None:
    """Answers every question."""
    torch.set_num_threads(1)
    library = declare_operators()
    folder = Path(worker.option("exchange", ""))
    sizes = json.loads((folder / "sizes.json").read_text(encoding="utf-8"))
    asked = load_file(folder / "question.safetensors")
    model = _model(sizes)
    weights = load_file(folder / "weights.safetensors")
    model.load_state_dict(weights, strict=True)
    model.eval().requires_grad_(False)
    with torch.no_grad():
        answer = _score(model, asked, sizes)
    save_file(answer, worker.logs / "answer.safetensors")
    worker.checkpoint(worker.logs / "answer.safetensors", len(asked["candidates"]))
    del library


def _model(sizes: dict[str, Any]) -> torch.nn.Module:
    from stable_worldmodel.wm.lewm import LeWM
    from stable_worldmodel.wm.lewm.module import MLP, Embedder, Predictor

    def projector(width: int) -> torch.nn.Module:
        return MLP(width, sizes["hidden"], dim, norm_fn=torch.nn.BatchNorm1d)

    dim, predictor = sizes["dim"], sizes["predictor"]
    return LeWM(
        _vit(sizes["vit"]) if sizes["vit"] else torch.nn.Identity(),
        Predictor(
            num_frames=sizes["history"],
            input_dim=dim,
            hidden_dim=dim,
            output_dim=dim,
            depth=predictor["depth"],
            heads=predictor["heads"],
            mlp_dim=predictor["mlp_dim"],
            dim_head=predictor["head_dim"],
            dropout=predictor["dropout"],
            emb_dropout=predictor["embedding_dropout"],
        ),
        Embedder(sizes["action"], sizes["action"], dim),
        projector(sizes["encoder_dim"]),
        projector(dim),
    )


def _vit(sizes: dict[str, Any]) -> torch.nn.Module:
    """Returns what stable-pretraining's factory gives for the published configuration."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=sizes["width"],
        num_hidden_layers=sizes["depth"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["mlp_dim"],
        image_size=sizes["image_size"],
        patch_size=sizes["patch_size"],
    )
    return ViTModel(config, add_pooling_layer=False, use_mask_token=False)


def _score(model: Any, asked: dict[str, torch.Tensor], sizes: dict[str, Any]) -> dict[str, torch.Tensor]:
    costs, latents = [], []
    for place, candidates in enumerate(asked["candidates"]):
        if sizes["vit"]:
            pixels = asked["pixels"][place]  # (2, 3, H, W), normalised
            z = model.encode({"pixels": pixels[:, None]})["emb"][:, 0]
        else:
            z = asked["latents"][place]
        side = sizes["vit"]["image_size"] if sizes["vit"] else 1
        # The latents are given below, so these pictures are never read.
        blank = torch.zeros(1).expand(1, len(candidates), 1, 3, side, side)
        known = {
            "pixels": blank,
            "goal": blank,
            "emb": z[0].expand(1, len(candidates), 1, -1),
            "goal_emb": z[1].expand(1, 1, -1),
        }
        costs.append(model.get_cost(known, candidates[None])[0])
        latents.append(z)
    return {"costs": torch.stack(costs), "latents": torch.stack(latents).contiguous()}


main(run, sources)
