"""One training shared by several processes, each with a device of its own.

The pictures of a batch are shared out and every rank encodes its part: that is nearly all of the work (98 % of the
multiplications with the published architecture). Then all ranks gather the encoder's features of the whole batch and
do the rest alike: projector, predictor and SIGReg see the global batch, so BatchNorm, SIGReg's statistics and the
dropout masks are those of one process. The number of ranks changes nothing but the order of floating-point sums.

An encoder must treat every picture by itself: no BatchNorm in it.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Ranks:
    """This process among `count` that train one model.

    Attributes:
        rank: number of this process, from 0; the first one writes records and resume points.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """Returns which of `batch` windows this process encodes; `batch` is a multiple of `count`."""
        part = batch // self.count
        return slice(self.rank * part, (self.rank + 1) * part)

    def gather(self, features: Tensor) -> Tensor:
        """Returns the features (B, ...) of the whole batch for those (B / count, ...) of this process.

        Everything after it must be the same on every rank: the gradient of this process's part is taken as it is.
        """
        gathered: Tensor = features if self.count == 1 else _Gather.apply(features, self)  # type: ignore[no-untyped-call]
        return gathered

    def reduce_gradients(self, encoder: nn.Module, model: nn.Module) -> None:
        """Makes the gradients of `model` those of the whole batch, bit for bit the same on every rank.

        Each rank has its part of the encoder's gradient, to be summed. The rest is there on every rank already and
        averaged, so that no difference in rounding can grow.
        """
        if self.count == 1:
            return
        summed = {id(parameter) for parameter in encoder.parameters()}
        found = [(p.grad, 1 if id(p) in summed else self.count) for p in model.parameters() if p.grad is not None]
        flat = torch.cat([(gradient / share).flatten() for gradient, share in found])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient, _ in found])
        for (gradient, _), part in zip(found, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


ALONE = Ranks()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, ranks: Ranks) -> Tensor:
        ctx.share = ranks.share(len(features) * ranks.count)
        parts = [torch.empty_like(features) for _ in range(ranks.count)]
        distributed.all_gather(parts, features.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][ctx.share], None


@contextmanager
def joined(ranks: Ranks, meeting: Path, cuda: bool) -> Iterator[None]:
    """Makes this process one of its group for the time of the block.

    They find each other through the file `meeting` and talk over loopback only. PyTorch's own launcher is not used,
    because its store listens on every interface.
    """
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    os.environ |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    distributed.init_process_group(
        "nccl" if cuda else "gloo", init_method=f"file://{meeting}", rank=ranks.rank, world_size=ranks.count
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()
