"""The whole DAG on a checkpoint of the official architecture from a loopback hub, pinned by the command for it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import Project

import reference
from hub_checkpoints import torch_file
from hub_server import REVISION, Hub, serve
from lewm_evidence.seal.verify import verify

REPO = "someone/lewm-pusht"
SMALL: dict[str, Any] = {
    "showcase": {
        "budget": 10,
        "candidates": 2,
        "latency_repeats": 1,
        "planner": {"num_samples": 16, "iterations": 2, "elites": 4, "horizon": 2, "execute": 1},
    },
    "evaluate": {
        "episodes": 5,
        "budget": 10,
        "bootstrap": 200,
        "planner": {"num_samples": 16, "iterations": 2, "elites": 4, "horizon": 2, "execute": 2},
    },
    # Weights that are random plan no better than none; what counts here is the way through the DAG.
    "gate": {"lewm_minus_random_px": 1000.0, "lewm_minus_noop_px": 1000.0},
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with random weights of the official architecture in the published layout."""
    config = json.dumps(reference.PUBLISHED, indent=4) + "\n"
    files = {"config.json": config.encode(), "weights.pt": torch_file(reference.published_weights())}
    with serve(Hub(REPO, {**files, "README.md": b"---\nlicense: mit\n---\n"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_TOKEN", "hf_a1b2c3d4e5f6")
        yield hub


@pytest.mark.slow
def test_a_pinned_checkpoint_ends_in_a_verified_bundle(hub: Hub, tmp_path: Path) -> None:
    """Pin, `snakemake --cores 2 evidence`, verify; again from the cache alone, with equal results and no request."""
    pinned = tmp_path / "pinned.yaml"
    command = [sys.executable, "-m", "lewm_evidence.cli", "pin", REPO, "--world", "pusht", "--output", str(pinned)]
    assert subprocess.run(command, check=False).returncode == 0
    settings = SMALL | yaml.safe_load(pinned.read_text())
    project = Project(tmp_path / "first", patience=600)
    project.path.mkdir()
    done = project.snakemake("evidence", **settings)
    assert done.returncode == 0, done.stdout
    (bundle,) = (project.path / "evidence").iterdir()
    verified = verify(bundle)
    assert verified.address in done.stdout
    (fetched,) = (project.path / "runs" / "fetch").iterdir()
    provenance = json.loads((fetched / "checkpoint" / "provenance.json").read_text())
    assert (provenance["repo"], provenance["revision"]) == (REPO, REVISION)
    told = [path.read_bytes() for path in project.path.rglob("*") if path.is_file()]
    assert not any(b"hf_a1b2c3d4e5f6" in data or hub.endpoint.encode() in data for data in told)
    hub.requests.clear()
    again = Project(tmp_path / "second", patience=120)
    again.path.mkdir()
    done = again.snakemake("fetch", **settings)
    assert done.returncode == 0, done.stdout
    assert again.keys().items() <= project.keys().items()
    assert hub.requests == []


@pytest.mark.slow
def test_a_checkpoint_without_simulator_ends_in_a_bundle_that_says_what_is_skipped(hub: Hub, tmp_path: Path) -> None:
    """Loaded, encoded, scored, sealed; the last lines name what needs a simulator, and a page tells the same."""
    pinned = tmp_path / "pinned.yaml"
    command = [sys.executable, "-m", "lewm_evidence.cli", "pin", REPO, "--world", "pusht", "--output", str(pinned)]
    assert subprocess.run(command, check=False).returncode == 0
    checkpoint = yaml.safe_load(pinned.read_text())["checkpoint"] | {"world": "reacher"}
    project = Project(tmp_path / "project", patience=300)
    project.path.mkdir()
    done = project.snakemake("evidence", **(SMALL | {"checkpoint": checkpoint}))
    assert done.returncode == 0, done.stdout
    (bundle,) = (project.path / "evidence").iterdir()
    assert {run.split("/")[0] for run in verify(bundle).runs.values()} >= {"fetch", "score", "probe_tensorboard"}
    assert "skipped  evaluate: there is no simulator of reacher here" in done.stdout
    (page,) = bundle.glob("bag/data/runs/report/*/views/report/index.html")
    assert f"report   {page.relative_to(project.path)}" in done.stdout
    told = page.read_text()
    assert "how well it plans was not measured" in told and "the same to the bit" in told
    again = [sys.executable, "-m", "lewm_evidence.cli", "reproduce", str(bundle), "--only", "score"]
    assert "lewm-evidence reproduce . --only score" in told and subprocess.run(again, check=False).returncode == 0
