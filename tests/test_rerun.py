"""The Rerun bridge, read back with Rerun's own reader."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from rerun.chunk import RrdReader

from lewm_evidence import rerun as bridge
from lewm_evidence import viewer, worlds
from lewm_evidence.cli import main
from lewm_evidence.errors import ConfigError, InputError, ProbeError, StageError
from lewm_evidence.events import EventStream
from lewm_evidence.planning import CEM
from lewm_evidence.rerun import (
    RerunArtifactLogger,
    RerunEventSink,
    RerunRecordingConfig,
    RerunSession,
    create_rerun_event_handler,
)

ROOT = Path(__file__).parents[1]
CANARY = "c4n4ryV4lue9"
CLOCK = {"log_time", "log_tick"}


class Row(NamedTuple):
    """A row read back: where it lies, and its components by name."""

    times: dict[str, int]
    cells: dict[str, Any]


def read(path: Path) -> dict[str, list[Row]]:
    """Returns the rows of a recording by entity path, in order of their index."""
    found: dict[str, list[Row]] = defaultdict(list)
    for chunk in RrdReader(path).stream().to_chunks():
        batch = chunk.to_record_batch()
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names if name not in CLOCK}
        for row in range(batch.num_rows):
            times = {name: columns[name][row] for name in chunk.timeline_names if name not in CLOCK}
            cells = {name: values[row] for name, values in columns.items() if name not in chunk.timeline_names}
            found[chunk.entity_path].append(Row(times, cells))
    return {name: sorted(rows, key=lambda row: sorted(row.times.items())) for name, rows in found.items()}


def texts(rows: list[Row], kind: str = "TextDocument") -> list[str]:
    """Returns the texts of rows."""
    return [row.cells[f"{kind}:text"][0] for row in rows]


def scalars(rows: list[Row]) -> list[float]:
    """Returns the numbers of rows."""
    return [row.cells["Scalars:scalars"][0] for row in rows]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RerunSession]:
    """A session that writes to `recording(session)`."""
    with RerunSession(RerunRecordingConfig(save_path=tmp_path / "deep" / "run.rrd")) as session:
        yield session


def recording(session: RerunSession) -> dict[str, list[Row]]:
    """Returns what the session recorded, once closed."""
    session.close()
    return read(Path(str(session.config.save_path)))


def test_an_event_is_a_log_a_payload_and_scalars(session: RerunSession) -> None:
    """Each event lies at its number on worldforge_event, with log level, JSON and all its numbers."""
    sink = RerunEventSink(session=session, extra_fields={"lab": "x"})
    for attempt, phase in enumerate(("retry", "retry", "success"), 1):
        # The shape of WorldForge's events.
        sink({"provider": "a b", "operation": "predict", "phase": phase, "attempt": attempt, "max_attempts": 3})
    sink({"provider": "a b", "operation": "predict", "phase": "failure", "duration_ms": 2.5, "status_code": 503})
    found = recording(session)
    base = "/worldforge/events/a_b/predict"
    assert [row.times for row in found[f"{base}/retry/log"]] == [{"worldforge_event": 0}, {"worldforge_event": 1}]
    assert scalars(found[f"{base}/retry/attempt"]) == [1.0, 2.0]
    assert scalars(found[f"{base}/retry/retry"]) == [1.0, 1.0]
    assert scalars(found[f"{base}/success/failure"]) == [0.0]
    assert found[f"{base}/failure/duration_ms"] == [
        Row({"worldforge_event": 3}, found[f"{base}/failure/duration_ms"][0].cells)
    ]
    assert scalars(found[f"{base}/failure/duration_ms"]) == [2.5]
    assert scalars(found[f"{base}/failure/status_code"]) == [503.0]
    levels = [found[f"{base}/{phase}/log"][0].cells["TextLog:level"][0] for phase in ("success", "retry", "failure")]
    assert levels == ["INFO", "WARN", "ERROR"]
    payload = json.loads(texts(found[f"{base}/failure/payload"])[0])
    assert (payload["status_code"], payload["sequence"], payload["lab"]) == (503, 3, "x")
    assert texts(found[f"{base}/failure/log"], "TextLog") == ["a b predict failure, 2.5 ms, status 503"]


def test_a_stream_keeps_its_numbers(session: RerunSession) -> None:
    """Events that another bridge sees too have the same number here."""
    heard: list[Any] = []
    stream = EventStream([heard.append, RerunEventSink(session)])
    for operation in ("embed", "predict"):
        stream({"provider": "mock", "operation": operation, "phase": "success"})
    found = recording(session)
    assert [row.times for row in found["/worldforge/events/mock/predict/success/log"]] == [{"worldforge_event": 1}]
    assert len(found["/worldforge/events/mock/predict/success/payload"]) == 1


def test_secrets_do_not_reach_the_file(session: RerunSession) -> None:
    """Targets, messages, metadata, worlds, plans and JSON are sanitised before they are written."""
    text = f"token={CANARY} https://u:{CANARY}@h.example/x?sig={CANARY}"
    event = {"provider": "mock", "operation": "predict", "phase": "success", "message": text, "target": text}
    RerunEventSink(session)(event | {"metadata": {"password": CANARY, "use_mask_token": False}})
    artifacts = RerunArtifactLogger(session)
    artifacts.log_json("notes", {"api_key": CANARY, "url": text, "tokenizer": "bert"})
    artifacts.log_world({"id": "w", "metadata": {"secret": CANARY}}, label=text)
    artifacts.log_plan({"provider": "p", "planner": "q", "goal": text}, label=text)
    found = recording(session)
    assert CANARY not in Path(str(session.config.save_path)).read_bytes().decode("latin-1")
    assert CANARY not in repr(found)
    assert json.loads(texts(found["/worldforge/notes"])[0])["tokenizer"] == "bert"
    assert '"use_mask_token": false' in texts(found["/worldforge/events/mock/predict/success/payload"])[0]


def snapshot(step: int, x: float) -> dict[str, Any]:
    """Returns a world in the shape of WorldForge's."""
    box = {"min": {"x": x - 0.05, "y": 0.4, "z": 0.0}, "max": {"x": x + 0.05, "y": 0.6, "z": 0.1}}
    cube = {"id": "obj_1", "name": "cube", "pose": {"position": {"x": x, "y": 0.5, "z": 0.0}}, "bbox": box}
    return {"id": "world_1", "name": "lab", "step": step, "scene": {"objects": {"obj_1": cube}}}


