"""A small checkpoint in the published layout, its pins, and what a refusal must look like."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from hub_server import REVISION, Hub
from lewm_evidence.checkpoint.hub import fetch_hub
from lewm_evidence.checkpoint.names import to_published
from lewm_evidence.config import HubCheckpoint
from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import LeWM, ModelConfig
from lewm_evidence.model.config import VitConfig
from tiny import CONFIG

REPO = "someone/a-model"
VIT = ModelConfig(
    encoder=VitConfig(image_size=28, patch_size=14, width=16, depth=2, heads=2, mlp_dim=32),
    predictor=CONFIG.predictor,
    dim=16,
    projector_dim=32,
)


def torch_file(content: Any) -> bytes:
    """Returns what `torch.save` writes for `content`."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def published(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Returns seeded weights for `config` under the names of transformers 4."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return {to_published(name): tensor for name, tensor in LeWM(config).state_dict().items()}


def small_files() -> dict[str, bytes]:
    """Returns `config.json` and `weights.pt` of a small model."""
    return {"config.json": VIT.model_dump_json().encode(), "weights.pt": torch_file(published(VIT))}


def fields(hub: Hub, **changes: Any) -> dict[str, Any]:
    """Returns the `checkpoint` part of a configuration that pins what `hub` offers."""
    return {
        "source": "hub",
        "repo": hub.repo,
        "revision": REVISION,
        "files": hub.sha256(),
        "world": "pusht",
        "action_mean": [-0.008, 0.007],
        "action_std": [0.208, 0.206],
    } | changes


def pin(hub: Hub, **changes: Any) -> HubCheckpoint:
    """Returns the same, validated."""
    return HubCheckpoint.model_validate(fields(hub, **changes))


def refused(pinned: HubCheckpoint, folder: Path, match: str) -> str:
    """Asserts that fetching fails with a message like `match` and leaves nothing; returns the message."""
    with pytest.raises(CheckpointError, match=match) as caught:
        fetch_hub(pinned, folder / "checkpoint")
    assert list(folder.iterdir()) == []
    return str(caught.value)
