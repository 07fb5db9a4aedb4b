"""Linear layers whose weights were laid out once for the processor that runs them.

On a CPU these are oneDNN's packed weights, about twice as fast as torch's own product in fp32 where torch's BLAS does
not use the widest vectors; elsewhere, and where oneDNN or one of its operators is missing, torch's own product.
"""

import functools
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Precision = Literal["fp32", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Linear:
    """x ↦ W x + b in one precision, optionally followed by the exact (erf) GELU.

    Args:
        weight: W, (out, in).
        bias: b, (out,).
        dtype: of weights, inputs and outputs.
        packed: whether oneDNN holds the weights; see `can_pack`.
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype, packed: bool) -> None:
        self._weight = weight.detach().to(dtype).contiguous()
        self._bias = bias.detach().to(dtype)
        self._packed = packed
        if packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight, None)

    def __call__(self, x: Tensor, gelu: bool = False) -> Tensor:
        """Returns (..., out) for x (..., in)."""
        if self._packed:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(
                x, self._weight, self._bias, "gelu" if gelu else "none", [], "none" if gelu else ""
            )
            return out
        out = functional.linear(x, self._weight, self._bias)
        return functional.gelu(out) if gelu else out


@functools.cache
def can_pack(device_type: str, dtype: torch.dtype) -> bool:
    """Returns whether oneDNN's packed product works here, and gives what torch's own gives."""
    if device_type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    weight, bias, x = torch.eye(16, dtype=dtype), torch.ones(16, dtype=dtype), torch.full((3, 16), 0.5, dtype=dtype)
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        found = Linear(weight, bias, dtype, packed=True)(x, gelu=True)
    except (AttributeError, RuntimeError):  # torch was built without these operators
        return False
    return torch.allclose(found, functional.gelu(x @ weight + bias), rtol=1e-2)
