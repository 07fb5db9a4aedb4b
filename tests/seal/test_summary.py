"""The commands at the end of a summary work where they are copied."""

import sys
from pathlib import Path

import pytest

import example_runs
from lewm_evidence.records import Run
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.summary import summary


def checks(run: Run) -> None:
    """Writes what `gate` records of one check."""
    run.event("gate/check", 0, name="final error", value=-3.25, bound=0.0, passed=True)


def test_what_holds_is_told_with_its_bound(tmp_path: Path) -> None:
    """As the gate recorded it."""
    gate = example_runs.finished(tmp_path / "runs", "gate", checks)
    write_bundle(tmp_path / "0123456789abcdef0123", {"gate": gate}, {})
    assert "holds    final error: -3.2 px, below 0.0 px" in summary(tmp_path / "0123456789abcdef0123")


def test_the_program_is_named_as_a_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name when it is on the PATH, else by the shortest place from here."""
    gate = example_runs.finished(tmp_path / "runs", "gate", checks)
    bundle = tmp_path / "0123456789abcdef0123"
    write_bundle(bundle, {"gate": gate}, {})
    place = tmp_path / "my venv" / "bin" / "lewm-evidence"
    place.parent.mkdir(parents=True)
    place.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(place.with_name("python")))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    assert summary(Path(bundle.name))[-1] == f"check    'my venv/bin/lewm-evidence' verify {bundle.name}"
    monkeypatch.chdir(tmp_path / "runs")
    assert summary(bundle)[-1] == f"check    '{place}' verify {bundle}"
    monkeypatch.setenv("PATH", str(place.parent))
    assert summary(bundle)[-1] == f"check    lewm-evidence verify {bundle}"
