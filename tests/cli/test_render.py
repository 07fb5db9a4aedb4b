"""`lewm-evidence render`: every number of a showcase summary is in both artifacts."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rerun.chunk import RrdReader
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from lewm_evidence.cli import main
from lewm_evidence.events import ProviderEvent
from lewm_evidence.probe.rerun import verify
from lewm_evidence.rerun import event_line

TB = "worldforge/leworldmodel"
EVENT = {"provider": "leworldmodel", "operation": "score", "phase": "success", "attempt": 1, "max_attempts": 2}
SUMMARY: dict[str, Any] = {
    "mode": "real_lerobot_policy_plus_real_leworldmodel_score",
    "task": "push the block",
    "bridge": "pusht",
    "checkpoint": "models/pusht/lewm_object.ckpt",
    "checkpoint_display": "pusht/lewm",
    "state_dir": "state",
    "health": {"leworldmodel": {"healthy": True, "latency_ms": 3.25}},
    "runtime_assets": [{"asset_id": "lewm", "size_bytes": 987654}],
    "inputs": {"score_action_candidates_shape": [1, 3, 4, 10], "seed": 7, "use_mask_token": False},
    "plan": {
        "provider": "leworldmodel",
        "planner": "lerobot-leworldmodel-mpc",
        "actions": [{"type": "move_to", "parameters": {"target": {"x": 0.53, "y": 0.61, "z": 0.0}}}],
        "success_probability": 0.125,
    },
    "policy_result": {"action_horizon": 4},
    "score_result": {"scores": [7.5, 6.25, 9.125], "best_index": 1, "best_score": 6.25, "lower_is_better": True},
    "score_stats": {
        **{"score_min": 6.25, "score_max": 9.125, "score_mean": 7.625, "score_median": 7.5, "score_range": 2.875},
        **{"runner_up_index": 0, "runner_up_score": 7.5, "gap_to_runner_up": 1.25},
    },
    "execution": {"final_block_position": {"x": 0.44, "y": 0.58, "z": 0.02}, "step": 5},
    "provider_events": [
        EVENT | {"duration_ms": 17.5, "status_code": 200, "message": "scored token=canary-value-123"},
        EVENT | {"operation": "embed", "phase": "retry", "duration_ms": 2.75},
    ],
    "visualization": {
        "candidate_targets": [{"index": n, "x": 0.5 + n / 10, "y": 0.4, "z": 0.0} for n in range(3)],
        "selected_candidate": 1,
    },
    "metrics": {"plan_latency_ms": 25.5, "total_latency_ms": 931.0},
    "rerun": None,
    "tensorboard": {"log_dir": "logs", "run_name": "baseline", "flush_secs": 30, "events_written": True},
}


def numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], float]]:
    """Yields every numeric leaf with its place."""
    if isinstance(value, bool | int | float):
        yield place, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(inner, (*place, key))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the summary rendered to `logs` and `a.rrd`; read only."""
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "run.json").write_text(json.dumps(SUMMARY))
    places = ["--tensorboard", str(folder / "logs"), "--rerun", str(folder / "a.rrd")]
    assert main(["render", "--summary", str(folder / "run.json"), *places]) == 0
    return folder


@pytest.fixture(scope="module")
def shown(rendered: Path) -> dict[str, list[Any]]:
    """What TensorBoard reads, by tag below the namespace."""
    reader = EventAccumulator(str(rendered / "logs"), size_guidance={"tensors": 0})
    reader.Reload()
    found = {}
    for tag in reader.Tags()["tensors"]:
        values = [tensor_util.make_ndarray(event.tensor_proto) for event in reader.Tensors(tag)]
        found[tag.removeprefix(f"{TB}/")] = [value.item() if value.size == 1 else value for value in values]
    return found


@pytest.fixture(scope="module")
def recorded(rendered: Path) -> dict[tuple[str, str], list[Any]]:
    """What Rerun reads: cells by entity and component."""
    found: dict[tuple[str, str], list[Any]] = {}
    for chunk in RrdReader(rendered / "a.rrd").stream().to_chunks():
        batch = chunk.to_record_batch()
        for name in set(batch.schema.names) - set(chunk.timeline_names):
            cells = [cell for cell in batch.column(name).to_pylist() if cell is not None]
            found.setdefault((chunk.entity_path, name), []).extend(cells)
    return found


def test_every_number_is_in_both_artifacts(
    shown: dict[str, list[Any]], recorded: dict[tuple[str, str], list[Any]]
) -> None:
    """Each numeric leaf is read back, in its place, from the documents of both."""
    wanted = dict(numbers(SUMMARY))
    assert len(wanted) > 50
    panel = shown["robotics_showcase/summary"][0].decode()
    assert dict(numbers(json.loads(panel.strip("`\n")))) == wanted
    (cell,) = recorded["/worldforge/robotics_showcase/summary", "TextDocument:text"]
    assert dict(numbers(json.loads(cell[0]))) == wanted


