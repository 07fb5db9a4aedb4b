"""Evidence about the made-up runs, as it lies in a project's folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

import example_runs
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.render import tensorboard
from lewm_evidence.rerun import RerunArtifactLogger, RerunRecordingConfig, RerunSession
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.keys import signing_key
from terminal import write_gate


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with `runs/` and `evidence/`. Read only: every test shares it."""
    project = tmp_path_factory.mktemp("project")
    runs = example_runs.build(project / "runs")
    made = {name: run.name for name, run in runs.items()}
    runs["train"] = example_runs.finished(project / "runs", "train", example_runs.write_train, {"steps": 100})

    def render_tensorboard(run: Run) -> None:
        tensorboard.render(runs.values(), run.path / "views")

    def render_rerun(run: Run) -> None:
        path = run.path / "views" / "results" / "showcase.rrd"
        with RerunSession(RerunRecordingConfig(save_path=path, recording_id="made-up")) as session:
            RerunArtifactLogger(session).log_json("x", {})

    def add(stage: str, write: Callable[[Run], None], **inputs: str) -> FinishedRun:
        runs[stage] = example_runs.finished(project / "runs", stage, write, {}, **inputs)
        return runs[stage]

    add("gate", write_gate, evaluate=made["evaluate"])
    add("render_tensorboard", render_tensorboard, train=runs["train"].name, **made)
    add("render_rerun", render_rerun, showcase=made["showcase"])
    seal = example_runs.finished(project / "runs", "seal", **{name: run.name for name, run in runs.items()})
    key = signing_key(tmp_path_factory.mktemp("keys"), environment={})
    write_bundle(project / "evidence" / seal.path.name, runs, {"schema_version": 1}, [], key)
    return project


@pytest.fixture
def project(evidence: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """That folder as the working folder of a person, whose logs go elsewhere."""
    monkeypatch.chdir(evidence)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return evidence
