"""Comparing a run directory with its manifest."""

import os
import shutil
from pathlib import Path

import pytest

from lewm_evidence.errors import BundleError, EvidenceError
from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.runs import check_run


@pytest.fixture
def run(examples: dict[str, FinishedRun], tmp_path: Path) -> Path:
    """A copy of the made-up showcase run."""
    path = tmp_path / examples["showcase"].name
    shutil.copytree(examples["showcase"].path, path)
    return path


def test_every_file_of_a_run_counts(run: Path) -> None:
    """One changed byte in any file of the run, manifest included, is found, and the file is named."""
    for path in [path for path in sorted(run.rglob("*")) if path.is_file()]:
        check_run(run)
        good = path.read_bytes()
        # A byte of the manifest that no check could miss: its result digest.
        place = good.index(b'"result_digest": "') + 20 if path.name == "manifest.json" else len(good) // 2
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(EvidenceError, match=path.name):
            check_run(run)
        path.write_bytes(good)


def test_local_files_are_not_part_of_the_run(run: Path) -> None:
    """What lies below `logs/` may come, go and change."""
    (run / "logs").mkdir()
    (run / "logs" / "console.log").write_text("again")
    assert check_run(run).key == run.name


def test_works_with_a_relative_path(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's name comes from where it lies, however it is written."""
    monkeypatch.chdir(run.parent)
    assert check_run(Path(run.name)).key == run.name
    monkeypatch.chdir(run)
    assert check_run(Path(os.curdir)).key == run.name


def test_a_run_without_manifest_is_not_finished(run: Path) -> None:
    """A missing manifest is told in a sentence."""
    (run / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"manifest\.json: is missing; is the run finished"):
        check_run(run)
