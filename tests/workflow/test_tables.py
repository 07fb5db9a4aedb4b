"""The paper's tables on small numbers, by the real Snakemake, into a real bundle."""

import json
from pathlib import Path

import pytest
from project import Project

from lewm_evidence.seal.verify import verify

TABLES = {
    "sealed": True,
    "bootstrap": 200,
    "planner": {"num_samples": 32, "iterations": 2, "elites": 8},
    "oracle": {"num_samples": 8, "iterations": 2, "elites": 4},
    "starts": {"episodes": 5, "pool": 12, "pool_steps": 60},
    "probing": {"episodes": 12, "mlp_epochs": 3},
    "surprise": {"episodes": 6, "before": 4, "after": 3},
}


@pytest.mark.slow
def test_sealed_tables_reach_report_tensorboard_and_bundle(tmp_path: Path) -> None:
    """One call: the table is measured, shown by the real viewer, told in the report, and sealed."""
    project = Project(tmp_path, patience=900)
    done = project.snakemake("evidence", tables=TABLES)
    assert done.returncode == 0, done.stdout
    (bundle,) = (project.path / "evidence").iterdir()
    verify(bundle)
    (page,) = bundle.glob("bag/data/runs/report/*/views/report/index.html")
    assert "Beside the paper" in page.read_text() and "96.0 ± 2.83" in page.read_text()
    assert list(bundle.glob("bag/data/runs/tables/*/views/results/tables.md"))
    (records,) = project.path.glob("runs/render_tensorboard/*/records.jsonl")
    shown = {json.loads(line)["fields"]["series"] for line in records.read_text().splitlines()}
    assert {"tables/success/lewm", "probing/lewm/linear/agent_position/mse", "surprise/teleport/curve"} <= shown
    assert project.jobs("evidence", tables=TABLES) == set()
