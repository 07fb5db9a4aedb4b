"""SIGReg: how far a batch of latents is from an isotropic Gaussian, as a differentiable loss.

Balestriero and LeCun, LeJEPA, arXiv 2511.08544; used by LeWorldModel, arXiv 2603.19312. Letters: N samples,
D size of a latent, M projections, K knots.
"""

import torch
from torch import Tensor

T_MAX = 3.0


def sigreg(z: Tensor, projections: int, knots: int, generator: torch.Generator) -> Tensor:
    """Returns the mean Epps-Pulley statistic of `z` over random directions; 0 is a perfect standard Gaussian.

    Along each of M random unit directions the empirical characteristic function of the N projected samples is
    compared with that of the standard Gaussian, exp(-t^2/2): the squared distance, weighted by exp(-t^2/2), is
    integrated over -3..3 by the trapezoid rule and multiplied by N.

    Args:
        z: latents (..., N, D); every leading index is a sample of its own, and the results are averaged.
        projections: number M of directions.
        knots: number K of quadrature points on 0..3.
        generator: draws the directions; on the device of `z`.

    Returns:
        A scalar; gradients flow to `z`.
    """
    directions = torch.randn(z.shape[-1], projections, generator=generator, device=z.device, dtype=z.dtype)
    directions = directions / directions.norm(dim=0)
    t = torch.linspace(0.0, T_MAX, knots, device=z.device, dtype=z.dtype)
    gaussian = torch.exp(-t.square() / 2)
    angles = (z @ directions).unsqueeze(-1) * t  # (..., N, M, K)
    real, imaginary = angles.cos().mean(dim=-3), angles.sin().mean(dim=-3)
    distance = (real - gaussian).square() + imaginary.square()  # even in t, so half the range is integrated twice
    statistic = 2 * torch.trapezoid(distance * gaussian, t, dim=-1) * z.shape[-2]
    return statistic.mean()
