"""Small models with random weights in every tensor, and small pictures for them."""

import torch

from lewm_evidence.model import ConvConfig, LeWM, ModelConfig, PredictorConfig, VitConfig

VIT = VitConfig(image_size=8, patch_size=4, width=12, depth=2, heads=3, mlp_dim=20)
CONV = ConvConfig(image_size=16, channels=(4, 6), output_dim=10)


def config(*, vit: bool = False, history: int = 3, depth: int = 2, heads: int = 2, head_dim: int = 8) -> ModelConfig:
    """Returns a small architecture; latents of 16 numbers, action blocks of 4."""
    return ModelConfig(
        encoder=VIT if vit else CONV,
        predictor=PredictorConfig(depth=depth, heads=heads, head_dim=head_dim, mlp_dim=24),
        dim=16,
        action_block_dim=4,
        history=history,
        projector_dim=20,
    )


def model(config: ModelConfig, seed: int = 0) -> LeWM:
    """Returns a model whose gates, norms and running statistics are random too: none is what it starts training as."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in LeWM(config).state_dict().items()}
    return LeWM.from_state_dict(config, {name: _weight(name, shape, generator) for name, shape in shapes.items()})


def _weight(name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    x = torch.randn(shape, generator=generator)
    if name.endswith("running_var"):
        return 0.5 + x.abs()
    if len(shape) >= 2:
        return x / max(1, shape[1:].numel()) ** 0.5
    return 1 + 0.1 * x if name.endswith("weight") else 0.1 * x


def pictures(config: ModelConfig, count: int, seed: int = 0) -> torch.Tensor:
    """Returns random pictures, uint8 (count, H, W, 3)."""
    shape = (count, config.image_size, config.image_size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
