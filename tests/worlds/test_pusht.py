"""PushT: the reference's motion and picture, and what a state promises."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lewm_evidence.errors import InputError
from lewm_evidence.worlds.pusht import PushT

GOLDEN = Path(__file__).parents[1] / "data" / "pusht_env_seed5.npz"
STARTS = 12


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[np.generic]]:
    """What the reference simulator did from 12 starts."""
    with np.load(GOLDEN, allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("start", range(STARTS))
def test_motion_is_that_of_the_reference(golden: dict[str, NDArray[np.generic]], start: int) -> None:
    """Settling and 25 actions give the reference's states within 1e-6 px."""
    world = PushT()
    settled = world.set_state(golden["set_state"][start])
    np.testing.assert_allclose(settled, golden["state_after_set"][start], rtol=0, atol=1e-6)
    trajectory = [world.step(action) for action in golden["actions"][start]]
    np.testing.assert_allclose(trajectory, golden["trajectory"][start], rtol=0, atol=1e-6)


def test_first_pictures_are_those_of_the_reference(golden: dict[str, NDArray[np.generic]]) -> None:
    """All pictures of a start are the reference's, bit for bit."""
    world = PushT()
    for start in range(STARTS):
        picture = world.draw(golden["state_after_set"][start])
        np.testing.assert_array_equal(picture, golden["frames"][start, 0], err_msg=f"start {start}")


def test_later_pictures_differ_only_by_the_reference_contact_marks(golden: dict[str, NDArray[np.generic]]) -> None:
    """After 25 actions at most three pixels differ: the reference marks contact points in red."""
    world = PushT()
    different = [
        (world.draw(golden["trajectory"][start, -1]) != golden["frames"][start, 1]).any(axis=-1).sum()
        for start in range(STARTS)
    ]
    assert sum(count == 0 for count in different) >= 9
    assert max(different) <= 3


def test_the_future_depends_on_the_state_alone() -> None:
    """A world that has a past goes on from a set state exactly as a new one does."""
    used, new = PushT(), PushT()
    start = used.reset(3)
    for _ in range(20):
        used.step([0.7, -0.4])
    new.set_state(start)
    used.set_state(start)
    for action in np.random.default_rng(0).uniform(-1, 1, (20, 2)):
        np.testing.assert_array_equal(used.step(action), new.step(action))


def test_drawing_leaves_the_world_as_it_is() -> None:
    """Looking at another state changes neither the state nor the next picture."""
    world = PushT()
    world.reset(1)
    state, picture = world.state, world.render(64)
    world.draw([10, 10, 200, 300, 1.0, 0, 0], 96)
    np.testing.assert_array_equal(world.state, state)
    np.testing.assert_array_equal(world.render(64), picture)


@given(
    place=st.lists(st.floats(-2000, 3000), min_size=4, max_size=4),
    angle=st.floats(-10, 10),
    size=st.sampled_from([16, 64, 224]),
)
@settings(max_examples=50, deadline=None)
def test_any_finite_state_can_be_drawn(place: list[float], angle: float, size: int) -> None:
    """Bodies beyond the table's edge are cut off, never an error."""
    picture = PushT().draw([*place, angle, 0, 0], size)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "reached"),
    [
        ([0, 0, 0, 0, 0], True),
        ([9, 9, 9, 9, 0], True),
        ([15, 15, 0, 0, 0], False),
        ([0, 0, 0, 0, np.radians(19)], True),
        ([0, 0, 0, 0, np.radians(21)], False),
        ([0, 0, 0, 0, 2 * np.pi - 0.1], True),
    ],
)
def test_success_needs_both_places_and_the_angle(change: list[float], reached: bool) -> None:
    """20 px over agent and block together and 20 degrees, whichever way round, decide."""
    world = PushT()
    goal = world.set_state([100, 100, 300, 300, 0.2, 0, 0])
    goal[:5] += change
    assert world.success(goal) is reached
    assert world.error(goal) == pytest.approx(np.linalg.norm(change[:4]))


@pytest.mark.parametrize("state", [[1.0] * 6, [np.nan] * 7, [[1.0] * 7]])
def test_a_state_that_is_none_is_refused(state: list[float]) -> None:
    """Wrong length, shape or NaN is named, not simulated."""
    with pytest.raises(InputError, match="7 finite numbers"):
        PushT().set_state(state)


def test_no_display_is_needed_and_nothing_is_printed() -> None:
    """A process without any display or SDL setting draws, silently."""
    code = "from lewm_evidence.worlds.pusht import PushT; assert PushT().render(32).any()"
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "PYGAME_HIDE_SUPPORT_PROMPT"}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
