"""How fast could it be? Counted multiplications over the fastest measured rate of matrix products."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

# Rows, inner, columns: large squares, and the predictor's own products for 300 candidates at three positions.
SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (900, 192, 3072), (900, 2048, 192))
SECONDS = 0.5  # per shape


def gemm_rates(device: torch.device) -> dict[str, float]:
    """Returns the best rate of a matrix product in GFLOP/s for `fp32` and `bf16`, over shapes and libraries."""
    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        products = [make(shape, dtype, device) for shape in SHAPES for make in (_blas, _prepacked)]
        rates[name] = max(product.rate(device) for product in products if product is not None)
    return rates


class _Product:
    def __init__(self, shape: tuple[int, int, int], multiply: Callable[[], Tensor]) -> None:
        self.gflop = 2 * shape[0] * shape[1] * shape[2] / 1e9
        self.multiply = multiply

    def rate(self, device: torch.device) -> float:
        """Returns GFLOP/s; on a processor per second of CPU time."""
        clock = time.process_time if device.type == "cpu" else time.perf_counter
        for _ in range(3):
            self.multiply()
        _wait(device)
        best, end = 0.0, time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            start, count = clock(), 10
            for _ in range(count):
                self.multiply()
            _wait(device)
            best = max(best, count * self.gflop / (clock() - start))
        return best


def _blas(shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> _Product:
    a, b = torch.randn(shape[:2], device=device, dtype=dtype), torch.randn(shape[1:], device=device, dtype=dtype)
    return _Product(shape, lambda: a @ b)


def _prepacked(shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> _Product | None:
    """oneDNN with weights laid out beforehand; none where torch lacks it."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return None
    a = torch.randn(shape[:2], dtype=dtype)
    packed = torch.ops.mkldnn._reorder_linear_weight(torch.randn(shape[2], shape[1], dtype=dtype), shape[0])
    return _Product(shape, lambda: torch.ops.mkldnn._linear_pointwise(a, packed, None, "none", [], ""))


def count_gflop(action: Callable[[], Any]) -> float:
    """Returns what `action` multiplies and adds, in GFLOP; one multiplication with its addition counts two.

    Fused attention has no count on every device, so it is taken apart into its two products.
    """
    mapping = {}
    if torch.backends.mkldnn.is_available():
        mapping[torch.ops.mkldnn._linear_pointwise] = _linear_flop
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        action()
    return counter.get_total_flops() / 1e9


def _linear_flop(x: Any, weight: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    rows = 1
    for size in x[:-1]:
        rows *= size
    return 2 * rows * x[-1] * out_shape[-1]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
