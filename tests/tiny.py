"""A checkpoint small enough for tests: untrained, seeded, with the interfaces of a real one."""

from pathlib import Path

import torch

from lewm_evidence.checkpoint import Normalization, save_checkpoint
from lewm_evidence.model import LeWM, ModelConfig

CONFIG = ModelConfig.small(image_size=64, dim=16, depth=1, heads=2, channels=(4, 8, 8))
NORMALIZATION = Normalization(
    action_mean=(-0.01, 0.02),
    action_std=(0.3, 0.4),
    frameskip=5,
    image_size=64,
    renderer="pusht",
    world="pusht",
)


def tiny_state_dict(seed: int = 0) -> dict[str, torch.Tensor]:
    """Returns the weights of a tiny model in which actions matter: no gate is left at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LeWM(CONFIG)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.state_dict()


def tiny_checkpoint(path: Path, seed: int = 0, world: str = "pusht") -> Path:
    """Writes a tiny checkpoint folder for `world` at `path` and returns `path`."""
    normalization = NORMALIZATION.model_copy(update={"world": world, "renderer": world})
    save_checkpoint(path, CONFIG, tiny_state_dict(seed), normalization, {"source": "test", "seed": seed})
    return path
