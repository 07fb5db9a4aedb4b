"""The programs that pages show do what the pages say of them; `test_commands` runs the others as they stand."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lewm_evidence.workers.contract import run_worker
from lewm_evidence.workers.native import common_rows
from lewm_evidence.worlds import conformance
from pages import ROOT, blocks


def programs(page: str) -> list[str]:
    """Returns the blocks of Python on a page."""
    return [block.text for block in blocks("python") if block.page == page]


@pytest.mark.parametrize("promise", conformance.PROMISES, ids=lambda promise: promise.__name__)
def test_the_world_shown_keeps_every_promise(promise: Callable[[Any], None]) -> None:
    """The example of a world of one's own in docs/worlds.md is complete and right."""
    names: dict[str, Any] = {}
    exec(programs("worlds.md")[0], names)
    promise(names["Slide"])


def test_the_loggers_shown_write_what_the_tables_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of docs/tensorboard.md, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for program in programs("tensorboard.md"):
        exec(program, {})
    tags = EventAccumulator(str(tmp_path / ".lewm-evidence/tensorboard/baseline")).Reload().Tags()["tensors"]
    assert "worldforge/leworldmodel/events/hub/fetch/duration_ms" in tags and len(tags) > 15
    run = tmp_path / "output" / "ppo-CartPole-v1-seed13-first"
    assert sorted(path.name for path in run.iterdir()) == ["config.json", "metrics.jsonl", "tensorboard"]


def test_the_worker_shown_works(tmp_path: Path) -> None:
    """The adapter in docs/workers.md keeps the contract, and its curves are found."""
    (adapter,) = programs("workers.md")
    shutil.copy(ROOT / "src/lewm_evidence/workers/adapters/telemetry.py", tmp_path)
    (tmp_path / "toy_worker.py").write_text(adapter)
    config = {"algo": "ppo", "env_id": "none", "seed": 0, "total_timesteps": 300, "hyperparameters": {}}
    told = run_worker([sys.executable, tmp_path / "toy_worker.py"], "RUN", config, tmp_path / "logs", 1, 60)
    rows = common_rows(tmp_path / "logs/native", told.sources)
    assert [(row.step, row.value) for row in rows if row.tag == "charts/episodic_return"] == [
        (0, 0),
        (100, 10),
        (200, 20),
    ]
    assert {row.value for row in rows if row.tag == "losses/entropy"} == {1.0}
