"""The predictor: a causal transformer over latents, steered by actions through AdaLN-zero.

Architecture of arXiv 2603.19312, section 3, with the parameter names of its published checkpoints.
Letters: B batch, T time, D size of a latent.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lewm_evidence.model.config import ModelConfig, PredictorConfig

_NORM_EPS = 1e-6  # of the norms that the actions modulate; the others keep torch's 1e-5


class Predictor(nn.Module):
    """Latents (B, T, D) and encoded actions (B, T, D) to (B, T, D), position t seeing 0..t only."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.randn(1, config.history, config.dim))
        self.dropout = nn.Dropout(config.predictor.embedding_dropout)
        self.transformer = _Transformer(config.dim, config.predictor)

    def forward(self, z: Tensor, actions: Tensor) -> Tensor:
        """Returns (B, T, D); positions count from the start of the window."""
        out: Tensor = self.transformer(self.dropout(z + self.pos_embedding[:, : z.shape[1]]), actions)
        return out


class _Transformer(nn.Module):
    def __init__(self, dim: int, config: PredictorConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Block(dim, config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, condition)
        out: Tensor = self.norm(x)
        return out


class _Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the action of its position."""

    def __init__(self, dim: int, config: PredictorConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=_NORM_EPS, elementwise_affine=False)
        self.attn = _Attention(dim, config)
        self.norm2 = nn.LayerNorm(dim, eps=_NORM_EPS, elementwise_affine=False)
        self.mlp = _Mlp(dim, config)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        # Zero gates: an untrained block is the identity, which is what makes deep conditioning trainable.
        modulation = cast(nn.Linear, self.adaLN_modulation[1])
        nn.init.zeros_(modulation.weight)
        nn.init.zeros_(modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        parts = self.adaLN_modulation(condition).chunk(6, dim=-1)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = parts
        x = x + gate * self.attn(self.norm1(x) * (1 + scale) + shift)
        out: Tensor = x + mlp_gate * self.mlp(self.norm2(x) * (1 + mlp_scale) + mlp_shift)
        return out


class _Attention(nn.Module):
    def __init__(self, dim: int, config: PredictorConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.heads = config.heads
        self.rate = config.dropout
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, dim), nn.Dropout(config.dropout))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        q, k, v = (part.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2) for part in parts)
        rate = self.rate if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=True)
        out: Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return out


class _Mlp(nn.Module):
    def __init__(self, dim: int, config: PredictorConfig) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, config.mlp_dim),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.mlp_dim, dim),
            nn.Dropout(config.dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out
