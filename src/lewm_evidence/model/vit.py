"""The vision transformer of the published checkpoints: pre-norm blocks, read at the class token.

Parameter names are those of the transformers library, version 5; the numbers inside agree with it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lewm_evidence.model.config import VitConfig

_NORM_EPS = 1e-12  # transformers' ViT default, much smaller than torch's
_INIT_STD = 0.02


class Vit(nn.Module):
    """Pictures (N, 3, H, W), normalised, to the class token after the last norm, (N, width)."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.layers = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.layernorm = nn.LayerNorm(config.width, eps=_NORM_EPS)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, width) for normalised pictures (N, 3, H, W)."""
        x = self.embeddings(images)
        for layer in self.layers:
            x = layer(x)
        token: Tensor = self.layernorm(x[:, 0])
        return token


class _Embeddings(nn.Module):
    """Patches and a class token, with learned positions."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        patches = (config.image_size // config.patch_size) ** 2
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.position_embeddings = nn.Parameter(torch.empty(1, patches + 1, config.width))
        self.patch_embeddings = nn.ModuleDict(
            {"projection": nn.Conv2d(3, config.width, config.patch_size, stride=config.patch_size)}
        )
        nn.init.trunc_normal_(self.cls_token, std=_INIT_STD)
        nn.init.trunc_normal_(self.position_embeddings, std=_INIT_STD)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embeddings["projection"](images).flatten(2).transpose(1, 2)
        token = self.cls_token.expand(len(images), -1, -1)
        return torch.cat([token, patches], dim=1) + self.position_embeddings


class _Block(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.layernorm_before = nn.LayerNorm(config.width, eps=_NORM_EPS)
        self.attention = _Attention(config)
        self.layernorm_after = nn.LayerNorm(config.width, eps=_NORM_EPS)
        self.mlp = _Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.layernorm_before(x))
        out: Tensor = x + self.mlp(self.layernorm_after(x))
        return out


class _Attention(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = nn.Linear(config.width, config.width)
        self.k_proj = nn.Linear(config.width, config.width)
        self.v_proj = nn.Linear(config.width, config.width)
        self.o_proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._split(proj(x)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = self.o_proj(mixed)
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class _Mlp(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.width, config.mlp_dim)
        self.fc2 = nn.Linear(config.mlp_dim, config.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.trunc_normal_(module.weight, std=_INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
