"""The encoder and its projector, laid out for speed; `model/vit.py` is the readable form of the same function.

The image statistics are part of the patch projection, each affine norm of the linear layer after it, and the last block
computes the class token only. Letters: N pictures, P patches, D width.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lewm_evidence.model import LeWM
from lewm_evidence.model.vit import Vit
from lewm_evidence.planning.fold import fold_norm, plain_norm, projector
from lewm_evidence.planning.linear import Linear


class FastEncoder:
    """Pictures, uint8 (N, H, W, 3), to latents (N, D); a convolution encoder runs as it is, its projector folded."""

    def __init__(self, model: LeWM, dtype: torch.dtype, packed: bool) -> None:
        self._model, self._dtype = model, dtype
        self._vit = _FastVit(model, model.encoder, dtype, packed) if isinstance(model.encoder, Vit) else None
        self._first, self._second = (Linear(*layer, dtype, packed) for layer in projector(model.projector))

    def __call__(self, images: Tensor) -> Tensor:
        """Returns (N, D) in fp32."""
        if self._vit is not None:
            features = self._vit(images)
        else:
            model = self._model
            pixels = (images.movedim(-1, 1).float() / 255 - model.image_mean) / model.image_std
            with torch.backends.cudnn.flags(allow_tf32=False):
                features = model.encoder(pixels)
        return self._second(self._first(features.to(self._dtype), gelu=True)).float()


class _FastVit:
    def __init__(self, model: LeWM, vit: Vit, dtype: torch.dtype, packed: bool) -> None:
        embeddings: Any = vit.embeddings
        self._dtype, self._side = dtype, embeddings.patch_embeddings["projection"].kernel_size[0]
        self._patches = Linear(*_patch_projection(model, vit), dtype, packed)
        position = embeddings.position_embeddings.detach()
        self._class_token = embeddings.cls_token.detach() + position[:, :1]
        self._position = position[:, 1:]
        self._blocks = [_Block(block, dtype, packed) for block in vit.layers]
        self._norm = vit.layernorm

    def __call__(self, images: Tensor) -> Tensor:
        n, height, width, _ = images.shape
        p = self._side
        tiles = images.reshape(n, height // p, p, width // p, p, 3).transpose(2, 3).reshape(n, -1, p * p * 3)
        patches = self._patches(tiles.to(self._dtype)) + self._position
        x = torch.cat([self._class_token.expand(n, -1, -1), patches], dim=1)
        for block in self._blocks[:-1]:
            x = block(x, len(x[0]))
        out: Tensor = self._norm(self._blocks[-1](x, 1)[:, 0])
        return out


class _Block:
    def __init__(self, block: Any, dtype: torch.dtype, packed: bool) -> None:
        attention, mlp = block.attention, block.mlp
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        weight, bias = (torch.cat([getattr(part, name) for part in parts]) for name in ("weight", "bias"))
        self._heads, self._dtype = attention.heads, dtype
        self._eps, self._ones = block.layernorm_before.eps, torch.ones_like(block.layernorm_before.weight)
        self._qkv = Linear(*fold_norm(block.layernorm_before, weight, bias), dtype, packed)
        self._out = Linear(attention.o_proj.weight, attention.o_proj.bias, dtype, packed)
        self._fc1 = Linear(*fold_norm(block.layernorm_after, mlp.fc1.weight, mlp.fc1.bias), dtype, packed)
        self._fc2 = Linear(mlp.fc2.weight, mlp.fc2.bias, dtype, packed)

    def __call__(self, x: Tensor, tokens: int) -> Tensor:
        """Returns the first `tokens` tokens after this block, (N, tokens, D)."""
        parts = self._qkv(self._normed(x)).chunk(3, dim=-1)
        q, k, v = (torch.unflatten(part, -1, (self._heads, -1)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q[:, :, :tokens], k, v).transpose(1, 2).flatten(2)
        x = x[:, :tokens] + self._out(mixed)
        return x + self._fc2(self._fc1(self._normed(x), gelu=True))

    def _normed(self, x: Tensor) -> Tensor:
        return plain_norm(x, self._eps, self._ones).to(self._dtype)


def _patch_projection(model: LeWM, vit: Vit) -> tuple[Tensor, Tensor]:
    """Returns weight (D, p·p·3) and bias (D,) that take a patch's bytes in the picture's own order."""
    projection: Any = vit.embeddings.patch_embeddings["projection"]
    scaled = projection.weight.double() / (255 * model.image_std.double())
    offset = (projection.weight.double() * (model.image_mean / model.image_std).double()).sum((1, 2, 3))
    return scaled.movedim(1, -1).flatten(1).float(), (projection.bias.double() - offset).float()
