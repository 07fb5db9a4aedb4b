"""Acting goes on when planning fails."""

import pytest
import torch
from torch import Tensor

from lewm_evidence.errors import InputError, StageError
from lewm_evidence.planning import CEM, MPPI, RecedingHorizon
from quadratic import GOAL, START, A, Quadratic, T, generator


class Failing(Quadratic):
    """Fails when told to, in one of the ways a model can."""

    fault = ""

    def cost_from_latents(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> Tensor:
        """Returns costs, or fails."""
        if self.fault == "device":
            raise RuntimeError("CUDA error: out of memory")
        costs = super().cost_from_latents(z_start, z_goal, actions)
        return costs * torch.nan if self.fault == "not finite" else costs


def test_each_search_starts_from_what_is_left() -> None:
    """Without blocks that were given out, followed by the mean action."""
    controller = RecedingHorizon(MPPI(Quadratic(), 20, 3, 5, T), execute=2)
    source = generator()
    first = controller.decide(START, GOAL, source)
    assert first.plan is not None and torch.equal(first.actions, first.plan.actions[:2])
    second = controller.decide(START, GOAL, source)
    assert second.plan is not None
    expected = torch.cat([first.plan.actions[2:], torch.zeros(2, A)])
    assert torch.equal(second.plan.history[0].candidates[0], expected)


@pytest.mark.parametrize("fault", ["not finite", "device", "deadline"])
def test_the_last_plan_is_kept_until_it_ends(fault: str) -> None:
    """Block by block, with the reason; then an error; and a new plan once planning works again."""
    model = Failing()
    controller = RecedingHorizon(CEM(model, 20, 3, 5, T))
    plan = controller.decide(START, GOAL, generator()).plan
    assert plan is not None
    model.fault = fault
    controller.deadline = -1.0 if fault == "deadline" else None
    for block in range(1, T):
        kept = controller.decide(START, GOAL, generator())
        assert kept.plan is None and fault.replace("device", "out of memory") in kept.failure
        assert torch.equal(kept.actions, plan.actions[block : block + 1])
    with pytest.raises(StageError, match="no earlier plan is left"):
        controller.decide(START, GOAL, generator())
    model.fault, controller.deadline = "", None
    assert controller.decide(START, GOAL, generator()).failure == ""


def test_what_cannot_be_executed_is_refused() -> None:
    """A plan cannot give out more blocks than it has."""
    with pytest.raises(InputError, match="execute must lie in"):
        RecedingHorizon(CEM(Quadratic(), 20, 3, 5, T), execute=T + 1)