def test_tensorboard_has_the_scalars(shown: dict[str, list[Any]]) -> None:
    """Scores, statistics, latencies and events are series of their own, with the values of the summary."""
    for number, score in enumerate(SUMMARY["score_result"]["scores"]):
        assert shown[f"scores/candidate_{number:03d}"] == [score]
    statistics = SUMMARY["score_stats"] | SUMMARY["metrics"]
    assert {name: shown[f"metrics/{name}"] for name in statistics} == {n: [v] for n, v in statistics.items()}
    assert shown["scores/best_index"] == [1] and shown["scores/best_score"] == [6.25]
    for event in SUMMARY["provider_events"]:
        place = f"events/{event['provider']}/{event['operation']}"
        for name in ("attempt", "max_attempts", "duration_ms", "status_code"):
            assert shown.get(f"{place}/{name}") == ([event[name]] if name in event else None)
    panel = shown["robotics_showcase/inputs"][0].decode()
    assert dict(numbers(json.loads(panel.strip("`\n")))) == dict(numbers(SUMMARY["inputs"]))


def test_rerun_has_the_scene(recorded: dict[tuple[str, str], list[Any]]) -> None:
    """Score bars and costs, latency bars, candidate targets, the plan and the events are read back."""
    scene = "/worldforge/robotics_showcase"
    assert recorded[f"{scene}/scores/cost_bars", "BarChart:values"][0][0]["buffer"] == [7.5, 6.25, 9.125]
    assert recorded[f"{scene}/scores/candidate_cost", "Scalars:scalars"] == [[7.5], [6.25], [9.125]]
    bars = recorded[f"{scene}/runtime/latency_bars", "BarChart:values"][0][0]["buffer"]
    assert {17.5, 2.75, 25.5, 931.0} == set(bars)
    points = recorded[f"{scene}/tabletop/points", "Points3D:positions"][0]
    for target in SUMMARY["visualization"]["candidate_targets"]:
        assert any(math.dist(point, [target["x"], target["y"], target["z"]]) < 1e-6 for point in points)
    event = "/worldforge/events/leworldmodel/score/success"
    assert recorded[f"{event}/duration_ms", "Scalars:scalars"] == [[17.5]]
    plan = "/worldforge/plans/leworldmodel/lerobot-leworldmodel-mpc/0"
    assert recorded[f"{plan}/success_probability", "Scalars:scalars"] == [[0.125]]


def test_rerun_accepts_the_recording_and_no_secret_is_in_a_file(rendered: Path, tmp_path: Path) -> None:
    """Rerun's own check passes; the token of an event's message is in neither file, harmless keys stay."""
    verify(rendered / "a.rrd", tmp_path)
    files = [rendered / "a.rrd", *(rendered / "logs").iterdir()]
    assert len(files) == 2
    for file in files:
        assert b"canary-value-123" not in file.read_bytes()
        assert b"use_mask_token" in file.read_bytes()


@pytest.mark.parametrize(
    ("content", "places", "sentence"),
    [
        ("{}", ["--rerun", "a.rrd"], "is not the summary of a showcase"),
        ("[1]", ["--rerun", "a.rrd"], "is not the summary of a showcase"),
        ("not json", ["--rerun", "a.rrd"], "is not JSON"),
        (json.dumps(SUMMARY), [], "where shall it write?"),
        (json.dumps(SUMMARY), ["--tensorboard", "used"], "holds event files already"),
        (None, ["--rerun", "a.rrd"], "No such file"),
    ],
)
def test_what_cannot_be_rendered_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    places: list[str],
    sentence: str,
) -> None:
    """Exit status 2, a sentence, and nothing written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "events.out.tfevents.1").touch()
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    assert main(["render", "--summary", "run.json", *places]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "a.rrd").exists()


def test_odd_summaries_are_rendered_as_far_as_they_go(tmp_path: Path) -> None:
    """Names that are numbers or lists, a plan without a list, a folder whose name is not UTF-8: nothing is lost."""
    event = EVENT | {"run_id": [1], "request_id": 7, "target": 8, "sequence": 0, "input_digest": float("nan")}
    odd = SUMMARY | {"provider_events": [event], "plan": {"provider": "p", "planner": "q", "actions": 7}}
    (tmp_path / "odd.json").write_text(json.dumps(odd))
    logs = tmp_path / os.fsdecode(b"logs-\xff")
    words = ["render", "--summary", str(tmp_path / "odd.json"), "--tensorboard", str(logs)]
    assert main([*words, "--rerun", str(tmp_path / "odd.rrd")]) == 0
    assert len(list(logs.glob("*tfevents*"))) == 1
    lines = [event_line(ProviderEvent.of(event)), json.dumps(ProviderEvent.of(event).to_dict(), allow_nan=False)]
    assert "leworldmodel score success" in lines[0] and lines[0].endswith("8")
    assert '"run_id": "[1]"' in lines[1] and '"request_id": "7"' in lines[1]


@pytest.mark.parametrize(
    "words",
    [["render", "--summary", "summary.json", "--rerun"], ["showcase", "--json-output"], ["showcase", "--rerun-output"]],
)
def test_only_a_file_is_replaced(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a folder nor, for root, a device gives way to an output; that is said before any work is done."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        assert main([*words, name]) == 2
        assert f"{name} is there and is not a file" in capsys.readouterr().err
    assert (tmp_path / "pipe").is_fifo() and {path.name for path in tmp_path.iterdir()} == {
        "folder",
        "pipe",
        "summary.json",
    }
