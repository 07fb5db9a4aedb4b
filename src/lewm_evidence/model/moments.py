"""An encoder that sees where things are, how large and which way up: image moments of learned maps.

Spatial soft-argmax (Levine et al., End-to-end training of deep visuomotor policies, JMLR 2016) reads the mean place of
a map; here also its mass and its central moments up to order three, in which the angle of an asymmetric thing is
nearly linear (Hu, Visual pattern recognition by moment invariants, 1962).
"""

from functools import cache

import torch
from torch import Tensor, nn

from lewm_evidence.model.config import MomentsConfig

_LEAST_MASS = 1e-3  # a map that is empty gives finite moments
_LEAST_SPREAD = 0.01  # of a map on -1..1, in square units
_LIMIT = 5.0  # standard deviations; third moments have far outliers


class MomentsEncoder(nn.Module):
    """Pictures (N, 3, H, W), normalised so that the background is 0, to (N, output_dim).

    No layer has a bias, so the background weighs nothing in any map.
    """

    def __init__(self, config: MomentsConfig) -> None:
        super().__init__()
        padding = (config.kernel - config.stride) // 2
        self.edges = nn.Conv2d(3, config.filters, config.kernel, config.stride, padding, bias=False)
        self.maps = nn.Conv2d(config.filters, config.maps, 1, bias=False)
        nn.init.orthogonal_(self.maps.weight)
        self.norm = nn.BatchNorm1d(config.output_dim)
        self._side = config.image_size // config.stride

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, output_dim) for normalised pictures (N, 3, H, W)."""
        maps = self.maps(self.edges(images).relu_()).relu_().square()
        moments = _moments(maps.flatten(2) @ _monomials(self._side, maps.device))
        out: Tensor = self.norm(moments.flatten(1)).clamp(-_LIMIT, _LIMIT)
        return out


@cache
def _monomials(side: int, device: torch.device) -> Tensor:
    """Returns the monomials up to order three at the pixels of a map on -1..1, over their number, (side^2, 10)."""
    line = torch.linspace(-1, 1, side)
    y, x = (axis.flatten() for axis in torch.meshgrid(line, line, indexing="ij"))
    powers = (torch.ones_like(x), x, y, x * x, x * y, y * y, x**3, x * x * y, x * y * y, y**3)
    return (torch.stack(powers, dim=1) / side**2).to(device)


def _moments(sums: Tensor) -> Tensor:
    """Returns log mass, centre, and scale-free central moments (N, K, 10) of the maps' sums over monomials."""
    mass = sums[..., :1] + _LEAST_MASS
    x, y, xx, xy, yy, xxx, xxy, xyy, yyy = (sums[..., 1:] / mass).unbind(-1)
    cxx, cxy, cyy = xx - x * x, xy - x * y, yy - y * y
    spread = cxx.clamp_min(0) + cyy.clamp_min(0) + _LEAST_SPREAD
    third = (
        xxx - 3 * x * xx + 2 * x**3,
        xxy - 2 * x * xy - y * xx + 2 * x * x * y,
        xyy - 2 * y * xy - x * yy + 2 * x * y * y,
        yyy - 3 * y * yy + 2 * y**3,
    )
    shape = ((cxx - cyy) / spread, cxy / spread, *(moment / spread**1.5 for moment in third))
    return torch.stack((mass[..., 0].log(), x, y, spread.log(), *shape), dim=-1)
