"""Making worlds and scripted episodes."""

import numpy as np
import pytest

from lewm_evidence import worlds
from lewm_evidence.errors import ConfigError
from lewm_evidence.worlds.pusht_policy import block_centre


def test_an_unknown_world_is_refused_with_what_is_known() -> None:
    """The error names the wrong world and the right ones."""
    with pytest.raises(ConfigError, match=r"'chess'.*pusht"):
        worlds.make("chess")


def test_an_episode_depends_on_seed_and_steps_alone() -> None:
    """A fresh world and a used one give the same episode; a longer one starts the same."""
    world = worlds.make("pusht")
    worlds.scripted_episode(world, 8, 10)
    first = worlds.scripted_episode(world, 4, 30)
    again = worlds.scripted_episode(worlds.make("pusht"), 4, 40)
    np.testing.assert_array_equal(first.states, again.states[:31])
    np.testing.assert_array_equal(first.actions, again.actions[:30])


def test_an_episode_holds_a_state_more_than_actions() -> None:
    """Shapes, types and the range of actions are as promised; the states follow from the actions."""
    world = worlds.make("pusht")
    episode = worlds.scripted_episode(world, 7, 25)
    assert episode.states.shape == (26, 7)
    assert episode.actions.shape == (25, 2)
    assert (episode.states.dtype, episode.actions.dtype) == (np.float64, np.float32)
    assert np.abs(episode.actions).max() <= 1
    world.reset(7)
    np.testing.assert_array_equal([world.step(action) for action in episode.actions], episode.states[1:])


def test_the_mix_pushes_the_block_around() -> None:
    """A third of the steps move the block, most often far and turning; a random walk moves it in 4 %."""
    world = worlds.make("pusht")
    states = np.array([worlds.scripted_episode(world, seed, 100).states for seed in range(40)])
    motion = np.linalg.norm(np.diff(states[:, :, 2:4], axis=1), axis=-1) > 0.1
    displacement = np.linalg.norm(states[:, 25:, 2:4] - states[:, :-25, 2:4], axis=-1)
    assert 0.25 < motion.mean() < 0.6
    assert np.median(displacement) > 30
    assert len(np.unique(np.round(states[:, -1, 4], 1))) > 20


def test_the_mix_stays_on_the_table() -> None:
    """Agent and block can be seen in nearly every state; the agent leaves at times, as planners may let it."""
    world = worlds.make("pusht")
    states = np.array([worlds.scripted_episode(world, seed, 100).states for seed in range(40)])
    agent = states[:, :, :2].reshape(-1, 2)
    block = np.array([block_centre(state) for state in states.reshape(-1, 7)])
    inside = [((places > 0) & (places < 512)).all(axis=1) for places in (agent, block)]
    assert 0.9 < inside[0].mean() < 1
    assert inside[1].mean() > 0.99
