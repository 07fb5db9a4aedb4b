"""Verdicts on runs, and removing them while others work."""

import fcntl
from pathlib import Path

import pytest

from example_runs import finished
from lewm_evidence.errors import BundleError
from lewm_evidence.pruning import cited_by, judge, remove
from lewm_evidence.records.folder import find_runs
from lewm_evidence.store.retention import Retention


def test_inputs_of_inputs_stay(tmp_path: Path) -> None:
    """One needed run keeps the whole chain that it was made from, and says through whom."""
    first = finished(tmp_path, "collect")
    second = finished(tmp_path, "train", data=first.name)
    third = finished(tmp_path, "showcase", checkpoint=second.name)
    other = finished(tmp_path, "train", config={"other": 1}, data=first.name)
    verdicts = judge(find_runs(tmp_path), {third.name: "I want it"}, Retention(), 0.0)
    assert {verdict.run.name: verdict.reason for verdict in verdicts} == {
        first.name: f"{second.name} was made from it",
        second.name: f"{third.name} was made from it",
        third.name: "I want it",
        other.name: "nothing needs it",
    }
    assert [verdict.run.name for verdict in verdicts if verdict.goes] == [other.name]


def test_a_job_that_begins_meanwhile_keeps_its_run(tmp_path: Path) -> None:
    """Between verdict and removal a job took the lock: the run stays whole, and that is told."""
    run = finished(tmp_path, "collect")
    (run.path / "logs").mkdir(exist_ok=True)
    verdicts = judge(find_runs(tmp_path), {}, Retention(), 0.0)
    assert verdicts[0].goes
    with (run.path / "logs" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (after,) = remove(verdicts)
    assert (after.goes, after.reason) == (False, "a job has begun to make it")
    assert (run.path / "manifest.json").exists()
    assert remove(verdicts)[0].goes and not run.path.exists()


def test_a_link_is_no_run(tmp_path: Path) -> None:
    """What a link leads to may be somebody else's, so it is neither listed nor removed."""
    run = finished(tmp_path / "theirs", "collect")
    (tmp_path / "runs" / "collect").mkdir(parents=True)
    (tmp_path / "runs" / "collect" / run.path.name).symlink_to(run.path)
    assert find_runs(tmp_path / "runs") == []


def test_a_bundle_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    """Nobody knows then which runs it cites."""
    index = tmp_path / "bundle" / "bag" / "data" / "index.json"
    index.parent.mkdir(parents=True)
    index.write_text("{}\n")
    with pytest.raises(BundleError, match=r"index\.json"):
        cited_by([tmp_path / "bundle"])
