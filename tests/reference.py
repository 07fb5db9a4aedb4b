"""The golden figures' weights and inputs, made again from their seed (see tests/data and its origin)."""

import hashlib
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import PCG64, Generator

from lewm_evidence.checkpoint.names import to_published
from lewm_evidence.model import LeWM, ModelConfig

DATA = Path(__file__).parent / "data"
SEED = 20261

# The published config.json, decoded; `json.dumps(PUBLISHED, indent=4) + "\n"` are its bytes.
WM = "stable_worldmodel.wm.lewm"
MLP = {
    "_target_": f"{WM}.module.MLP",
    "input_dim": 192,
    "output_dim": 192,
    "hidden_dim": 2048,
    "norm_fn": {"_target_": "torch.nn.BatchNorm1d", "_partial_": True},
}
PUBLISHED: dict[str, Any] = {
    "_target_": f"{WM}.LeWM",
    "encoder": {
        "_target_": "stable_pretraining.backbone.utils.vit_hf",
        "size": "tiny",
        "patch_size": 14,
        "image_size": 224,
        "pretrained": False,
        "use_mask_token": False,
    },
    "predictor": {
        "_target_": f"{WM}.module.Predictor",
        "num_frames": 3,
        "input_dim": 192,
        "hidden_dim": 192,
        "output_dim": 192,
        "depth": 6,
        "heads": 16,
        "mlp_dim": 2048,
        "dim_head": 64,
        "dropout": 0.1,
        "emb_dropout": 0.0,
    },
    "action_encoder": {"_target_": f"{WM}.module.Embedder", "input_dim": 10, "emb_dim": 192},
    "projector": MLP,
    "pred_proj": MLP,
}


def golden() -> dict[str, np.ndarray]:
    """Returns the recorded figures of the reference implementation."""
    with np.load(DATA / f"lewm_pusht_seed{SEED}.npz") as file:
        return dict(file)


def published_weights(seed: int = SEED) -> dict[str, torch.Tensor]:
    """Returns the seeded weights of the official architecture under their published names."""
    with torch.device("meta"):
        shapes = {to_published(name): tensor.shape for name, tensor in LeWM(ModelConfig()).state_dict().items()}
    return {name: torch.from_numpy(_weight(name, tuple(shape), seed)) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    x = Generator(PCG64(zlib.crc32(f"{seed}:{name}".encode()))).standard_normal(shape, dtype=np.float32)
    if last == "running_mean":
        return 0.1 * x
    if last == "running_var":
        return 0.5 + np.abs(x)
    if any(part in name for part in ("pos_embedding", "position_embeddings", "cls_token")):
        return 0.3 * x
    if len(shape) >= 2:
        x = x / math.sqrt(math.prod(shape[1:]))
        return 0.3 * x if "adaLN" in name else x
    return 1 + 0.1 * x if last == "weight" else 0.1 * x


def digest(weights: dict[str, torch.Tensor]) -> str:
    """Returns the sha256 over sorted names and raw bytes, as the golden file gives it."""
    total = hashlib.sha256()
    for name in sorted(weights):
        total.update(name.encode())
        total.update(weights[name].numpy().tobytes())
    return total.hexdigest()


def inputs() -> dict[str, np.ndarray]:
    """Returns `start` and `goal` pictures, `candidates` (300, 5, 10), `z` (4, 3, 192) and `a` (4, 3, 10)."""
    r = Generator(PCG64(SEED))
    start, goal = (_blocks(r.integers(0, 256, (224, 224, 3), np.uint8)) for _ in range(2))
    shapes = {"candidates": (300, 5, 10), "z": (4, 3, 192), "a": (4, 3, 10)}
    return {
        "start": start,
        "goal": goal,
        **{name: r.standard_normal(shape, np.float32) for name, shape in shapes.items()},
    }


def _blocks(image: np.ndarray) -> np.ndarray:
    return image[::14, ::14].repeat(14, axis=0).repeat(14, axis=1)
