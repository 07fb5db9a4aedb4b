"""Planning with the cross-entropy method, step for step as in the published evaluation.

Letters: S candidates, E elites, T horizon in action blocks, A size of a block, D size of a latent,
H and W height and width in pixels.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lewm_evidence.errors import InputError, StageError

Observation = Tensor | NDArray[np.uint8]


class _Sized(Protocol):
    @property
    def action_block_dim(self) -> int: ...


class Costed(Protocol):
    """What CEM asks of a model; `LeWM` is one."""

    @property
    def config(self) -> _Sized:
        """Says the size A of an action block."""

    @property
    def device(self) -> torch.device:
        """Where costs are computed."""

    def encode(self, images: Tensor) -> Tensor:
        """Returns latents (N, D) for uint8 pictures (N, H, W, 3)."""

    def cost_from_latents(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> Tensor:
        """Returns costs (S,) for actions (S, T, A)."""


@dataclass(frozen=True)
class Iteration:
    """One refinement of the sampling distribution.

    Attributes:
        candidates: what was drawn, (S, T, A); the first is the mean before.
        costs: of each candidate, (S,).
        elite_indices: the E cheapest candidates, cheapest first.
        mean: of the elites, (T, A).
        std: of the elites, unbiased, (T, A).
    """

    candidates: Tensor
    costs: Tensor
    elite_indices: Tensor
    mean: Tensor
    std: Tensor


@dataclass(frozen=True)
class Plan:
    """What a planner proposes.

    Attributes:
        actions: z-scored, time-major action blocks, (T, A), on the CPU.
        cost: the model's cost of exactly these actions.
        history: one entry per iteration, on the CPU.
    """

    actions: Tensor
    cost: float
    history: list[Iteration]


@dataclass(frozen=True)
class CEM:
    """The cross-entropy method: draw, keep the cheapest, fit a Gaussian to them, repeat; the mean is the plan.

    The first mean is zero and the first standard deviation one, in z-scored units. Nothing is clipped.

    Attributes:
        model: gives costs.
        num_samples: candidates S per iteration; the paper uses 300.
        iterations: refinements; the paper uses 30.
        elites: cheapest candidates E that are kept; the paper uses 30.
        horizon: length T of a plan in action blocks; the paper uses 5.
    """

    model: Costed
    num_samples: int = 300
    iterations: int = 30
    elites: int = 30
    horizon: int = 5

    def __post_init__(self) -> None:
        for name in ("num_samples", "iterations", "elites", "horizon"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not 2 <= self.elites <= self.num_samples:
            raise InputError(
                f"elites must lie in 2..num_samples={self.num_samples}, got {self.elites}; a spread needs two elites"
            )

    def solve(self, start: Observation, goal: Observation, generator: torch.Generator) -> Plan:
        """Returns the plan that leads from `start` towards `goal`.

        Args:
            start: a picture, uint8 (H, W, 3), or a latent, float (D,).
            goal: the same of what is wanted.
            generator: source of all randomness; equal states give equal plans.

        Raises:
            InputError: when start or goal is neither a picture nor a latent.
            StageError: when a cost is not finite.
        """
        z_start, z_goal = self._latent(start, "start"), self._latent(goal, "goal")
        mean = torch.zeros(self.horizon, self.model.config.action_block_dim)
        std = torch.ones_like(mean)
        history = []
        for _ in range(self.iterations):
            step = self._refine(z_start, z_goal, mean, std, generator)
            history.append(step)
            mean, std = step.mean, step.std
        return Plan(mean, self._costs(z_start, z_goal, mean[None]).item(), history)

    def _refine(
        self, z_start: Tensor, z_goal: Tensor, mean: Tensor, std: Tensor, generator: torch.Generator
    ) -> Iteration:
        # The leading 1 is the reference's batch of environments: it keeps the random stream equal.
        noise = torch.randn(1, self.num_samples, *mean.shape, generator=generator, device=generator.device)
        candidates = noise[0].cpu() * std + mean
        candidates[0] = mean
        costs = self._costs(z_start, z_goal, candidates)
        best = torch.topk(costs, self.elites, largest=False).indices
        chosen = candidates[best]
        return Iteration(candidates, costs, best, chosen.mean(dim=0), chosen.std(dim=0))

    def _costs(self, z_start: Tensor, z_goal: Tensor, candidates: Tensor) -> Tensor:
        costs = self.model.cost_from_latents(z_start, z_goal, candidates.to(self.model.device)).cpu()
        if not torch.isfinite(costs).all():
            raise StageError("the model gives costs that are not finite; its weights or its inputs are damaged")
        return costs

    def _latent(self, observation: Observation, name: str) -> Tensor:
        value = torch.as_tensor(observation)
        if value.dtype == torch.uint8 and value.ndim == 3:
            return self.model.encode(value[None])[0]
        if value.is_floating_point() and value.ndim == 1:
            return value.to(self.model.device)
        raise InputError(
            f"{name} must be a picture, uint8 (H, W, 3), or a latent, float (D,); "
            f"got {value.dtype} {tuple(value.shape)}"
        )
