"""Surprise: a planted jump is found, with the checkpoint that ships; nothing is found where nothing happens."""

from pathlib import Path

import numpy as np
import pytest

import stage_runs
from lewm_evidence import worlds
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun
from lewm_evidence.stages import fetch, starts, surprise
from lewm_evidence.stages.surprise import FAR, simulate, teleported

BEFORE = 4


def make(runs: Path, **changes: int) -> FinishedRun:
    """Runs the stage on the TwoRoom checkpoint that ships."""
    checkpoint = stage_runs.run_stage(runs, "fetch", fetch.run, {"source": "embedded", "name": "tworoom"})
    pool = {"world": "tworoom", "seed": 31415, "starts": {"episodes": 5, "pool": 12, "pool_steps": 40}}
    chosen = stage_runs.run_stage(runs, "starts", starts.run, pool)
    config = {"seed": 31415, "surprise": {"episodes": 12, "before": BEFORE, "after": 3, **changes}}
    return stage_runs.run_stage(runs, "surprise", surprise.run, config, checkpoint=checkpoint, starts=chosen)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished run."""
    return make(tmp_path_factory.mktemp("runs"))


def test_a_teleport_is_found(done: FinishedRun) -> None:
    """Surprise rises at the event, in nearly every episode."""
    assert done.last("surprise/teleport/difference_low") > 0
    assert done.last("surprise/teleport/p") < 0.01
    assert done.last("surprise/teleport/t") > 0
    assert done.last("surprise/teleport/n") == 12


def test_nothing_differs_before_the_event(done: FinishedRun) -> None:
    """All conditions have the same past, so their curves are equal to the last bit, then part."""
    curves = {c: done.scalars(f"surprise/{c}/curve") for c in ("expected", "teleport", "colour")}
    for block in range(1, BEFORE):
        assert curves["expected"][block] == curves["teleport"][block] == curves["colour"][block]
    assert len({curve[BEFORE] for curve in curves.values()}) == 3
    assert list(curves["expected"]) == list(range(1, BEFORE + 4))


def test_no_event_is_no_surprise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A teleport to where the agent is changes nothing: difference 0 and p 1."""
    monkeypatch.setattr(surprise, "teleported", lambda world, state, seed: state)
    null = make(tmp_path)
    assert null.last("surprise/teleport/difference") == 0
    assert null.last("surprise/teleport/p") == 1


def test_a_teleport_goes_far() -> None:
    """In both worlds, seeded, and to a state the simulator accepts."""
    for name in worlds.WORLDS:
        world = worlds.make(name)
        state = world.reset(1)
        there = teleported(world, state, 5)
        assert world.travel(state[None], there[None])[0] >= FAR * world.space[0]
        np.testing.assert_array_equal(there, teleported(world, state, 5))
        assert simulate(world, there, np.zeros((2, 2), np.float32)).shape == (3, world.state_dim)


def test_an_event_before_the_history_is_refused(tmp_path: Path) -> None:
    """The sentence names the key and the least value."""
    with pytest.raises(StageError, match=r"surprise\.before must be at least the model's history=3"):
        make(tmp_path, before=2)
