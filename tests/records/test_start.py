"""A stage as a program of its own, started and heard."""

from pathlib import Path

from lewm_evidence.records.schema import Spec
from lewm_evidence.records.start import start_stage


def spec(stage: str, **config: object) -> Spec:
    """Returns a spec without code or packages, which the started stage does not look at."""
    return Spec(stage=stage, config=config, code="", packages={}, device=None, precision=None, inputs={})


def test_what_it_says_is_told_and_kept(tmp_path: Path) -> None:
    """The shipped checkpoint is fetched; every line is told in order and lies in the log."""
    told: list[str] = []
    wanted = spec("fetch", source="embedded", name="pusht")
    assert start_stage(wanted, tmp_path / "runs", tmp_path / "logs" / "log", told.append) is None
    assert told[0] == "taking the checkpoint pusht that ships in the package" and "done, result" in told[-1]
    assert (tmp_path / "logs" / "log").read_text().splitlines() == told
    assert len(list((tmp_path / "runs").glob("fetch/*/manifest.json"))) == 1


def test_a_failure_is_its_status_and_last_lines(tmp_path: Path) -> None:
    """A stage that lacks an input says so; one that is not there is Python's own words."""
    told: list[str] = []
    failure = start_stage(spec("gate"), tmp_path / "runs", tmp_path / "log", told.append)
    assert failure is not None and failure.startswith("exit status 1: ") and "no input 'evaluate'" in failure
    assert told and told[-1] in failure
    failure = start_stage(spec("levitate"), tmp_path / "runs", tmp_path / "log", told.append)
    assert failure is not None and "No module named lewm_evidence.stages.levitate" in failure