def test_a_world_is_a_state_points_and_boxes(session: RerunSession) -> None:
    """Snapshots lie at the world's own step, and on no other timeline."""
    artifacts = RerunArtifactLogger(session=session)
    artifacts.log_world(snapshot(0, 0.0), label="before")
    artifacts.log_world(snapshot(4, 0.25), label="after prediction")
    artifacts.log_world({"id": "world_1", "step": 5, "scene": {"objects": {}}})
    found = recording(session)
    base = "/worldforge/worlds/world_1"
    assert [row.times for row in found[f"{base}/state"]] == [{"worldforge_step": step} for step in (0, 4, 5)]
    assert json.loads(texts(found[f"{base}/state"])[1]) == snapshot(4, 0.25)
    assert texts(found[f"{base}/label"], "TextLog") == ["before", "after prediction"]
    points = [row.cells["Points3D:positions"] for row in found[f"{base}/objects"]]
    assert points == [[[0.0, 0.5, 0.0]], [[0.25, 0.5, 0.0]], []]
    boxes = found[f"{base}/object_boxes"][1].cells
    assert np.allclose(boxes["Boxes3D:centers"], [[0.25, 0.5, 0.05]])
    assert np.allclose(boxes["Boxes3D:half_sizes"], [[0.05, 0.1, 0.05]])
    assert scalars(found[f"{base}/object_count"]) == [1.0, 1.0, 0.0]


def test_our_own_world_gives_the_same_tree(session: RerunSession) -> None:
    """PushT's agent and block are objects; steps count when a world names none."""
    world = worlds.make("pusht")
    artifacts = RerunArtifactLogger(session)
    world.reset(3)
    artifacts.log_world(world)
    world.step(np.array([1.0, 0.0]))
    artifacts.log_world(world)
    found = recording(session)
    base = "/worldforge/worlds/pusht"
    assert [row.times["worldforge_step"] for row in found[f"{base}/objects"]] == [0, 1]
    (agent, block) = found[f"{base}/objects"][1].cells["Points3D:positions"]
    state = dict(zip(world.state_names, world.state, strict=True))
    assert np.allclose(agent[:2], [state["agent_x"], state["agent_y"]])
    assert np.allclose(block[:2], [state["block_x"], state["block_y"]])
    half = found[f"{base}/object_boxes"][1].cells["Boxes3D:half_sizes"]
    assert min(half[1][:2]) > 30  # the tee, in pixels


