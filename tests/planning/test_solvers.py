"""What every solver promises: cheap plans, one random stream per environment, bounds, warm starts."""

import time

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import random_models
from lewm_evidence.errors import InputError, StageError
from lewm_evidence.model import Normalization
from lewm_evidence.planning import CEM, ICEM, MPPI, FastLeWM, GradientDescent, Solver, action_bounds
from lewm_evidence.planning import fast as fast_module
from lewm_evidence.planning.icem import _colour
from lewm_evidence.planning.sampling import SamplingSolver
from lewm_evidence.planning.solver import Problem
from quadratic import GOAL, START, A, Quadratic, T, generator

SOLVERS = (CEM, ICEM, MPPI, GradientDescent)
SAMPLING = (CEM, ICEM, MPPI)

each = pytest.mark.parametrize("kind", SOLVERS)


def small(kind: type[Solver], model: object, **settings: object) -> Solver:
    """Returns a solver of few candidates and iterations."""
    return kind(model, **({"num_samples": 12, "iterations": 3, "elites": 4, "horizon": T} | settings))


@each
def test_it_finds_the_cheapest_plan(kind: type[Solver]) -> None:
    """All end near the optimum, with falling costs; the cost told is that of the actions told."""
    solver = small(kind, Quadratic(), num_samples=200, iterations=60, elites=20)
    plan = solver.solve(START, GOAL, generator())
    torch.testing.assert_close(plan.actions, GOAL.expand(T, A), atol=0.25, rtol=0)
    assert plan.cost == pytest.approx(float(Quadratic().cost_from_latents(START, GOAL, plan.actions[None])))
    best = [step.costs.min().item() for step in plan.history]
    assert len(best) == 60 and min(best[-5:]) < best[0] / 10


@each
def test_an_environment_in_a_batch_plans_as_if_alone(kind: type[Solver]) -> None:
    """To the last bit, history included, from pictures too; equal seeds give equal plans, others do not."""
    config = random_models.config()
    model = FastLeWM(random_models.model(config))
    starts, goals = random_models.pictures(config, 3), random_models.pictures(config, 3, seed=1)
    solver = small(kind, model)
    together = solver.solve_batch(starts, goals, [generator(seed) for seed in (1, 2, 1)])
    for env, seed in enumerate((1, 2, 1)):
        alone = solver.solve(starts[env], goals[env], generator(seed))
        assert torch.equal(alone.actions, together[env].actions) and alone.cost == together[env].cost
        assert len(alone.history) == 3
        for mine, theirs in zip(alone.history, together[env].history, strict=True):
            assert all(torch.equal(*pair) for pair in zip(mine, theirs, strict=True))
    first = together[0].history[0].candidates
    assert torch.equal(first, together[2].history[0].candidates)
    assert not torch.equal(first, together[1].history[0].candidates)


@each
def test_nothing_leaves_the_bounds(kind: type[Solver]) -> None:
    """No candidate and no plan is outside, although the best actions are."""
    low, high = torch.tensor([-0.3, -0.2, 0.1, -1.0]), torch.tensor([0.4, 0.2, 1.0, 1.0])
    solver = small(
        kind, Quadratic(), bounds=(tuple(low.tolist()), tuple(high.tolist())), num_samples=100, iterations=30, elites=10
    )
    plan = solver.solve(START, GOAL, generator())
    for actions in (plan.actions, *(step.candidates for step in plan.history)):
        assert (actions >= low).all() and (actions <= high).all()
    torch.testing.assert_close(plan.actions, GOAL.clamp(low, high).expand(T, A), atol=0.3, rtol=0)


@each
def test_a_warm_start_is_among_the_first_candidates(kind: type[Solver]) -> None:
    """The search begins at the plan it is given, each environment at its own."""
    warm = torch.stack([GOAL.expand(T, A), START.expand(T, A)])
    starts, goals = torch.stack([START, START]), torch.stack([GOAL, GOAL])
    plans = small(kind, Quadratic()).solve_batch(starts, goals, [generator(1), generator(2)], warm)
    for plan, given in zip(plans, warm, strict=True):
        assert torch.equal(plan.history[0].candidates[0], given)
    assert plans[0].history[0].costs.min() == 0


