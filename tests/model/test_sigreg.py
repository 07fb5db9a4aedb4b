"""SIGReg: low for an isotropic Gaussian, high for anything else, and the number it is defined to be."""

import math

import pytest
import torch

from lewm_evidence.model.sigreg import sigreg


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _direct(z: torch.Tensor, projections: int, knots: int, seed: int) -> float:
    """The definition, one direction, knot and sample at a time, in Python floats."""
    directions = torch.randn(z.shape[-1], projections, generator=_generator(seed), dtype=z.dtype).double()
    z = z.double()
    step = 3.0 / (knots - 1)
    total = 0.0
    for m in range(projections):
        direction = directions[:, m] / directions[:, m].norm()
        x = [float(sample @ direction) for sample in z]
        for k in range(-(knots - 1), knots):
            t = k * step
            weight = (0.5 if abs(k) == knots - 1 else 1.0) * step * math.exp(-t * t / 2)
            real = sum(math.cos(t * value) for value in x) / len(x)
            imaginary = sum(math.sin(t * value) for value in x) / len(x)
            total += weight * ((real - math.exp(-t * t / 2)) ** 2 + imaginary**2) * len(x)
    return total / projections


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_integral_it_is_defined_to_be(dtype: torch.dtype) -> None:
    """The vectorised statistic over half the range equals the direct sum over the whole range."""
    z = torch.randn(12, 5, generator=_generator(1), dtype=torch.float64).to(dtype) * 1.7 + 0.3
    value = float(sigreg(z, projections=7, knots=9, generator=_generator(2)))
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert value == pytest.approx(_direct(z, 7, 9, 2), rel=tolerance)


def test_a_gaussian_is_low_and_everything_else_is_high() -> None:
    """Collapse, wrong scale, a shift and a lost dimension all cost many times a Gaussian's value."""
    gaussian = torch.randn(512, 16, generator=_generator(3))
    flat = torch.cat([gaussian[:, :8], torch.zeros(512, 8)], dim=1)

    def value(z: torch.Tensor) -> float:
        return float(sigreg(z, 128, 17, _generator(4)))

    low = value(gaussian)
    assert low < 2
    for other in (torch.zeros(512, 16), 0.3 * gaussian, 3 * gaussian, gaussian + 1, flat):
        assert value(other) > 5 * low


def test_collapse_costs_the_closed_form() -> None:
    """For N equal zeros the integral of (1 - phi)^2 phi over the line is known: 0.409 N."""
    exact = math.sqrt(2 * math.pi) - 2 * math.sqrt(math.pi) + math.sqrt(2 * math.pi / 3)
    value = float(sigreg(torch.zeros(64, 8), 16, 201, _generator()))
    assert value == pytest.approx(64 * exact, rel=0.02)  # the range ends at 3, not at infinity


def test_leading_dimensions_are_samples_of_their_own() -> None:
    """The value of a stack is the mean of the values of its parts."""
    stack = torch.randn(3, 20, 4, generator=_generator(5), dtype=torch.float64)
    whole = sigreg(stack, 8, 17, _generator(6))
    parts = torch.stack([sigreg(part, 8, 17, _generator(6)) for part in stack])
    torch.testing.assert_close(whole, parts.mean())


def test_following_its_gradient_undoes_a_collapse() -> None:
    """A few gradient steps on collapsed latents spread them to about unit variance."""
    z = (0.01 * torch.randn(256, 4, generator=_generator(7))).requires_grad_()
    optimizer = torch.optim.Adam([z], lr=0.05)
    generator = _generator(8)
    for _ in range(150):
        optimizer.zero_grad()
        torch.autograd.backward(sigreg(z, 32, 17, generator))
        optimizer.step()
    assert z.std(dim=0).min() > 0.7
