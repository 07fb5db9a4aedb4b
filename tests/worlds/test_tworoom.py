"""TwoRoom: the reference's motion and picture, the wall and its door."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.errors import InputError
from lewm_evidence.worlds.tworoom import TwoRoom

GOLDEN = Path(__file__).parents[1] / "data" / "tworoom_env_seed5.npz"
STARTS = range(12)


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[np.generic]]:
    """What the reference simulator did from 12 starts."""
    with np.load(GOLDEN, allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("start", STARTS)
def test_motion_is_that_of_the_reference(golden: dict[str, NDArray[np.generic]], start: int) -> None:
    """40 actions give the reference's places, bit for bit; 1e-4 px is what is asked for."""
    world = TwoRoom()
    np.testing.assert_array_equal(world.set_state(golden["set_state"][start]), golden["set_state"][start])
    trajectory = [world.step(action) for action in golden["actions"][start]]
    np.testing.assert_array_equal(trajectory, golden["trajectory"][start])


@pytest.mark.parametrize("start", STARTS)
def test_pictures_are_those_of_the_reference(golden: dict[str, NDArray[np.generic]], start: int) -> None:
    """No colour differs by more than 1: the last bit depends on whose float32 exp is used."""
    world = TwoRoom()
    for picture, place in enumerate((golden["set_state"][start], golden["trajectory"][start, -1])):
        drawn, wanted = world.draw(place).astype(int), golden["frames"][start, picture].astype(int)
        assert np.abs(drawn - wanted).max() <= 1
        assert (drawn != wanted).any(axis=-1).sum() < 120


def test_the_dot_is_drawn_as_if_over_the_whole_picture() -> None:
    """The part that is left out changes no colour, wherever the agent stands."""
    for place in ([112.3, 49.9], [21, 203], [30.5, 60.25], [203, 21]):
        centre = np.array(place, np.float32)
        x, y = (np.arange(224, dtype=np.float32) - centre[axis] for axis in (0, 1))
        weight = np.exp(-(x[None] ** 2 + y[:, None] ** 2) / np.float32(98))
        weight = (weight / weight.max())[..., None]
        empty = TwoRoom().draw([1000, 1000]).astype(np.float32)
        whole = empty * (1 - weight) + np.array([255, 0, 0], np.float32) * weight
        np.testing.assert_array_equal(TwoRoom().draw(place), whole.astype(np.uint8))


@given(
    place=st.tuples(st.floats(21, 203), st.floats(21, 203)).filter(lambda p: not 99 < p[0] < 125),
    seed=st.integers(0, 1000),
)
@settings(max_examples=100, deadline=None)
def test_the_wall_is_passed_only_through_the_door(place: tuple[float, float], seed: int) -> None:
    """The agent never leaves the border, and changes rooms only between the door's posts."""
    world = TwoRoom()
    before = world.set_state(place)
    for action in np.random.default_rng(seed).uniform(-2, 2, (60, 2)):
        after = world.step(action)
        assert ((after >= 21) & (after <= 203)).all()
        if (before[0] < 112) != (after[0] < 112):
            assert abs(after[1] - 49) <= 14 + 1.75
        before = after


def test_an_agent_at_the_wall_rebounds() -> None:
    """Walking into the wall ends half a pixel in front of it, from both sides; in the door it goes on."""
    world = TwoRoom()
    world.set_state([98, 120])
    assert world.step([1, 0]).tolist() == [99.5, 120]
    world.set_state([126, 120])
    assert world.step([-1, 0]).tolist() == [124.5, 120]
    world.set_state([98, 49])
    assert world.step([1, 0]).tolist() == [103, 49]


def test_actions_are_clipped() -> None:
    """More than 1 moves no further than 1."""
    world = TwoRoom()
    world.set_state([50, 50])
    assert world.step([3, -0.5]).tolist() == [55, 47.5]


def test_success_is_closer_than_16_px() -> None:
    """The distance decides, straight, also through a wall."""
    world = TwoRoom()
    world.set_state([60, 60])
    assert world.success([75.9, 60])
    assert not world.success([76, 60])
    assert world.error([63, 64]) == 5


@pytest.mark.parametrize("state", [[1.0], [np.nan, 1], [[1.0, 2.0]]])
def test_a_state_that_is_none_is_refused(state: list[float]) -> None:
    """Wrong length, shape or NaN is named, not simulated."""
    with pytest.raises(InputError, match="2 finite numbers"):
        TwoRoom().set_state(state)


def test_the_way_between_rooms_goes_through_the_door() -> None:
    """The distance to travel is straight within a room and bent at the door between rooms."""
    starts = np.array([[50.0, 150.0], [50.0, 150.0]])
    goals = np.array([[50.0, 60.0], [150.0, 150.0]])
    straight, bent = TwoRoom().travel(starts, goals)
    assert straight == 90
    assert bent == pytest.approx(np.hypot(62, 101) + np.hypot(38, 101))


def test_walkers_use_the_door() -> None:
    """Most episodes visit both rooms, and a third of the states 25 steps apart lie in different rooms."""
    world = worlds.make("tworoom")
    states = np.array([worlds.scripted_episode(world, seed, 100).states for seed in range(60)])
    left = states[:, :, 0] < 112
    assert (left.any(axis=1) & ~left.all(axis=1)).mean() > 0.6
    assert 0.2 < (left[:, 25:] != left[:, :-25]).mean() < 0.5