def test_a_plan_is_a_payload_scalars_and_targets(session: RerunSession) -> None:
    """Plans count on worldforge_plan; actions that move somewhere are marked there."""
    move = {"type": "move_to", "parameters": {"target": {"x": 0.3, "y": 0.5, "z": 0.0}}}
    plan = {"provider": "mock", "planner": "cem", "actions": [{"type": "noop"}, move], "success_probability": 0.75}
    artifacts = RerunArtifactLogger(session)
    artifacts.log_plan({"provider": "x", "planner": "y", "actions": []})
    artifacts.log_plan(plan)
    found = recording(session)
    base = "/worldforge/plans/mock/cem/1"
    assert json.loads(texts(found[f"{base}/payload"])[0]) == plan
    assert scalars(found[f"{base}/action_count"]) == [2.0]
    assert scalars(found[f"{base}/success_probability"]) == [0.75]
    assert np.allclose(found[f"{base}/action_targets"][0].cells["Points3D:positions"], [[0.3, 0.5, 0.0]])
    assert {name for rows in found.values() for row in rows for name in row.times} == {"worldforge_plan"}
    assert "/worldforge/plans/x/y/0/action_targets" not in found


def test_our_own_plan_gives_the_same_tree(session: RerunSession) -> None:
    """What CEM returns has a cost instead of a probability; where its actions lead is given along."""

    class Model:
        config = type("Config", (), {"action_block_dim": 4})()
        device = torch.device("cpu")

        def cost_from_latents(self, start: Any, goal: Any, actions: torch.Tensor) -> torch.Tensor:
            return actions.square().sum((1, 2))

    planner = CEM(Model(), num_samples=8, iterations=2, elites=3, horizon=3)  # type: ignore[arg-type]
    plan = planner.solve(torch.zeros(5), torch.ones(5), torch.Generator().manual_seed(0))
    RerunArtifactLogger(session).log_plan(plan, targets=[[1, 2], [3, 4]])
    found = recording(session)
    base = "/worldforge/plans/lewm-evidence/cem/0"
    assert scalars(found[f"{base}/action_count"]) == [3.0]
    assert scalars(found[f"{base}/cost"]) == [plan.cost]
    assert found[f"{base}/action_targets"][0].cells["Points3D:positions"] == [[1, 2, 0], [3, 4, 0]]
    assert len(json.loads(texts(found[f"{base}/payload"])[0])["best_cost_by_iteration"]) == 2


def test_a_benchmark_report_is_results_and_metrics(session: RerunSession) -> None:
    """Each result lies at its number, with the metrics of the document; the whole report is there for all times."""
    result = {"provider": "mock", "operation": "predict", "success_count": 3, "error_count": 1, "retry_count": 2}
    timed = {"average_latency_ms": 2.0, "p50_latency_ms": 1.5, "p95_latency_ms": 4.0, "throughput_per_second": 500.0}
    report = {"results": [result | timed, {"provider": "mock", "operation": "embed", "error_count": 0}]}
    RerunArtifactLogger(session).log_benchmark_report(report)
    found = recording(session)
    base = "/worldforge/benchmarks/mock/predict"
    assert json.loads(texts(found[f"{base}/result"])[0]) == report["results"][0]
    values = {
        name.rpartition("/")[2]: scalars(rows)
        for name, rows in found.items()
        if name.startswith(base + "/") and not name.endswith("result")
    }
    assert values == {name: [float(value)] for name, value in timed.items()} | {
        "success_rate": [0.75],
        "error_count": [1.0],
        "retry_count": [2.0],
    }
    assert found["/worldforge/benchmarks/mock/embed/result"][0].times == {"worldforge_benchmark_result": 1}
    assert json.loads(texts(found["/worldforge/benchmarks/report"])[0]) == report
    assert found["/worldforge/benchmarks/report"][0].times == {}


