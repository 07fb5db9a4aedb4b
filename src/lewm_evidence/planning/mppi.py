"""Planning with model predictive path integral control, Williams et al., arXiv 1509.01149, repeated on one state."""

from dataclasses import dataclass

import torch

from lewm_evidence.errors import InputError
from lewm_evidence.planning.sampling import Costs, SamplingSolver
from lewm_evidence.planning.solver import Found, Problem


@dataclass(frozen=True)
class MPPI(SamplingSolver):
    """Draws around a mean with a fixed spread; the next mean weighs every candidate by exp(−cost / temperature).

    The first candidate of an iteration is its mean, and the last mean is the plan.

    Attributes:
        temperature: in standard deviations of an iteration's costs, so that it fits any model; near 0 only the cheapest
            counts.
        spread: standard deviation of the noise, in z-scored units.
    """

    temperature: float = 0.1
    spread: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0 or self.spread <= 0:
            raise InputError(f"MPPI needs temperature and spread above 0, got {self.temperature} and {self.spread}")

    def _search(self, costs: Costs, problem: Problem) -> Found:
        mean = problem.mean
        std = torch.full_like(mean, self.spread)
        history = []
        for drawn in problem.noise:
            candidates = drawn * self.spread + mean[:, None]
            candidates[:, 0] = mean
            candidates = candidates.clamp(problem.low, problem.high)
            step, _ = self._fitted(candidates, costs(candidates))
            scale = self.temperature * step.costs.std(dim=-1, keepdim=True)
            # Equal costs have no spread and weigh the same.
            weight = torch.softmax(-step.costs / scale.clamp_min(torch.finfo(scale.dtype).tiny), dim=-1)
            mean = (weight[:, :, None, None] * step.candidates).sum(dim=1)
            history.append(step._replace(mean=mean, std=std))
        return Found(mean, costs(mean[:, None])[:, 0], history)
