"""The predictor's rollout, laid out for speed; `model/predictor.py` is the readable form of the same function.

What is saved, each without changing the function:
- While the window grows its positions keep their place, so keys and values of earlier positions are kept; once it
  slides, every position moves and the window is computed anew.
- The action encoder and the modulations of all blocks run once per action, not once per window.
- A window's first position attends to itself alone: its attention is one product with W_out W_v, without a query.
- Of a window only the last position is wanted: the last block computes keys and values of the others, no more.
- Affine norms and BatchNorm belong to the linear layer after them; 1/√(head size) to the query, 1 + scale to the bias.

Letters: S candidates, T horizon, P positions in a window, L blocks, A size of an action block, D size of a latent,
I heads × head size. Positions are lists or the first dimension, so that one position is contiguous.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lewm_evidence.model import LeWM
from lewm_evidence.planning.fold import fold_norm, plain_norm, projector
from lewm_evidence.planning.linear import Linear


@dataclass
class _Cache:
    """Keys and values, (S, I) each, of the positions that one block has seen."""

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def add(self, keys: Tensor, values: Tensor) -> None:
        self.keys.append(keys)
        self.values.append(values)


class FastPredictor:
    """From latents (S, D) and action blocks (S, T, A) to imagined latents (S, T + 1, D), all in fp32 outside."""

    def __init__(self, model: LeWM, dtype: torch.dtype, packed: bool) -> None:
        transformer: Any = model.predictor.transformer
        self._dtype, self._history = dtype, model.config.history
        self._position = model.predictor.pos_embedding.detach()[0]
        self._blocks = [_Block(block, dtype, packed) for block in transformer.layers]
        self._actions = _Actions(model, dtype, packed)
        self._ones, self._eps = torch.ones_like(self._position[0]), transformer.norm.eps
        (weight, bias), second = projector(model.pred_proj)
        self._first = Linear(*fold_norm(transformer.norm, weight, bias), dtype, packed)
        self._second = Linear(*second, dtype, packed)

    def rollout(self, z0: Tensor, actions: Tensor) -> Tensor:
        """Returns (S, T + 1, D), the first being `z0`."""
        modulations = self._actions(actions)
        z = [z0]
        caches = [_Cache() for _ in self._blocks]
        for t in range(actions.shape[1]):
            first = max(0, t + 1 - self._history)
            if first > 0:
                caches = [_Cache() for _ in self._blocks]
            fresh = len(caches[0].keys)  # the first position of the window that is not yet known
            x = torch.stack(z[first + fresh :]) + self._position[fresh : len(z) - first, None]
            z.append(self._predict(x, modulations[first + fresh : t + 1], caches))
        return torch.stack(z, dim=1)

    def _predict(self, x: Tensor, modulation: Tensor, caches: list[_Cache]) -> Tensor:
        """Returns the next latent (S, D) after new positions (P, S, D) modulated by (P, S, L, 6, D)."""
        for index, (block, cache) in enumerate(zip(self._blocks, caches, strict=True)):
            x = block(x, modulation[:, :, index], cache, index == len(self._blocks) - 1)
        last = plain_norm(x[-1], self._eps, self._ones).to(self._dtype)
        return self._second(self._first(last, gelu=True)).float()


class _Actions:
    """Action blocks (S, T, A) to the modulations of every block, (T, S, L, 6, D): shift, 1 + scale, gate, twice."""

    def __init__(self, model: LeWM, dtype: torch.dtype, packed: bool) -> None:
        encoder: Any = model.action_encoder
        self._dtype, self._dim = dtype, model.config.dim
        mix, first, second = encoder.patch_embed, encoder.embed[0], encoder.embed[2]
        weight, mixing = first.weight.double(), mix.weight[:, :, 0].double()
        bias = weight @ mix.bias.double() + first.bias.double()
        # The first layer reads raw numbers and is small: it stays in fp32.
        self._first = Linear((weight @ mixing).float(), bias.float(), torch.float32, packed=False)
        self._second = Linear(second.weight, second.bias, dtype, packed)
        transformer: Any = model.predictor.transformer
        layers = [block.adaLN_modulation[1] for block in transformer.layers]
        one = torch.zeros(6, self._dim, device=model.device)
        one[[1, 4]] = 1
        biases = torch.cat([layer.bias + one.flatten() for layer in layers])
        self._modulation = Linear(torch.cat([layer.weight for layer in layers]), biases, dtype, packed)

    def __call__(self, actions: Tensor) -> Tensor:
        hidden = functional.silu(self._first(actions.transpose(0, 1).contiguous())).to(self._dtype)
        condition = functional.silu(self._second(hidden))
        return torch.unflatten(self._modulation(condition), -1, (-1, 6, self._dim))


class _Block:
    """Attention and MLP of one block, for new positions (P, S, D) after those in a cache."""

    def __init__(self, block: Any, dtype: torch.dtype, packed: bool) -> None:
        attention, out = block.attn, block.attn.to_out[0]
        query, key, value = attention.to_qkv.weight.detach().chunk(3)
        self._dtype, self._heads, self._inner = dtype, attention.heads, len(query)
        self._eps = (block.norm1.eps, attention.norm.eps, block.mlp.net[0].eps)
        self._ones = torch.ones_like(out.bias)
        query = query * (self._inner // self._heads) ** -0.5
        alone = (out.weight.double() @ value.double()).float()
        no_bias = query.new_zeros(2 * self._inner)

        def after(norm: nn.LayerNorm, weight: Tensor, bias: Tensor | None = None) -> Linear:
            return Linear(*fold_norm(norm, weight, bias), dtype, packed)

        self._kv_alone = after(attention.norm, torch.cat([key, value, alone]), torch.cat([no_bias, out.bias]))
        self._kv = after(attention.norm, torch.cat([key, value]))
        self._kvq = after(attention.norm, torch.cat([key, value, query]))
        self._out = Linear(out.weight, out.bias, dtype, packed)
        self._fc1 = after(block.mlp.net[0], block.mlp.net[1].weight, block.mlp.net[1].bias)
        self._fc2 = Linear(block.mlp.net[4].weight, block.mlp.net[4].bias, dtype, packed)

    def __call__(self, x: Tensor, modulation: Tensor, cache: _Cache, only_last: bool) -> Tensor:
        """Returns the new positions after this block, or only the last of them, and adds all to the cache."""
        if only_last and len(x) > 1:
            self._remember(x[:-1], modulation[:-1], cache)
            x, modulation = x[-1:], modulation[-1:]
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation.unbind(2)
        x = torch.addcmul(x, gate, self._attention(self._modulated(x, shift, scale, self._eps[1]), cache))
        normed = self._modulated(x, mlp_shift, mlp_scale, self._eps[2])
        return torch.addcmul(x, mlp_gate, self._fc2(self._fc1(normed, gelu=True)))

    def _modulated(self, x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
        moved = torch.addcmul(shift, plain_norm(x, self._eps[0], self._ones), scale)
        return plain_norm(moved, eps, self._ones).to(self._dtype)

    def _remember(self, x: Tensor, modulation: Tensor, cache: _Cache) -> None:
        normed = self._modulated(x, modulation[:, :, 0], modulation[:, :, 1], self._eps[1])
        for position in self._kv(normed):
            cache.add(*torch.split(position, self._inner, dim=-1))

    def _attention(self, normed: Tensor, cache: _Cache) -> Tensor:
        parts = []
        if not cache.keys:
            sizes = [self._inner, self._inner, len(self._ones)]
            keys, values, alone = torch.split(self._kv_alone(normed[0]), sizes, dim=-1)
            cache.add(keys, values)
            parts, normed = [alone[None]], normed[1:]
        if len(normed):
            mixed = []
            for position in self._kvq(normed):
                keys, values, query = torch.split(position, self._inner, dim=-1)
                cache.add(keys, values)
                mixed.append(self._mix(query, cache))
            parts.append(self._out(torch.stack(mixed)))
        return torch.cat(parts)

    def _mix(self, query: Tensor, cache: _Cache) -> Tensor:
        """Returns the mixture (S, I) for one query (S, I); on windows this short, faster than fused attention."""
        heads = (self._heads, -1)
        scores = torch.stack([torch.unflatten(query * keys, -1, heads).sum(-1) for keys in cache.keys])
        weights = torch.softmax(scores, dim=0).unsqueeze(-1)
        out = weights[0] * torch.unflatten(cache.values[0], -1, heads)
        for weight, values in zip(weights[1:], cache.values[1:], strict=True):
            out.addcmul_(weight, torch.unflatten(values, -1, heads))
        return out.flatten(-2)
