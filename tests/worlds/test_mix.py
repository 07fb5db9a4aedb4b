"""Mixes of scripted behaviours."""

import numpy as np
import pytest

from lewm_evidence import worlds
from lewm_evidence.errors import ConfigError
from lewm_evidence.worlds.mix import check_shares, chosen


def test_behaviours_come_in_their_shares() -> None:
    """Shares need not add up to 1; a share of 0 never comes."""
    rng = np.random.default_rng(0)
    names = [chosen(rng, {"a": 3, "b": 0, "c": 1}) for _ in range(4000)]
    assert names.count("a") == pytest.approx(3000, abs=120)
    assert names.count("b") == 0


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"push": 1, "sing": 1}, "pusht has no behaviour sing"), ({"push": -1}, "negative"), ({"push": 0}, "all be 0")],
)
def test_shares_that_mean_nothing_are_refused(shares: dict[str, float], message: str) -> None:
    """Unknown names, negative shares and shares of nothing are named."""
    with pytest.raises(ConfigError, match=message):
        check_shares(shares, worlds.make("pusht").behaviours, "pusht")


def _turn_per_px(shares: dict[str, float] | None) -> tuple[float, float]:
    """Returns the degrees and the px that the block turns and moves in 25 steps, means over 30 episodes."""
    world = worlds.make("pusht")
    states = np.array([worlds.scripted_episode(world, seed, 100, shares).states for seed in range(30)])
    turn = states[:, 25:, 4] - states[:, :-25, 4]
    turn = np.degrees(np.abs((turn + np.pi) % (2 * np.pi) - np.pi)).mean()
    return float(turn), float(np.linalg.norm(states[:, 25:, 2:4] - states[:, :-25, 2:4], axis=-1).mean())


def test_rotating_pushes_turn_the_block_more_than_they_move_it() -> None:
    """As many degrees as pushes through the block, with half the way; a weak policy moves it less than pushes."""
    turn, way = _turn_per_px({"rotate": 1})
    push_turn, push_way = _turn_per_px({"push": 1})
    assert turn > 0.8 * push_turn
    assert way < 0.6 * push_way
    weak_turn, weak_way = _turn_per_px({"weak": 1})
    wander_turn, wander_way = _turn_per_px({"wander": 1})
    assert wander_turn < weak_turn
    assert wander_way < weak_way < push_way
