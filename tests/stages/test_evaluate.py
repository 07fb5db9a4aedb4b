"""The evaluation: paired starts, intervals, and that it repeats."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import stage_runs
import tiny
from lewm_evidence import worlds
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.config import Planner
from lewm_evidence.records import FinishedRun
from lewm_evidence.stages import evaluate
from lewm_evidence.stages.rollout import (
    Actor,
    Task,
    act,
    episode_seeds,
    make_task,
    noop_policy,
    random_policy,
)
from lewm_evidence.stages.statistics import bootstrap_means

METHODS = ("lewm", "random", "noop")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished evaluation of the tiny checkpoint."""
    return make(tmp_path_factory.mktemp("runs"))


def make(runs: Path, **changes: Any) -> FinishedRun:
    """Runs the evaluation with some settings changed."""
    config = {**stage_runs.EVALUATE, **changes}
    return stage_runs.run_stage(runs, "evaluate", evaluate.run, config, checkpoint=stage_runs.checkpoint(runs))


def test_repeats(done: FinishedRun, tmp_path: Path) -> None:
    """The same settings in another folder give the same result."""
    assert make(tmp_path).manifest.result_digest == done.manifest.result_digest


def test_seed_matters(done: FinishedRun, tmp_path: Path) -> None:
    """Another seed gives other starts."""
    other = make(tmp_path, seed=7)
    tag = "evaluate/noop/final_error_px"
    assert set(other.scalars(tag).values()).isdisjoint(done.scalars(tag).values())


def test_episodes_do_not_depend_on_their_number(done: FinishedRun, tmp_path: Path) -> None:
    """The first episodes are the same when fewer are run."""
    fewer = make(tmp_path, episodes=5)
    for method in METHODS:
        tag = f"evaluate/{method}/final_error_px"
        assert fewer.scalars(tag) == {k: v for k, v in done.scalars(tag).items() if k < 5}


def test_every_start_and_method_is_recorded(done: FinishedRun) -> None:
    """No episode is skipped, and means are means over all of them."""
    for method in METHODS:
        errors = done.scalars(f"evaluate/{method}/final_error_px")
        successes = done.scalars(f"evaluate/{method}/success")
        assert list(errors) == list(successes) == list(range(6))
        assert done.last(f"evaluate/{method}/mean_final_error_px") == pytest.approx(np.mean(list(errors.values())))
        assert done.last(f"evaluate/{method}/success_rate") == np.mean(list(successes.values()))


def test_differences_are_paired(done: FinishedRun) -> None:
    """The difference is the mean over starts of LeWM minus the baseline, inside its interval."""
    lewm = np.array(list(done.scalars("evaluate/lewm/final_error_px").values()))
    for baseline in METHODS[1:]:
        other = np.array(list(done.scalars(f"evaluate/{baseline}/final_error_px").values()))
        tag = f"evaluate/lewm_minus_{baseline}/final_error_px"
        low, mean, high = (done.last(f"{tag}{end}") for end in ("_low", "", "_high"))
        assert mean == pytest.approx((lewm - other).mean())
        assert low < mean < high


def test_protocol_says_how(done: FinishedRun) -> None:
    """The protocol holds the number of starts, the seed and the planner's numbers."""
    fields = done.events("evaluate/protocol")[0].fields
    assert fields["n"] == 6
    assert fields["planner_num_samples"] == 12
    assert {"seed", "budget", "goal_offset", "bootstrap", "world"} <= fields.keys()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_task_goal_lies_on_the_push(seed: int) -> None:
    """A task depends on its seed alone, and staying where its goal is counts as success."""
    world = worlds.make("pusht")
    task = make_task(world, seed, 25)
    again = make_task(worlds.make("pusht"), seed, 25)
    np.testing.assert_array_equal(task.start, again.start)
    np.testing.assert_array_equal(task.goal, again.goal)
    world.set_state(task.goal)
    assert world.success(task.goal)


def test_most_tasks_move_the_block() -> None:
    """Starts are chosen so that the block has to move, where the scripted episode moves it at all."""
    tasks = [make_task(worlds.make("pusht"), episode_seeds(0, episode).task, 25) for episode in range(20)]
    moved = [np.linalg.norm(task.goal[2:4] - task.start[2:4]) > 20 for task in tasks]
    assert np.mean(moved) > 0.6


def test_pictures_show_the_agent_at_start_and_goal() -> None:
    """No task begins or ends with the agent off the table."""
    for episode in range(40):
        task = make_task(worlds.make("pusht"), episode_seeds(0, episode).task, 25)
        for state in (task.start, task.goal):
            assert np.all((state[:2] > 0) & (state[:2] < 512))


def test_success_ends_an_episode() -> None:
    """An episode that starts at its goal ends after one step, with success."""
    world = worlds.make("pusht")
    goal = make_task(world, 3, 25).goal
    task = Task(goal, goal)
    outcome = act(world, task, noop_policy(2), 20)
    assert (outcome.success, outcome.env_steps) == (True, 1)
    assert outcome.final_error_px < 20


def test_no_plan_looks_beyond_the_budget(tmp_path: Path) -> None:
    """The horizon shrinks over the last steps, and is at least one block."""
    model = load_checkpoint(tiny.tiny_checkpoint(tmp_path))
    actor = Actor(model, Planner(num_samples=4, elites=2, iterations=1, horizon=3, execute=1))
    assert [actor.horizon(left) for left in (50, 15, 14, 10, 5, 1)] == [3, 3, 3, 2, 1, 1]
    counting = Planner(num_samples=4, elites=2, iterations=1, horizon=3, execute=1, countdown=True)
    assert [Actor(model, counting, 25).horizon(left) for left in (50, 35, 30, 25, 10, 5)] == [3, 2, 1, 2, 2, 1]
    z = torch.zeros(16)
    assert actor.plan(z, z, torch.Generator(), 7).actions.shape == (2, 10)


def test_random_policy_is_seeded_and_in_range() -> None:
    """Random actions repeat with their seed and stay in the action space."""
    world = worlds.make("pusht")
    a, b = (np.concatenate([policy(world, 50) for _ in range(50)]) for policy in (random_policy(2, 1),) * 2)
    c = np.concatenate([policy(world, 50) for policy in (random_policy(2, 1),) for _ in range(50)])
    np.testing.assert_array_equal(a, c)
    assert not np.array_equal(a, b)
    assert np.abs(a).max() <= 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.integers(0, 1000))
def test_bootstrap_interval_holds_the_mean(values: list[float], seed: int) -> None:
    """Limits lie within the sample's range, and repeat with their seed."""
    column = np.array(values)[:, None]
    first, again = (bootstrap_means(column, 1200, seed)[0] for _ in range(2))
    assert first == again
    assert min(values) - 1e-9 <= first.low <= first.high <= max(values) + 1e-9


def test_bootstrap_width_is_that_of_a_mean() -> None:
    """For a large normal sample the interval is about 3.92 standard errors wide."""
    sample = np.random.default_rng(0).normal(size=(400, 1))
    estimate = bootstrap_means(sample, 4000, 1)[0]
    assert estimate.high - estimate.low == pytest.approx(3.92 * sample.std() / 20, rel=0.08)
