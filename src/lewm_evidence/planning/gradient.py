"""Planning by following the cost's gradient through the model."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lewm_evidence.errors import InputError
from lewm_evidence.planning.solver import Costed, Found, Problem, Solver, check_time


class Differentiable(Costed, Protocol):
    """What this solver asks of a model; `LeWM` and `FastLeWM` are such."""

    def cost_gradient(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns costs (S,) and each cost's gradient by its own actions, (S, T, A)."""


@dataclass(frozen=True)
class GradientDescent(Solver):
    """Adam from S random starts at once, the first being the mean; the plan is the cheapest seen.

    The paper's ablation has Adam behind CEM and ahead of plain gradient descent (arXiv 2603.19312).

    Attributes:
        model: gives costs and their gradients.
        num_samples: starts.
        iterations: steps of Adam.
        learning_rate: of Adam, in z-scored units.
    """

    model: Differentiable
    num_samples: int = 32
    elites: int = 4
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning_rate <= 0:
            raise InputError(f"learning_rate must be above 0, got {self.learning_rate}")

    def _draw(self, generator: torch.Generator) -> list[Tensor]:
        shape = (1, self.num_samples, self.horizon, self.model.config.action_block_dim)
        return [torch.randn(shape, generator=generator, device=generator.device)]

    def _find(self, problem: Problem, deadline: float | None) -> Found:
        actions = problem.noise[0] + problem.mean[:, None]
        actions[:, 0] = problem.mean
        actions.clamp_(problem.low, problem.high)
        optimizer = torch.optim.Adam([actions], lr=self.learning_rate)
        history, best, lowest = [], problem.mean, torch.full_like(problem.mean[:, 0, 0], torch.inf)
        for _ in range(self.iterations):
            check_time(deadline)
            costs, actions.grad = self._gradient(problem, actions)
            step, elites = self._fitted(actions.clone(), costs)
            cost = costs.amin(dim=-1)
            best = torch.where((cost < lowest)[:, None, None], elites[:, 0], best)
            lowest = torch.minimum(cost, lowest)
            history.append(step)
            optimizer.step()
            actions.clamp_(problem.low, problem.high)
        return Found(best, lowest, history)

    def _gradient(self, problem: Problem, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns costs (B, S) and their gradients (B, S, T, A), environment by environment."""
        pairs = [self.model.cost_gradient(*one) for one in zip(problem.z_start, problem.z_goal, actions, strict=True)]
        costs, gradients = (torch.stack(part) for part in zip(*pairs, strict=True))
        return costs, gradients