@each
def test_late_plans_and_wrong_arguments_are_refused(kind: type[Solver]) -> None:
    """A deadline that has passed, a warm start of another length, bounds of another size, batches that do not fit."""
    solver = small(kind, Quadratic())
    with pytest.raises(StageError, match="deadline"):
        solver.solve(START, GOAL, generator(), deadline=time.monotonic() - 1)
    with pytest.raises(InputError, match="warm start"):
        solver.solve(START, GOAL, generator(), torch.zeros(T + 1, A))
    with pytest.raises(InputError, match="bounds"):
        small(kind, Quadratic(), bounds=((0.0,), (1.0,)))
    with pytest.raises(InputError, match="as many"):
        solver.solve_batch(START[None], GOAL[None], [generator(), generator()])


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (ICEM, {"decay": 0.9}),
        (ICEM, {"keep": 1.1}),
        (ICEM, {"momentum": 1.0}),
        (ICEM, {"exponent": -1.0}),
        (MPPI, {"temperature": 0.0}),
        (MPPI, {"spread": 0.0}),
        (GradientDescent, {"learning_rate": 0.0}),
    ],
)
def test_impossible_settings_are_refused(kind: type[Solver], settings: dict[str, float]) -> None:
    """A sentence names the setting."""
    with pytest.raises(InputError, match=next(iter(settings))):
        small(kind, Quadratic(), **settings)


@pytest.mark.parametrize("kind", SAMPLING)
def test_the_fast_model_leads_to_the_plan_of_the_readable_one(kind: type[Solver]) -> None:
    """Same stream, same actions within 1e-5."""
    model = random_models.model(random_models.config())
    z = torch.randn(2, 16, generator=generator(3))
    fast, readable = (
        small(kind, m, num_samples=60, iterations=8).solve(*z, generator()) for m in (FastLeWM(model), model)
    )
    torch.testing.assert_close(fast.actions, readable.actions, atol=1e-5, rtol=0)
    assert fast.cost == pytest.approx(readable.cost, rel=1e-5)


@pytest.mark.parametrize("kind", SAMPLING)
def test_a_search_can_be_recorded(kind: type[SamplingSolver], monkeypatch: pytest.MonkeyPatch) -> None:
    """As a CUDA graph needs: traced on tensors without numbers, what was recorded solves another problem."""
    monkeypatch.setattr(fast_module, "can_pack", lambda device, dtype: False)  # a GPU has torch's own products
    fast = FastLeWM(random_models.model(random_models.config()))
    solver = small(kind, fast, bounds=((-1.0,) * A, (1.0,) * A))

    def search(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
        def costs(candidates: torch.Tensor) -> torch.Tensor:
            rows = problem.z_start.repeat_interleave(candidates.shape[1], dim=0)
            last = fast.rollout(rows, candidates.flatten(0, 1))[:, -1].reshape(*candidates.shape[:2], -1)
            return (last - problem.z_goal[:, None]).square().sum(-1)

        found = solver._search(costs, problem)
        return found.actions, found.cost

    def problem(seed: int) -> Problem:
        z = torch.randn(2, 2, 16, generator=generator(seed))
        noise = tuple(
            torch.cat(step) for step in zip(*(solver._draw(generator(seed + n)) for n in (1, 2)), strict=True)
        )
        return Problem(z[0], z[1], torch.zeros(2, T, A), *solver._limits(torch.device("cpu")), noise)

    recorded = make_fx(search, tracing_mode="fake", _allow_non_fake_inputs=True)(problem(0))
    torch.testing.assert_close(recorded(problem(50)), search(problem(50)))


def test_noise_is_coloured() -> None:
    """Unit variance always; white at exponent 0, and slower the larger the exponent."""
    assert torch.equal(_colour(5, 0.0), torch.eye(5))
    neighbours = []
    for exponent in (0.5, 2.0, 4.0):
        matrix = _colour(6, exponent)
        covariance = matrix @ matrix.T
        torch.testing.assert_close(covariance.diagonal(), torch.ones(6))
        neighbours.append(covariance[0, 1].item())
    assert 0 < neighbours[0] < neighbours[1] < neighbours[2] < 1
    assert _colour(1, 2.0).tolist() == [[1.0]]


def test_bounds_of_raw_actions_are_z_scored() -> None:
    """A block at the bound is, as raw actions, at the simulator's bound."""
    normalization = Normalization(
        action_mean=(0.1, -0.2), action_std=(0.5, 0.25), frameskip=2, image_size=16, renderer="test", world="pusht"
    )
    for bound, raw in zip(action_bounds(normalization), (-1.0, 1.0), strict=True):
        steps = normalization.denormalize(normalization.from_blocks(torch.tensor([bound])))
        torch.testing.assert_close(steps, torch.full((2, 2), raw))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", SAMPLING)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_graph_gives_what_eager_gives(kind: type[SamplingSolver], precision: str) -> None:
    """On a GPU: twice from one recording, for two environments, against the search run eagerly."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    fast = FastLeWM(random_models.model(random_models.config()).cuda(), precision=precision)
    eager = FastLeWM(fast.model, precision=precision)
    eager.graphs.run = lambda key, function, inputs: function(inputs)  # type: ignore[method-assign]
    z = torch.randn(2, 2, 2, 16, generator=generator())
    for start, goal in z:
        found, expected = (
            small(kind, model).solve_batch(start, goal, [generator(1), generator(2)]) for model in (fast, eager)
        )
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine.actions, theirs.actions)
    assert fast.path == f"cuda-graph-{precision}"
