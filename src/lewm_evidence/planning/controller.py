"""Acting while planning again and again; a solve that fails does not stop it."""

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lewm_evidence.errors import EvidenceError, InputError, StageError
from lewm_evidence.planning.solver import Observation, Plan, Solver


@dataclass(frozen=True)
class Decision:
    """What to execute next.

    Attributes:
        actions: z-scored action blocks, at most `RecedingHorizon.execute` of them, (K, A).
        plan: the plan made now; None when the last one is kept.
        failure: why the last plan is kept; empty when it is not.
    """

    actions: Tensor
    plan: Plan | None
    failure: str


@dataclass
class RecedingHorizon:
    """Plans, gives out the first blocks, and starts the next search from what is left of the plan.

    When a solve fails, by costs that are not finite, an error of the device or its deadline, the blocks that follow in
    the last plan are given out instead, as long as there are any.

    Attributes:
        solver: makes the plans.
        execute: blocks K of a plan that are given out before planning again.
        deadline: seconds that a solve may take; None for as long as it needs.
    """

    solver: Solver
    execute: int = 1
    deadline: float | None = None
    _left: Tensor | None = field(default=None, init=False, repr=False)  # what the last plan has not given out

    def __post_init__(self) -> None:
        if not 1 <= self.execute <= self.solver.horizon:
            raise InputError(f"execute must lie in 1..horizon={self.solver.horizon}, got {self.execute}")

    def decide(self, start: Observation, goal: Observation, generator: torch.Generator) -> Decision:
        """Returns what to execute next, from `start` towards `goal`; arguments as of `Solver.solve`.

        Raises:
            StageError: when the solve fails and the last plan has no blocks left, or there is none.
        """
        until = None if self.deadline is None else time.monotonic() + self.deadline
        try:
            plan = self.solver.solve(start, goal, generator, self._warm_start(), until)
        except (EvidenceError, RuntimeError) as error:  # RuntimeError is what torch raises for its devices
            if self._left is None or not len(self._left):
                raise StageError(f"planning failed and no earlier plan is left: {error}") from error
            return self._decision(self._left, None, str(error))
        return self._decision(plan.actions, plan, "")

    def _decision(self, actions: Tensor, plan: Plan | None, failure: str) -> Decision:
        self._left = actions[self.execute :]
        return Decision(actions[: self.execute], plan, failure)

    def _warm_start(self) -> Tensor | None:
        """Returns what is left, followed by the mean action, (T, A)."""
        if self._left is None:
            return None
        rest = self._left.new_zeros(self.solver.horizon - len(self._left), self._left.shape[1])
        return torch.cat([self._left, rest])
