"""A convolution encoder small enough to train on one CPU core."""

from torch import Tensor, nn

from lewm_evidence.model.config import ConvConfig

_GROUPS = 8
_SMALLEST_SIDE = 4  # a 4×4 map still tells where things are; halving further loses it


class ConvEncoder(nn.Module):
    """Pictures (N, 3, H, W), normalised, to (N, output_dim).

    A 4×4 stem of stride 4, then 3×3 convolutions that halve the map until it is 4×4, each followed by
    GroupNorm and GELU, and one linear layer over what is left.
    """

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        first, *others = config.channels
        layers: list[nn.Module] = [*_stage(nn.Conv2d(3, first, 4, stride=4))]
        side, width = config.image_size // 4, first
        for channels in others:
            stride = 2 if side > _SMALLEST_SIDE else 1
            layers += _stage(nn.Conv2d(width, channels, 3, stride=stride, padding=1))
            side, width = (side - 1) // stride + 1, channels
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(width * side * side, config.output_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, output_dim) for normalised pictures (N, 3, H, W)."""
        out: Tensor = self.head(self.stages(images).flatten(1))
        return out


def _stage(conv: nn.Conv2d) -> list[nn.Module]:
    channels = conv.out_channels
    groups = next(groups for groups in range(min(_GROUPS, channels), 0, -1) if channels % groups == 0)
    return [conv, nn.GroupNorm(groups, channels), nn.GELU()]
