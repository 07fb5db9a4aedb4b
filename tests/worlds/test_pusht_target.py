"""PushT by absolute targets: the relative actions that reach them, and what is judged."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lewm_evidence.worlds.pusht import DT, SUBSTEPS, PushT
from lewm_evidence.worlds.pusht_target import GOAL, TargetPushT, relative_actions

SEEDS = st.integers(0, 2**32 - 1)


def driven_by_targets(world: PushT, targets: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Returns the agent's places under gym-pusht's own control of an absolute target, (2,) each."""
    position, velocity = world.state[:2], world.state[5:7]
    places = []
    for target in targets:
        for _ in range(SUBSTEPS):
            velocity = velocity + (100.0 * (target - position) - 20.0 * velocity) * DT
            position = position + velocity * DT
        places.append(position)
    return places


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_agent_goes_where_the_targets_lead(seed: int) -> None:
    """In the simulator, the block in the way or not, as by gym-pusht's controller, while targets are in reach."""
    rng = np.random.default_rng(seed)
    world = PushT()
    world.reset(seed)
    targets = np.clip(world.state[:2] + np.cumsum(rng.uniform(-25, 25, (12, 2)), axis=0), 0, 512)
    expected = driven_by_targets(world, targets)
    actions, clipped = relative_actions(world.state, targets[None])
    if clipped.any():
        targets, expected = targets[: clipped[0].argmax()], expected[: clipped[0].argmax()]
    for action, place in zip(actions[0], expected, strict=False):
        assert world.step(action)[:2] == pytest.approx(place, abs=1e-2)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_targets_out_of_reach_are_approached_as_far_as_an_action_goes(seed: int) -> None:
    """Actions stay in [-1, 1] and point to the target from where the agent really is."""
    rng = np.random.default_rng(seed)
    world = PushT()
    state = world.reset(seed)
    targets = rng.uniform(0, 512, (3, 6, 2))
    actions, clipped = relative_actions(state, targets)
    assert actions.dtype == np.float32 and np.abs(actions).max() <= 1
    for row in range(3):
        world.set_state(state)
        # Setting a state lets it settle for a moment; the agent rests, so it stays where it was.
        for step, target in enumerate(targets[row]):
            wanted = (target - world.state[:2]) / 100
            assert actions[row, step] == pytest.approx(np.clip(wanted, -1, 1), abs=1e-3)
            if np.abs(np.abs(wanted).max() - 1) > 1e-3:
                assert clipped[row, step] == (np.abs(wanted) > 1).any()
            world.step(actions[row, step])


def test_a_moving_agent_is_taken_as_moving() -> None:
    """The first action of a chunk starts from the agent's velocity, so that two chunks join."""
    world = PushT()
    world.reset(3)
    targets = world.state[:2] + np.linspace(5, 60, 8)[:, None]
    whole, _ = relative_actions(world.state, targets[None])
    for action in whole[0, :4]:
        world.step(action)
    rest, _ = relative_actions(world.state, targets[None, 4:])
    assert rest[0] == pytest.approx(whole[0, 4:], abs=1e-4)


def test_only_the_block_is_judged() -> None:
    """At the goal's block pose it is success wherever the agent is; 21 degrees away it is not."""
    world = TargetPushT()
    world.set_state([40.0, 40.0, *GOAL[2:5], 0.0, 0.0])
    assert world.success(GOAL) and world.error(GOAL) < 1e-6
    assert not PushT.success(PushT(), GOAL)
    world.set_state([40.0, 40.0, 256.0, 256.0, math.pi / 4 + math.radians(21), 0.0, 0.0])
    assert not world.success(GOAL)
    world.set_state([40.0, 40.0, 277.0, 256.0, math.pi / 4, 0.0, 0.0])
    assert not world.success(GOAL) and world.error(GOAL) == pytest.approx(21)


def test_the_goal_state_is_possible() -> None:
    """The agent stands behind the bar without touching: nothing moves when the state is set."""
    assert TargetPushT().set_state(GOAL) == pytest.approx(GOAL)


def test_it_remembers_its_last_states() -> None:
    """The first state stands for those before the start, as LeRobot's queues have it."""
    world = TargetPushT(remembered=3)
    first = world.reset(1)
    assert [list(state) for state in world.past()] == [list(first)] * 3
    second = world.step([0.1, 0.0])
    assert [list(state) for state in world.past()] == [list(first), list(first), list(second)]
    world.set_state(first)
    assert [list(state) for state in world.past()] == [list(world.state)] * 3