def test_our_own_benchmark_gives_the_same_tree(session: RerunSession) -> None:
    """Results by name with numbers of their own are operations and metrics too."""
    RerunArtifactLogger(session).log_benchmark_report({"results": {"seal": {"seconds": 1.5, "how": "text"}}})
    found = recording(session)
    assert scalars(found["/worldforge/benchmarks/lewm-evidence/seal/seconds"]) == [1.5]
    with pytest.raises(InputError, match="needs an entry `results`"):
        RerunArtifactLogger(session).log_benchmark_report({"rows": []})


SUMMARY = {
    "task": "push the block",
    "visualization": {
        "candidate_targets": [{"index": 0, "x": 0.1, "y": 0.2}, {"index": 1, "x": 0.4, "y": 0.5}],
        "selected_candidate": 1,
    },
    "score_result": {"scores": [3.0, 1.0], "best_index": 1, "best_score": 1.0},
    "execution": {"final_block_position": {"x": 0.4, "y": 0.5, "z": 0.0}},
    "provider_events": [{"provider": "lerobot", "operation": "policy", "duration_ms": 7.0}],
    "metrics": {"plan_latency_ms": 9.0, "total_latency_ms": 20.0},
}


def test_a_showcase_is_a_tabletop_scores_and_latencies(session: RerunSession) -> None:
    """The scene lies on worldforge_robotics_showcase, the scores on worldforge_candidate."""
    RerunArtifactLogger(session).log_robotics_showcase_summary(SUMMARY)
    found = recording(session)
    base = "/worldforge/robotics_showcase"
    assert json.loads(texts(found[f"{base}/summary"])[0]) == SUMMARY
    assert texts(found[f"{base}/task"], "TextLog") == ["push the block"]
    assert len(found[f"{base}/tabletop/points"][0].cells["Points3D:positions"]) == 5
    assert len(found[f"{base}/tabletop/candidate_paths"][0].cells["LineStrips3D:strips"]) == 2
    assert np.allclose(found[f"{base}/tabletop/selected_vector"][0].cells["Arrows3D:vectors"], [[0.4, 0.0, 0.0]])
    assert len(found[f"{base}/tabletop/selected_replay"][0].cells["LineStrips3D:strips"][0]) == 3
    assert len(found[f"{base}/tabletop/block_boxes"][0].cells["Boxes3D:centers"]) == 2
    costs = found[f"{base}/scores/candidate_cost"]
    assert [(row.times, value) for row, value in zip(costs, scalars(costs), strict=True)] == [
        ({"worldforge_candidate": 0}, 3.0),
        ({"worldforge_candidate": 1}, 1.0),
    ]
    assert scalars(found[f"{base}/scores/best_cost"]) == [1.0]
    assert found[f"{base}/scores/cost_bars"][0].times == {"worldforge_robotics_showcase": 0}
    assert found[f"{base}/runtime/latency_bars"][0].times == {"worldforge_robotics_showcase": 0}
    assert found[f"{base}/runtime/latency_labels"][0].cells["values_ms"] == [7.0, 9.0, 20.0]


def test_no_timeline_sticks(session: RerunSession) -> None:
    """Whatever is logged in whatever order, each row lies on its own timeline alone."""
    sink, artifacts = RerunEventSink(session), RerunArtifactLogger(session)
    for step in range(2):
        artifacts.log_robotics_showcase_summary(SUMMARY)
        artifacts.log_world(snapshot(step, 0.0))
        sink({"provider": "mock", "operation": "predict", "phase": "success"})
        artifacts.log_benchmark_report({"results": [{"operation": "x", "seconds": 1}]})
        artifacts.log_plan({"provider": "p", "planner": "q"})
        artifacts.log_json("diagnostics/doctor", {"fine": True})
    found = recording(session)
    assert max(len(row.times) for rows in found.values() for row in rows) == 1
    assert {name for rows in found.values() for row in rows for name in row.times} == {
        bridge.EVENT_TIMELINE,
        bridge.WORLD_TIMELINE,
        bridge.PLAN_TIMELINE,
        bridge.BENCHMARK_TIMELINE,
        bridge.SHOWCASE_TIMELINE,
        bridge.CANDIDATE_TIMELINE,
    }
    assert found["/worldforge/diagnostics/doctor"][0].times == {}


