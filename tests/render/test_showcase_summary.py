"""The showcase in the shape of WorldForge's summary, which both bridges take."""

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from example_runs import DECISIONS, build, finished
from lewm_evidence.cli import main
from lewm_evidence.probe.rerun import read
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.render.showcase_summary import showcase_summary


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FinishedRun]:
    """A showcase with its checkpoint and the probes of two rendered views."""
    folder = tmp_path_factory.mktemp("summary") / "runs"
    made = build(folder)

    def recording(out: Run) -> None:
        (out.path / "views" / "results").mkdir(parents=True)
        (out.path / "views" / "results" / "showcase.rrd").write_bytes(b"RRF2 and so on")

    rerun = finished(folder, "render_rerun", recording)
    return {
        "showcase": made["showcase"],
        "checkpoint": made["fetch"],
        "probe_rerun": finished(folder, "probe_rerun", render=rerun.name),
        "probe_tensorboard": finished(folder, "probe_tensorboard", render="render_tensorboard/0123"),
    }


def test_the_blocks_name_both_views(runs: dict[str, FinishedRun]) -> None:
    """Where TensorBoard's log directory and the recording are; nothing where they were not made."""
    summary = showcase_summary(runs)
    assert summary["tensorboard"] == {
        "log_dir": "runs/render_tensorboard/0123/views",
        "run_name": "results/showcase",
        "flush_secs": None,
        "events_written": True,
    }
    assert summary["rerun"]["save_path"].endswith("/views/results/showcase.rrd")
    assert summary["rerun"]["recording_size_bytes"] == len(b"RRF2 and so on")
    without = runs | dict.fromkeys(("probe_rerun", "probe_tensorboard"), runs["showcase"])
    assert showcase_summary(without)["rerun"] is showcase_summary(without)["tensorboard"] is None


def test_numbers_are_those_of_the_records(runs: dict[str, FinishedRun]) -> None:
    """Scores and their statistics are the first decision's, latencies the machine's, events one stream."""
    summary = showcase_summary(runs)
    costs = runs["showcase"].arrays("arrays/showcase/decision/00000.safetensors")["candidate_costs"]
    result, stats = summary["score_result"], summary["score_stats"]
    assert result["scores"] == costs.tolist() and result["best_index"] == costs.argmin()
    assert stats["gap_to_runner_up"] == pytest.approx(stats["runner_up_score"] - costs.min())
    assert costs[stats["runner_up_index"]] == stats["runner_up_score"]
    assert summary["metrics"] == {"plan_latency_ms": pytest.approx(220.0), "total_latency_ms": 1500.0}
    assert [event["sequence"] for event in summary["provider_events"]] == list(range(2 * DECISIONS))
    assert {event["operation"] for event in summary["provider_events"]} == {"plan", "execute"}
    assert all(0 <= summary["execution"]["final_block_position"][axis] <= 1 for axis in "xy")


def test_both_bridges_take_it(runs: dict[str, FinishedRun], tmp_path: Path) -> None:
    """`render --summary` shows each event once in each viewer."""
    (tmp_path / "run.json").write_text(json.dumps(showcase_summary(runs)))
    places = ["--tensorboard", str(tmp_path / "logs"), "--rerun", str(tmp_path / "a.rrd")]
    assert main(["render", "--summary", str(tmp_path / "run.json"), *places]) == 0
    reader = EventAccumulator(str(tmp_path / "logs"), size_guidance={"tensors": 0})
    reader.Reload()
    logged = reader.Tensors("worldforge/leworldmodel/events/lewm-evidence/plan/duration_ms")
    found = read(tmp_path / "a.rrd")
    recorded = found["/worldforge/events/lewm-evidence/plan/success/duration_ms", "Scalars:scalars"]
    assert [event.step for event in logged] == [0, 2, 4]
    assert [point.times["worldforge_event"] for point in recorded] == [0, 2, 4]
