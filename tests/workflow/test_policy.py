"""A LeRobot policy for real: repaired, asked for proposals, scored by the world model, sealed."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project import Project

import lewm_evidence.workers
import stage_runs
from lewm_evidence.errors import StageError
from lewm_evidence.plan_workers import torch_build
from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.verify import verify
from lewm_evidence.stages import convert_policy, fetch_policy
from lewm_evidence.workers import environment

pytestmark = pytest.mark.workers

ROOT = Path(__file__).parents[2]
MAKER = ROOT / "tests" / "workers" / "make_policies.py"
ADAPTERS = Path(lewm_evidence.workers.__path__[0]) / "adapters"
SETTINGS = {"samples": 4, "episodes": 5, "budget": 20, "bootstrap": 200, "planner": stage_runs.PLANNER}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder with a small untrained policy as `policies/{new,old,broken}`, the old one compared and sealed."""
    made = Project(tmp_path_factory.mktemp("policy"), patience=900)
    needed = environment.worker_environment("lerobot", torch_build(), ROOT / environment.LOCKS)
    folder = environment.make(needed, made.path / environment.ENVIRONMENTS)
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [folder / "bin/python", MAKER, made.path / "policies", ADAPTERS]
    subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)
    done = made.snakemake("workers", **configured(made))
    assert done.returncode == 0, done.stdout[-4000:]
    return made


def configured(project: Project) -> dict[str, Any]:
    """Returns the changes of the configuration that ask for the comparison alone."""
    return {"workers": [], "policy": {**SETTINGS, "source": source(project, "old")}}


def made_by(project: Project, stage: str) -> FinishedRun:
    """Returns the run that the workflow made of a stage."""
    (run,) = (FinishedRun(path.parent) for path in project.path.glob(f"runs/{stage}/*/manifest.json"))
    return run


def source(project: Project, kind: str) -> dict[str, Any]:
    """Returns `policy.source` of one of the policies."""
    files = sorted((project.path / "policies" / kind).iterdir())
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {"folder": f"policies/{kind}", "files": digests}


def convert(project: Project, kind: str) -> FinishedRun:
    """Fetches and converts one of the policies, in the project's folder but apart from the workflow's runs."""
    runs = Path("apart")
    fetched = stage_runs.run_stage(runs, "fetch_policy", fetch_policy.run, source(project, kind))
    name = environment.worker_environment("lerobot", torch_build(), ROOT / environment.LOCKS).name
    asked = {"environment": name, "time_limit": 300}
    return stage_runs.run_stage(runs, "convert_policy", convert_policy.run, asked, policy=fetched)


def test_old_and_new_format_become_the_same_policy(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights to the byte and the same normalisation; its middle is that of the data, not zero."""
    monkeypatch.chdir(project.path)
    runs = {"old": made_by(project, "convert_policy"), "new": convert(project, "new")}
    abouts = {kind: dict(run.events("policy/about")[0].fields) for kind, run in runs.items()}
    assert {kind: about.pop("format") for kind, about in abouts.items()} == {"old": "old", "new": "new"}
    assert abouts["old"] == abouts["new"]
    assert (abouts["old"]["action_at_zero_x"], abouts["old"]["action_at_zero_y"]) == (261.5, 265.0)
    files = {kind: [dict(event.fields) for event in run.events("policy/file")] for kind, run in runs.items()}
    assert files["old"] == files["new"]
    assert {str(file["name"]) for file in files["old"]} == set(source(project, "new")["files"])
    arrays = {kind: run.arrays("arrays/policy/statistics/00000.safetensors") for kind, run in runs.items()}
    assert set(arrays["old"]) == set(arrays["new"]) and "observation.image.std" in arrays["old"]
    assert all(np.array_equal(arrays["old"][name], value) for name, value in arrays["new"].items())


def test_a_policy_without_statistics_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """LeRobot itself loads it and acts blindly."""
    monkeypatch.chdir(project.path)
    with pytest.raises(StageError, match=r"holds no statistics for observation\.image"):
        convert(project, "broken")


def test_missing_weights_are_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that do not fit the network are never taken in part."""
    monkeypatch.chdir(project.path)
    config = project.path / "policies" / "old" / "config.json"
    altered = project.path / "policies" / "altered"
    altered.mkdir()
    (altered / "config.json").write_text(config.read_text().replace("        32\n", "        48\n"))
    os.link(project.path / "policies" / "old" / "model.safetensors", altered / "model.safetensors")
    with pytest.raises(StageError, match=r"failed \(RuntimeError: Error.* loading state_dict"):
        convert(project, "altered")


def test_the_comparison_is_made_sealed_and_repeats(project: Project) -> None:
    """All methods on the same starts, the cheapest proposal wins, nothing of the policy's weights is sealed."""
    made = made_by(project, "policy")
    for method in ("cem", "policy", "proposals"):
        assert len(made.scalars(f"policy/{method}/final_error_px")) == 5
        assert made.last(f"policy/{method}/success_rate_low") <= made.last(f"policy/{method}/success_rate_high")
    for episode in range(5):
        decisions = made.arrays(f"arrays/policy/decisions/{episode:05d}.safetensors")
        assert decisions["costs"].shape[1] == 4
        assert np.array_equal(decisions["costs"].argmin(axis=1), decisions["winner"])
        assert (decisions["costs"].std(axis=1) > 0).all()
    difference = [
        made.scalars("policy/proposals/final_error_px")[step] - made.scalars("policy/cem/final_error_px")[step]
        for step in range(5)
    ]
    assert made.scalars("policy/proposals_minus_cem/final_error_px")[0] == pytest.approx(np.mean(difference))
    (bundle,) = (path.parent for path in project.path.glob("evidence/*/bundle.json"))
    verify(bundle)
    held = [str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()]
    assert any("policy/" in name and name.endswith("records.jsonl") for name in held)
    assert not any("model.safetensors" in name and "policy" in name for name in held)
    digest = made.manifest.result_digest
    (made.path / "manifest.json").unlink()
    again = project.snakemake(f"runs/{made.name}/manifest.json", **configured(project))
    assert again.returncode == 0, again.stdout[-4000:]
    assert FinishedRun(made.path).manifest.result_digest == digest
