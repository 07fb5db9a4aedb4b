"""Verdicts on runs, and removing them while others work."""

import fcntl
import os
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from example_runs import finished, open_run
from lewm_evidence.config import Config
from lewm_evidence.errors import BundleError
from lewm_evidence.keys import device_class
from lewm_evidence.plan import plan
from lewm_evidence.pruning import cited_by, judge, planned_by, remove
from lewm_evidence.records.folder import find_runs
from lewm_evidence.store.retention import Retention

KEY = "0123456789abcdef0123"


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
    """Between verdict and removal a job took the lock: the run stays whole with its inputs, and that is told."""
    first = finished(tmp_path, "collect")
    run = finished(tmp_path, "train", data=first.name)
    lock = run.path / "logs" / "lock"
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    verdicts = judge(find_runs(tmp_path), {}, Retention(), 0.0)
    assert all(verdict.goes for verdict in verdicts)
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        after = remove(verdicts)
    assert {verdict.run.name: verdict.reason for verdict in after if not verdict.goes} == {
        run.name: "a job has begun to make it",
        first.name: f"{run.name} was made from it",
    }
    assert (run.path / "manifest.json").exists() and (first.path / "manifest.json").exists()
    assert all(verdict.goes for verdict in remove(verdicts))
    assert not list(tmp_path.glob("*/*"))


def test_what_a_job_made_meanwhile_stays(tmp_path: Path) -> None:
    """A run that was left behind is finished between verdict and removal: it is not what was judged, so it stays."""
    run = open_run(tmp_path, "collect")
    verdicts = judge(find_runs(tmp_path), {}, Retention(), 0.0)
    assert verdicts[0].goes and verdicts[0].run.state == "unfinished"
    run.finish({})
    (after,) = remove(verdicts)
    assert (after.goes, after.reason) == (False, "it has changed since it was looked at")
    assert (run.path / "manifest.json").exists()


def test_two_calls_at_once_remove_everything(tmp_path: Path) -> None:
    """What another call has removed meanwhile is gone; that is no reason for its inputs to stay."""
    first = finished(tmp_path, "collect")
    second = finished(tmp_path, "train", data=first.name)
    verdicts = judge(find_runs(tmp_path), {}, Retention(), 0.0)
    shutil.rmtree(second.path)
    assert all(verdict.goes for verdict in remove(verdicts))
    assert not list(tmp_path.glob("*/*"))


def test_users_go_before_what_they_were_made_from(tmp_path: Path) -> None:
    """One that cannot be removed keeps its inputs, whichever is younger; what an earlier call left goes."""
    first = finished(tmp_path, "collect")
    second = finished(tmp_path, "train", data=first.name)
    os.utime(second.path / "spec.json", (0, 0))
    for path in second.path.iterdir():
        os.utime(path, (0, 0))
    verdicts = judge(find_runs(tmp_path), {}, Retention(), 0.0)
    left = tmp_path / "collect" / ".pruned-x" / "0"
    left.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as broken:
        # What a file system says of a folder that another machine still uses; root may remove anything else.
        broken.setattr(Path, "rename", lambda *_: (tmp_path / "not there").stat())
        after = remove(verdicts)
    assert [verdict.reason for verdict in after] == [
        f"{second.name} was made from it",
        "it cannot be removed: No such file or directory",
    ]
    assert first.path.is_dir() and second.path.is_dir() and not left.exists()


def test_a_copy_under_another_name_is_no_run(tmp_path: Path) -> None:
    """What lies beside the runs, such as a copy that somebody keeps, is listed as unreadable and stays."""
    run = finished(tmp_path, "collect")
    shutil.copytree(run.path, tmp_path / "kept" / run.path.name)
    shutil.copytree(run.path, tmp_path / "collect" / KEY)
    verdicts = {one.run.name: one for one in judge(find_runs(tmp_path), {}, Retention(), 0.0)}
    assert {name: one.goes for name, one in verdicts.items()} == {
        run.name: True,
        f"kept/{run.path.name}": False,
        f"collect/{KEY}": False,
    }
    assert "cannot be read as a run of this name" in verdicts[f"collect/{KEY}"].reason


def test_runs_of_either_device_are_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the device is chosen by itself, what a CPU and what a GPU would make stays, whichever this machine has."""
    installed = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: installed(name).removesuffix("+cpu"))  # a CUDA build's name
    device_class.cache_clear()
    (tmp_path / "config.yaml").write_text("device: auto\nsmoke: null\n")
    planned = planned_by(tmp_path / "config.yaml", tmp_path / "runs")
    runs = [plan(Config(device=device, smoke=None))["showcase"] for device in ("cpu", "cuda")]
    device_class.cache_clear()
    assert runs[0].name != runs[1].name and {run.name for run in runs} <= planned.keys()


def test_a_bundle_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    """Nobody knows then which runs it cites."""
    index = tmp_path / "bundle" / "bag" / "data" / "index.json"
    index.parent.mkdir(parents=True)
    index.write_text("{}\n")
    with pytest.raises(BundleError, match=r"index\.json"):
        cited_by([tmp_path / "bundle"])
