"""Planning with the cross-entropy method, step for step as in the published evaluation."""

from dataclasses import dataclass

import torch

from lewm_evidence.planning.sampling import Costs, SamplingSolver
from lewm_evidence.planning.solver import Found, Problem


@dataclass(frozen=True)
class CEM(SamplingSolver):
    """The cross-entropy method: draw, keep the cheapest, fit a Gaussian to them, repeat; the mean is the plan.

    The first mean is zero and the first standard deviation one, in z-scored units; the first candidate of an iteration
    is its mean. The paper uses 300 candidates, 30 iterations, 30 elites and a horizon of 5, the defaults, and clips
    nothing.
    """

    def _search(self, costs: Costs, problem: Problem) -> Found:
        mean = problem.mean
        std = torch.ones_like(mean)
        history = []
        for drawn in problem.noise:
            candidates = drawn * std[:, None] + mean[:, None]
            candidates[:, 0] = mean
            candidates = candidates.clamp(problem.low, problem.high)
            step, _ = self._fitted(candidates, costs(candidates))
            history.append(step)
            mean, std = step.mean, step.std
        return Found(mean, costs(mean[:, None])[:, 0], history)
