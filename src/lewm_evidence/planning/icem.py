"""Planning with the improved cross-entropy method of Pinneri et al., arXiv 2008.06389."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lewm_evidence.errors import InputError
from lewm_evidence.planning.sampling import Costs, SamplingSolver
from lewm_evidence.planning.solver import Found, Problem


@dataclass(frozen=True)
class ICEM(SamplingSolver):
    """CEM with noise that is correlated in time, elites that stay, fewer candidates each time, and a slower mean.

    The plan is the cheapest candidate ever seen; the last iteration looks at its mean too.

    Attributes:
        exponent: β of the noise's power spectrum, 1/frequency^β over action blocks; 0 is white.
        decay: γ ≥ 1 by which the number of candidates falls each iteration, to twice the elites at least.
        keep: share of the elites that are candidates again.
        momentum: share α of the old mean and spread in the new, in 0..1.
    """

    exponent: float = 2.0
    decay: float = 1.25
    keep: float = 0.3
    momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exponent < 0 or self.decay < 1 or not 0 <= self.keep <= 1 or not 0 <= self.momentum < 1:
            raise InputError(
                "iCEM needs exponent at least 0, decay at least 1, keep in 0..1 and momentum in 0..1 without 1, got "
                f"{self.exponent}, {self.decay}, {self.keep}, {self.momentum}"
            )

    def _draw(self, generator: torch.Generator) -> list[Tensor]:
        colour = _colour(self.horizon, self.exponent).to(generator.device)
        size = self.model.config.action_block_dim
        counts = [max(min(2 * self.elites, self.num_samples), self._count(step)) for step in range(self.iterations)]
        return [
            colour @ torch.randn((1, count, self.horizon, size), generator=generator, device=generator.device)
            for count in counts
        ]

    def _count(self, step: int) -> int:
        return math.floor(self.num_samples * self.decay**-step)

    def _search(self, costs: Costs, problem: Problem) -> Found:
        mean = problem.mean
        std = torch.ones_like(mean)
        history, kept = [], mean[:, None]
        best, lowest = mean, torch.full_like(mean[:, 0, 0], torch.inf)
        for number, drawn in enumerate(problem.noise, 1):
            extra = [kept, mean[:, None]] if number == len(problem.noise) else [kept]
            candidates = torch.cat([*extra, drawn * std[:, None] + mean[:, None]], dim=1)
            candidates = candidates.clamp(problem.low, problem.high)
            step, elites = self._fitted(candidates, costs(candidates))
            cost = step.costs.amin(dim=-1)
            best = torch.where((cost < lowest)[:, None, None], elites[:, 0], best)
            lowest = torch.minimum(cost, lowest)
            mean = self.momentum * mean + (1 - self.momentum) * step.mean
            std = self.momentum * std + (1 - self.momentum) * step.std
            kept = elites[:, : math.ceil(self.keep * self.elites)]
            history.append(step._replace(mean=mean, std=std))
        return Found(best, lowest, history)


def _colour(steps: int, exponent: float) -> Tensor:
    """Returns the matrix (steps, steps) that gives white noise of unit variance the spectrum 1/frequency^exponent."""
    frequency = np.abs(np.fft.fftfreq(steps))
    frequency[0] = 1 / steps  # a constant has no frequency; it gets the power of the slowest wave
    correlation = np.fft.ifft(frequency**-exponent).real
    index = np.abs(np.subtract.outer(np.arange(steps), np.arange(steps)))
    return torch.from_numpy(np.linalg.cholesky((correlation / correlation[0])[index])).float()
