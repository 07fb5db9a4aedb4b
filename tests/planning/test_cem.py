"""The cross-entropy method on a cost whose best plan is known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lewm_evidence.errors import InputError, StageError
from lewm_evidence.planning import CEM
from quadratic import GOAL, START, A, Quadratic, T, generator


def test_it_finds_the_cheapest_plan() -> None:
    """Thirty refinements end close to the known optimum, with a shrinking spread and falling costs."""
    plan = CEM(Quadratic(), 200, 30, 20, T).solve(START, GOAL, generator())
    torch.testing.assert_close(plan.actions, GOAL.expand(T, A), atol=1e-2, rtol=0)
    assert plan.cost < 1e-3
    elite = [step.costs[step.elite_indices].mean().item() for step in plan.history]
    assert elite[-1] < elite[len(elite) // 2] < elite[0]
    assert plan.history[-1].std.max() < plan.history[0].std.min()


def test_each_iteration_follows_the_method() -> None:
    """Recomputed independently in numpy: candidates, candidate 0, elites, mean and unbiased spread."""
    solver = CEM(Quadratic(), 50, 4, 8, T)
    plan = solver.solve(START, GOAL, generator())
    source, mean, std = generator(), np.zeros((T, A), np.float32), np.ones((T, A), np.float32)
    for step in plan.history:
        drawn = torch.randn(1, 50, T, A, generator=source).numpy()[0] * std + mean
        drawn[0] = mean
        np.testing.assert_allclose(step.candidates.numpy(), drawn, rtol=1e-5, atol=1e-6)
        costs = ((drawn - GOAL.numpy()) ** 2).sum((1, 2))
        np.testing.assert_allclose(step.costs.numpy(), costs, rtol=1e-4)
        best = np.argsort(costs)[:8]
        assert step.elite_indices.tolist() == best.tolist()
        mean, std = drawn[best].mean(0), drawn[best].std(0, ddof=1)
        np.testing.assert_allclose(step.mean.numpy(), mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(step.std.numpy(), std, rtol=1e-4, atol=1e-6)
    assert torch.equal(plan.actions, plan.history[-1].mean)


def test_equal_seeds_give_equal_plans() -> None:
    """The generator is the only source of randomness."""
    solver = CEM(Quadratic(), 20, 3, 5, T)
    first, again, other = (solver.solve(START, GOAL, generator(seed)).actions for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_pictures_and_latents_mean_the_same() -> None:
    """A picture is encoded; its latent gives the same plan."""
    pictures = torch.zeros(2, 2, 2, 3, dtype=torch.uint8)
    pictures[1, 0, 0, 0] = 2
    latents = Quadratic().encode(pictures)
    solver = CEM(Quadratic(), 20, 3, 5, T)
    expected = solver.solve(latents[0], latents[1], generator()).actions
    found = solver.solve(pictures[0].numpy(), pictures[1].numpy(), generator()).actions
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "numbers", [(0, 1, 2, 1), (10, 0, 2, 1), (10, 1, 1, 1), (10, 1, 11, 1), (10, 1, 2, 0), (10.0, 1, 2, 1)]
)
def test_impossible_numbers_are_refused(numbers: tuple[int, int, int, int]) -> None:
    """Counts below one, a single elite, more elites than candidates and fractions are refused."""
    with pytest.raises(InputError, match="must"):
        CEM(Quadratic(), *numbers)


@pytest.mark.parametrize("start", [torch.zeros(2, A), torch.zeros(A, dtype=torch.int64), torch.zeros(3, 3, 3)])
def test_what_is_neither_picture_nor_latent_is_refused(start: Tensor) -> None:
    """A start of another shape or type is refused by name."""
    with pytest.raises(InputError, match="start must be a picture"):
        CEM(Quadratic(), 10, 1, 2, T).solve(start, GOAL, generator())


def test_costs_that_are_not_finite_stop_planning() -> None:
    """A damaged model is an error, not a plan."""
    with pytest.raises(StageError, match="not finite"):
        CEM(Quadratic(), 10, 1, 2, T).solve(START, GOAL * torch.nan, generator())
