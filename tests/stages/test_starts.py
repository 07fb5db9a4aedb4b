"""Which starts are chosen: as the published evaluation chooses, from episodes that repeat."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stage_runs
from lewm_evidence.errors import StageError
from lewm_evidence.keys import import_closure
from lewm_evidence.records import FinishedRun
from lewm_evidence.stages import starts
from lewm_evidence.stages.starts import choose, possible_rows

GOLDEN = [88, 433, 438, 653, 771]  # of 1000 rows


def make(runs: Path, world: str = "pusht", **changes: int) -> FinishedRun:
    """Runs the stage on a small pool."""
    config = {"world": world, "seed": 31415, "starts": {"episodes": 6, "pool": 10, "pool_steps": 40, **changes}}
    return stage_runs.run_stage(runs, "starts", starts.run, config)


def test_the_choice_is_the_published_one() -> None:
    """Drawn without replacement by numpy's generator with seed 42, then sorted: these numbers and no others."""
    assert choose(np.arange(1000), 5, 42).tolist() == GOLDEN
    assert choose(np.arange(2000, 3000), 5, 42).tolist() == [2000 + row for row in GOLDEN]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 6))
def test_possible_rows_have_their_goal_in_the_same_episode(lengths: list[int], offset: int) -> None:
    """And no row is missing that has one."""
    episode = np.repeat(np.arange(len(lengths)), lengths)
    wanted = [row for row in range(len(episode) - offset) if episode[row] == episode[row + offset]]
    assert possible_rows(np.array(lengths), offset).tolist() == wanted


def test_chosen_rows_name_their_episode_and_step(tmp_path: Path) -> None:
    """Row, episode and step agree, and start and goal show the agent."""
    done = make(tmp_path)
    arrays = {r.tag: done.arrays(r.path) for r in done.records("arrays") if r.kind == "arrays"}
    chosen, pool = arrays["starts/chosen"], arrays["starts/pool"]
    np.testing.assert_array_equal(chosen["rows"], 41 * chosen["episodes"] + chosen["steps"])
    agent = pool["states"][np.concatenate([chosen["rows"], chosen["rows"] + 25]), :2]
    assert np.all((agent > 15) & (agent < 497))
    assert np.isnan(pool["actions"][40]).all() and np.isfinite(pool["actions"][:40]).all()


def test_repeats_and_depends_on_its_seeds(tmp_path: Path) -> None:
    """The same settings give the same result elsewhere; another choice keeps the pool."""
    first, again = make(tmp_path / "a"), make(tmp_path / "b")
    other = make(tmp_path / "c", choice_seed=7)
    assert first.manifest.result_digest == again.manifest.result_digest
    mine, theirs = stage_runs.digests(first), stage_runs.digests(other)
    assert mine["arrays/starts/pool/00000.safetensors"] == theirs["arrays/starts/pool/00000.safetensors"]
    assert mine["arrays/starts/chosen/00000.safetensors"] != theirs["arrays/starts/chosen/00000.safetensors"]


def test_too_few_starts_are_refused(tmp_path: Path) -> None:
    """The sentence says how many there are and what to change."""
    with pytest.raises(StageError, match=r"5000 starts are wanted.*tables\.starts"):
        make(tmp_path, episodes=5000)


def test_starts_do_not_depend_on_the_checkpoint() -> None:
    """So that every checkpoint of a world is measured on the same ones: the stage takes no checkpoint."""
    assert "lewm_evidence.checkpoint.embedded" not in dict(import_closure("lewm_evidence.stages.starts").modules)
