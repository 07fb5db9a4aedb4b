"""Functions of tensors as CUDA graphs: recorded once for each set of shapes, then started with one call."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as tree

Inputs = TypeVar("Inputs")
Result = TypeVar("Result")
_WARMUPS = 2  # lets libraries choose their kernels and take their workspace before recording


@dataclass(frozen=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    result: Any


class GraphCache:
    """Recorded functions by key and shapes. What cannot be recorded runs eagerly from then on.

    Attributes:
        failure: why recording failed last, empty while it has not.
    """

    def __init__(self) -> None:
        self._recorded: dict[Hashable, _Recorded | None] = {}
        self.failure = ""

    def run(self, key: Hashable, function: Callable[[Inputs], Result], inputs: Inputs) -> Result:
        """Returns function(inputs), a tree of tensors of a tree of tensors. Equal keys must mean equal functions."""
        given = tree.tree_leaves(inputs)
        whole = (key, *((tensor.shape, tensor.dtype) for tensor in given))
        if whole not in self._recorded:
            self._recorded[whole] = self._record(function, inputs)
        recorded = self._recorded[whole]
        if recorded is None:
            return function(inputs)
        for static, fresh in zip(recorded.inputs, given, strict=True):
            static.copy_(fresh)
        recorded.graph.replay()
        # The next call overwrites what this one gives.
        out: Result = tree.tree_map(torch.clone, recorded.result)
        return out

    def _record(self, function: Callable[[Inputs], Any], inputs: Inputs) -> _Recorded | None:
        static: Inputs = tree.tree_map(torch.clone, inputs)
        try:
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARMUPS):
                    function(static)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                result = function(static)
        except RuntimeError as error:
            self.failure = str(error).splitlines()[0]
            return None
        return _Recorded(graph, tree.tree_leaves(static), result)