def test_nothing_is_begun_before_something_is_logged(tmp_path: Path) -> None:
    """A session is lazy; closing is final and may be repeated."""
    path = tmp_path / "run.rrd"
    handler = create_rerun_event_handler(config=RerunRecordingConfig(save_path=path))
    assert not path.exists()
    handler({"provider": "mock", "operation": "predict", "phase": "success"})
    assert path.exists()
    session = RerunSession(RerunRecordingConfig(save_path=tmp_path / "other.rrd"))
    session.close()
    session.close()
    assert not (tmp_path / "other.rrd").exists()
    with pytest.raises(StageError, match="this recording is closed"):
        RerunArtifactLogger(session).log_json("x", {})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"save_path": "a.rrd", "spawn": True}, "not to save_path and spawn"),
        ({"serve_grpc_port": 70000}, "must be a port"),
        ({"connect_url": "http://127.0.0.1/"}, "must look like rerun"),
        ({"application_id": " "}, "must not be empty"),
    ],
)
def test_an_impossible_configuration_is_refused(given: dict[str, Any], sentence: str) -> None:
    """A recording goes to one place, which must make sense."""
    with pytest.raises(ConfigError, match=sentence):
        RerunRecordingConfig(**given)


def test_without_rerun_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    """The module imports without the SDK; using it names the extra."""
    code = (
        "import sys; sys.modules['rerun'] = None\n"
        "from lewm_evidence.rerun import RerunSession, RerunEventSink\n"
        "sink = RerunEventSink(RerunSession())\n"
        "sink({'provider': 'a', 'operation': 'b', 'phase': 'c'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "rerun-sdk, which is not installed; install lewm-evidence[rerun]" in done.stderr


def test_a_server_on_loopback_takes_a_recording_and_a_client(tmp_path: Path) -> None:
    """serve-grpc listens on 127.0.0.1 alone, connect-url reaches it, a copy is kept, and nothing is left running."""
    config = RerunRecordingConfig(serve_grpc_port=0, copy_path=tmp_path / "copy.rrd")
    with RerunSession(config) as session:
        assert session.server_uri is not None and session.server_uri.startswith("rerun+http://127.0.0.1:")
        assert session._processes[0].poll() is None
        with RerunSession(RerunRecordingConfig(connect_url=session.server_uri)) as client:
            RerunArtifactLogger(client).log_json("x", {"sent": True})
        RerunArtifactLogger(session).log_json("x", {"served": True})
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        port = int(session.server_uri.split(":")[2].split("/")[0])
        assert f"0100007F:{port:04X}" in listening and f"00000000:{port:04X}" not in listening
    assert session._processes[0].poll() is not None
    assert json.loads(texts(read(tmp_path / "copy.rrd")["/worldforge/x"])[0]) == {"served": True}
    with pytest.raises(ProbeError, match="nothing answers at"):
        RerunSession(RerunRecordingConfig(connect_url=session.server_uri)).start()


def test_spawn_starts_a_viewer_that_ends_with_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The viewer is told port and memory and bound to loopback; a server without a window stands in for it."""
    stand_in, told = tmp_path / "rerun", tmp_path / "told"
    stand_in.write_text(f'#!/bin/sh\necho "$@" > {told}\nexec {viewer.program()} --serve-grpc "$@"\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(viewer, "program", lambda: stand_in)
    with RerunSession(RerunRecordingConfig(spawn=True, spawn_port=0, hide_welcome_screen=True)) as session:
        RerunArtifactLogger(session).log_json("x", {"shown": True})
        assert session._processes[0].poll() is None
    assert session._processes[0].poll() is not None
    words = told.read_text().split()
    assert words[:2] == ["--bind", "127.0.0.1"] and "--hide-welcome-screen" in words and "75%" in words


def test_a_viewer_without_a_window_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends at once is told with its last words."""
    stand_in = tmp_path / "rerun"
    stand_in.write_text("#!/bin/sh\necho no display >&2\nexit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(viewer, "program", lambda: stand_in)
    with pytest.raises(ProbeError, match="its last lines: no display"):
        RerunSession(RerunRecordingConfig(spawn=True, spawn_port=0)).start()


def test_where_nothing_can_be_recorded_is_a_sentence(tmp_path: Path) -> None:
    """A folder is no file to write, and what is no address is never asked."""
    with pytest.raises(ProbeError, match=r"cannot be written: .*directory"):
        RerunSession(RerunRecordingConfig(save_path=tmp_path)).start()
    for url in ("rerun+http://[x/proxy", "rerun+http://127.0.0.1:999999/proxy"):
        with pytest.raises(ProbeError, match="nothing answers at"):
            RerunSession(RerunRecordingConfig(connect_url=url)).start()


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command `lewm-evidence` in a folder."""
    code = "import sys; from lewm_evidence.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_the_demo_records_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """demo-rerun writes to the document's path, says so with the bytes, and holds all it promises."""
    monkeypatch.chdir(tmp_path)
    assert main(["demo-rerun", "--iterations", "1", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    path = tmp_path / ".worldforge" / "rerun" / "worldforge-rerun-showcase.rrd"
    assert tmp_path / told["rerun"]["save_path"] == path
    assert told["rerun"]["recording_size_bytes"] == path.stat().st_size
    found = read(path)
    assert len(found["/worldforge/events/pusht/step/success/log"]) == 10
    assert len(found["/worldforge/worlds/pusht/object_boxes"]) == 11
    assert "/worldforge/plans/lewm-evidence/cem/0/action_targets" in found
    result = json.loads(texts(found["/worldforge/benchmarks/lewm-evidence/plan/result"])[0])
    assert result == told["benchmark"]["results"][0]


def serve(*words: object, cwd: Path) -> tuple[int, str]:
    """Runs a command until it has spoken, then stops it as Ctrl-C does; returns its status and output."""
    code = "import sys; from lewm_evidence.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd) as process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            return process.wait(20), first + process.stdout.read()
        finally:
            process.kill()


def test_the_demo_serves_until_ctrl_c(tmp_path: Path) -> None:
    """--serve-grpc-port prints the address and the bytes, and ends with 130, leaving no server."""
    port = viewer.free_port()
    status, told = serve("demo-rerun", "--iterations", 1, "--serve-grpc-port", port, cwd=tmp_path)
    assert status == 130 and f"| server | rerun+http://127.0.0.1:{port}/proxy |" in told and "| bytes | " in told
    assert not (tmp_path / ".worldforge").exists()
    with pytest.raises(ProbeError, match="nothing answers"):
        RerunSession(RerunRecordingConfig(connect_url=viewer.proxy(port))).start()


def test_a_recording_opens_in_the_browser(tmp_path: Path, session: RerunSession) -> None:
    """open-rerun --web prints a page on loopback that answers, and Ctrl-C leaves nothing behind."""
    RerunArtifactLogger(session).log_json("x", {})
    session.close()
    page = viewer.free_port()
    status, told = serve("open-rerun", tmp_path, "--web", "--no-browser", "--web-port", page, cwd=tmp_path)
    assert status == 130 and told.startswith(f"http://127.0.0.1:{page}/?url=rerun%2Bhttp%3A%2F%2F127.0.0.1%3A")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", page), timeout=1)


@pytest.mark.parametrize(("ends_with", "status"), [(0, 0), (1, 2)])
def test_a_recording_opens_in_the_native_viewer(
    tmp_path: Path, session: RerunSession, monkeypatch: pytest.MonkeyPatch, ends_with: int, status: int
) -> None:
    """open-rerun hands the file to the viewer, bound to loopback, and ends with it; a stand-in needs no window."""
    RerunArtifactLogger(session).log_json("x", {})
    session.close()
    stand_in, told = tmp_path / "rerun", tmp_path / "told"
    stand_in.write_text(f'#!/bin/sh\necho "$@" > {told}\nexit {ends_with}\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(viewer, "program", lambda: stand_in)
    assert main(["open-rerun", str(session.config.save_path)]) == status
    assert told.read_text().split()[:3] == ["--bind", "127.0.0.1", str(session.config.save_path)]


def test_of_a_bundle_the_episode_is_opened(
    tmp_path: Path, session: RerunSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a folder's recordings open-rerun takes showcase.rrd and says so; where two have that name, it names both."""
    RerunArtifactLogger(session).log_json("x", {})
    session.close()
    stand_in, told = tmp_path / "rerun", tmp_path / "told"
    stand_in.write_text(f'#!/bin/sh\necho "$@" > {told}\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(viewer, "program", lambda: stand_in)
    folder = tmp_path / "bundle"
    for name in ("a/showcase.rrd", "a/training.rrd"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(session.config.save_path), folder / name)
    assert main(["open-rerun", str(folder)]) == 0
    assert told.read_text().split()[2] == str(folder / "a/showcase.rrd")
    said = f"shows {folder}/a/showcase.rrd; there is also {folder}/a/training.rrd\n"
    assert capsys.readouterr().err == said
    (folder / "b").mkdir()
    shutil.copy(folder / "a/showcase.rrd", folder / "b")
    assert main(["open-rerun", str(folder)]) == 2
    assert f"3 recordings (*.rrd); name one: {folder}/a/showcase.rrd, " in capsys.readouterr().err


def test_what_is_no_recording_is_not_opened(tmp_path: Path) -> None:
    """A folder without one, a file of another kind and a missing file are named."""
    (tmp_path / "text.rrd.txt").write_text("hello")
    for path, sentence in ((tmp_path, "holds 0 recordings"), (tmp_path / "text.rrd.txt", "is not a Rerun recording")):
        done = run("open-rerun", path, cwd=tmp_path)
        assert done.returncode == 2 and sentence in done.stderr
    assert run("open-rerun", "nowhere.rrd", cwd=tmp_path).returncode == 2


# The document's example, with the bridge's import changed and nothing else.
EXAMPLE = """
from worldforge import Action
from lewm_evidence.rerun import RerunArtifactLogger, RerunEventSink, RerunRecordingConfig
from lewm_evidence.rerun import RerunSession
from worldforge import WorldForge

session = RerunSession(
    RerunRecordingConfig(save_path=".worldforge/rerun/run.rrd")
)
events = RerunEventSink(session=session)
artifacts = RerunArtifactLogger(session=session)

forge = WorldForge(event_handler=events)
world = forge.create_world("lab", provider="mock")

prediction = world.predict(Action.move_to(0.3, 0.5, 0.0), steps=1)
artifacts.log_world(world, label="after prediction")

report = forge.doctor()
artifacts.log_json("diagnostics/doctor", report.to_dict())

session.close()
print(prediction.physics_score)
"""
# What else of WorldForge the bridge takes.
MORE = """
from lewm_evidence.rerun import RerunArtifactLogger, RerunRecordingConfig, RerunSession
from lewm_evidence.rerun import create_rerun_event_handler
from worldforge import WorldForge
from worldforge.benchmark import ProviderBenchmarkHarness

with RerunSession(RerunRecordingConfig(save_path="more.rrd")) as session:
    artifacts = RerunArtifactLogger(session)
    forge = WorldForge(event_handler=create_rerun_event_handler(session=session))
    artifacts.log_plan(forge.create_world("lab", provider="mock").plan(goal="move the cube", max_steps=2))
    artifacts.log_benchmark_report(ProviderBenchmarkHarness(forge=forge).run(["mock"], iterations=1))
"""


@pytest.fixture(scope="module")
def worldforge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the real worldforge-ai and rerun-sdk, or a skip that says what is missing."""
    places = [shutil.which("python3.13"), *Path.home().glob(".pyenv/versions/3.13*/bin/python")]
    # The shim of a version manager may be there without the version.
    asked = [
        (place, subprocess.run([place, "--version"], capture_output=True, check=False)) for place in places if place
    ]
    base = next((place for place, told in asked if told.returncode == 0), None)
    if base is None:
        pytest.skip("worldforge-ai needs Python 3.13, which is not here")
    folder = tmp_path_factory.mktemp("worldforge") / "venv"
    packages = ["worldforge-ai==0.5.0", "rerun-sdk==0.41.0", "pydantic>=2.11,<3"]
    python = folder / "bin" / "python"
    for command in ([base, "-m", "venv", folder], [python, "-m", "pip", "install", "-q", *packages]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no environment with worldforge-ai on Python 3.13: {done.stderr.strip()[-200:]}")
    return python


def run_there(python: Path, code: str, cwd: Path) -> str:
    """Runs code with this package's source beside the packages of another environment."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.workers
def test_the_document_s_example_runs_with_worldforge(worldforge: Path, tmp_path: Path) -> None:
    """Real events, a real world and a real report, in the document's entities and timelines."""
    score = float(run_there(worldforge, EXAMPLE, tmp_path))
    found = read(tmp_path / ".worldforge" / "rerun" / "run.rrd")
    assert 0 < score <= 1
    assert found["/worldforge/events/mock/predict/success/log"][0].times == {"worldforge_event": 0}
    (name,) = {entity.split("/")[3] for entity in found if entity.startswith("/worldforge/worlds/")}
    state = found[f"/worldforge/worlds/{name}/state"][0]
    assert state.times == {"worldforge_step": 1} and json.loads(texts([state])[0])["name"] == "lab"
    assert json.loads(texts(found["/worldforge/diagnostics/doctor"])[0])["registered_provider_count"] == 1


@pytest.mark.workers
def test_worldforge_s_plans_and_benchmarks_are_taken(worldforge: Path, tmp_path: Path) -> None:
    """Its plan and its benchmark report give the document's entities."""
    run_there(worldforge, MORE, tmp_path)
    found = read(tmp_path / "more.rrd")
    assert scalars(found["/worldforge/plans/mock/cem/0/success_probability"]) == [0.75]
    assert scalars(found["/worldforge/benchmarks/mock/predict/success_rate"]) == [1.0]
    assert found["/worldforge/benchmarks/mock/predict/p95_latency_ms"][0].times == {"worldforge_benchmark_result": 0}


# Everything the bridge and the pipeline write, with whatever Rerun is there.
EVERYTHING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import example_runs
from lewm_evidence.probe.rerun import check, verify
from lewm_evidence.render import rerun, rerun_training
from lewm_evidence.rerun import RerunArtifactLogger, RerunEventSink, RerunRecordingConfig, RerunSession

here = Path.cwd()
with RerunSession(RerunRecordingConfig(save_path=here / "bridge.rrd")) as session:
    RerunEventSink(session)({"provider": "p", "operation": "o", "phase": "success", "duration_ms": 3.0})
    artifacts = RerunArtifactLogger(session)
    box = {"min": {"x": 0, "y": 0}, "max": {"x": 1, "y": 1}}
    artifacts.log_world({"id": "w", "scene": {"objects": {"b": {"position": {"x": 0, "y": 1}, "bbox": box}}}})
    action = {"type": "move_to", "parameters": {"x": 1, "y": 2}}
    artifacts.log_plan({"provider": "p", "planner": "c", "actions": [action]})
    artifacts.log_benchmark_report({"results": [{"provider": "p", "operation": "o", "p50_latency_ms": 3.0}]})
    artifacts.log_robotics_showcase_summary({"score_result": {"scores": [1.0]}, "metrics": {"plan_latency_ms": 1.0}})
verify(here / "bridge.rrd", here / "logs")
for stage, render in {"showcase": rerun.render, "train": rerun_training.render}.items():
    run = example_runs.finished(here / "runs", stage, getattr(example_runs, f"write_{stage}"))
    exact = [render(run, here / name) for name in ("a.rrd", "b.rrd")]
    verify(here / "a.rrd", here / "logs")
    assert rerun.digest(here / "a.rrd") == rerun.digest(here / "b.rrd")
    print(exact, len(check(here / "a.rrd", run)) > 5)
"""


@pytest.mark.workers
def test_the_oldest_rerun_takes_everything(tmp_path: Path) -> None:
    """Rerun 0.32 records, verifies and reads back all of it; its bytes are not repeatable, what it says is."""
    python = tmp_path / "venv" / "bin" / "python"
    packages = ["rerun-sdk==0.32.*", "pydantic>=2.11,<3", "safetensors", "pillow>=12"]
    for command in (
        [sys.executable, "-m", "venv", tmp_path / "venv"],
        [python, "-m", "pip", "install", "-q", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no environment with rerun-sdk 0.32: {done.stderr.strip()[-200:]}")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-c", EVERYTHING, str(ROOT / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[False, False] True"] * 2
    assert "draws no single bar" in done.stderr
