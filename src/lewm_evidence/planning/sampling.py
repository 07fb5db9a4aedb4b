"""Solvers that need costs alone, and can therefore run as one CUDA graph."""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lewm_evidence.planning.solver import Found, Problem, Solver, check_time

Costs = Callable[[Tensor], Tensor]  # of candidates (B, S, T, A), (B, S)


@dataclass(frozen=True)
class SamplingSolver(Solver):
    """A search that draws candidates and looks at their costs."""

    @abstractmethod
    def _search(self, costs: Costs, problem: Problem) -> Found:
        """Searches with `costs`, and draws from `problem.noise`.

        A function of tensors alone: it reads none of their numbers, and no shape depends on them.
        """

    def _find(self, problem: Problem, deadline: float | None) -> Found:
        fast = self._fast_cuda
        if fast is None:

            def one(candidates: Tensor) -> Tensor:
                check_time(deadline)
                return self.model.cost_from_latents(problem.z_start[0], problem.z_goal[0], candidates[0])[None]

            return self._search(one, problem)

        def search(problem: Problem) -> Found:
            return self._search(lambda c: fast.cost_from_latents(problem.z_start, problem.z_goal, c), problem)

        settings = [getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "model"]
        return fast.graphs.run((type(self), *settings), search, problem)
