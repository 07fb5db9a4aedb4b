"""The TensorBoard bridge: what a host logs is what TensorBoard reads, and nothing else leaves."""

import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from lewm_evidence import tensorboard as bridge
from lewm_evidence.errors import InputError
from lewm_evidence.events import EventStream
from lewm_evidence.records import redact

PREFIX = "worldforge/leworldmodel"


def read(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Returns what TensorBoard's own reader finds below `PREFIX`: step and value by tag."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    found: dict[str, list[tuple[int, Any]]] = {}
    for tag in accumulator.Tags()["tensors"]:
        plugin = accumulator.SummaryMetadata(tag).plugin_data.plugin_name
        points = [(point.step, make_ndarray(point.tensor_proto)) for point in accumulator.Tensors(tag)]
        if plugin == "scalars":
            points = [(step, value.item()) for step, value in points]
        elif plugin == "text":
            points = [(step, value.item().decode()) for step, value in points]
        found[tag.removeprefix(f"{PREFIX}/")] = points
    return found


def fenced(text: str) -> str:
    """Returns a text as its panel holds it."""
    return f"```\n{text}\n```"


@pytest.fixture
def inspector(tmp_path: Path) -> bridge.TensorBoardCheckpointInspector:
    """An inspector that has written nothing yet."""
    return bridge.create_tensorboard_inspector(log_dir=tmp_path / "logs", run_name="baseline")


def finished(inspector: bridge.TensorBoardCheckpointInspector) -> dict[str, list[tuple[int, Any]]]:
    """Closes the inspector and returns what its folder holds."""
    inspector.close()
    return read(inspector.log_dir)


def test_the_document_s_example(inspector: bridge.TensorBoardCheckpointInspector) -> None:
    """Its calls, in its order, give its tags with the values that went in."""
    scores = [0.5, 0.25, 0.75]
    summary = {"output": "/srv/pusht/lewm_object.ckpt", "policy": "pusht/lewm", "repo_id": "galilai/lewm-pusht"}
    summary |= {"revision": "0123abc", "created": True}
    inspector.log_checkpoint_summary(summary)
    inspector.log_score_distribution(scores, best_index=1, best_score=scores[1])
    inspector.log_metrics({"plan_latency_ms": 25.0, "total_latency_ms": 30.0})
    inspector.flush()
    found = finished(inspector)
    provenance = found.pop("checkpoint/provenance")[0][1]
    assert json.loads(provenance.strip("`\n")) == summary
    histogram = found.pop("scores/cost_distribution")[0][1]
    assert histogram[:, 2].sum() == 3 and (histogram[0, 0], histogram[-1, 1]) == (0.25, 0.75)
    assert found == {
        "checkpoint/path": [(0, fenced("/srv/pusht/lewm_object.ckpt"))],
        "checkpoint/policy": [(0, fenced("pusht/lewm"))],
        "checkpoint/repo": [(0, fenced("galilai/lewm-pusht"))],
        "checkpoint/revision": [(0, fenced("0123abc"))],
        "checkpoint/created": [(0, 1.0)],
        "scores/candidate_000": [(0, 0.5)],
        "scores/candidate_001": [(0, 0.25)],
        "scores/candidate_002": [(0, 0.75)],
        "scores/min": [(0, 0.25)],
        "scores/max": [(0, 0.75)],
        "scores/mean": [(0, 0.5)],
        "scores/best_index": [(0, 1.0)],
        "scores/best_score": [(0, 0.25)],
        "metrics/plan_latency_ms": [(0, 25.0)],
        "metrics/total_latency_ms": [(0, 30.0)],
    }


def test_importing_and_making_an_inspector_does_nothing(tmp_path: Path) -> None:
    """No folder, no SDK, no torch, until something is logged; closing what was never opened is fine."""
    code = (
        "import sys; from lewm_evidence.tensorboard import create_tensorboard_inspector as create\n"
        "with create(log_dir=sys.argv[1], run_name='r') as inspector: inspector.flush()\n"
        "inspector.close()\n"
        "print([m for m in ('torch', 'tensorboard', 'numpy') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "logs")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
    assert not (tmp_path / "logs").exists()


def test_torch_is_never_imported(tmp_path: Path) -> None:
    """Writing needs neither torch nor tensorboardX."""
    code = (
        "import sys; from lewm_evidence.tensorboard import create_tensorboard_inspector as create\n"
        "with create(log_dir=sys.argv[1]) as inspector: inspector.log_metrics({'a': 1})\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
    assert read(tmp_path) == {"metrics/a": [(0, 1.0)]}


def test_steps_advance_by_themselves(inspector: bridge.TensorBoardCheckpointInspector) -> None:
    """Each call is one step for all its tags, also for those that come later; given steps are kept."""
    inspector.log_metrics({"a": 1.0})
    inspector.log_metrics({"a": 2.0, "b": 3.0})
    inspector.log_metrics({"a": 4.0}, step=10)
    inspector.log_metrics({"b": 5.0})
    found = finished(inspector)
    assert found["metrics/a"] == [(0, 1.0), (1, 2.0), (10, 4.0)]
    assert found["metrics/b"] == [(1, 3.0), (11, 5.0)]


def test_a_step_that_goes_back_opens_a_second_series(inspector: bridge.TensorBoardCheckpointInspector) -> None:
    """TensorBoard would drop it; so nothing is lost and no step is changed."""
    for step in (5, 5, 2):
        inspector.log_metrics({"a": float(step)}, step=step)
    found = finished(inspector)
    assert found == {"metrics/a": [(5, 5.0)], "metrics/a#2": [(5, 5.0)], "metrics/a#3": [(2, 2.0)]}
    with pytest.raises(InputError, match="step=-1"):
        inspector.log_metrics({"a": 1.0}, step=-1)


def test_what_is_not_finite_is_shown(inspector: bridge.TensorBoardCheckpointInspector) -> None:
    """A diverged loss is a NaN in the chart, counted beside histograms, and a word in JSON; never silently gone."""
    inspector.log_metrics({"loss": float("nan"), "note": "a text", "done": True, "half": np.float16(0.5)})
    inspector.log_score_distribution([1.0, float("inf"), 3.0])
    inspector.log_json("numbers", {"x": float("nan")})
    found = finished(inspector)
    assert np.isnan(found["metrics/loss"][0][1])
    assert found["metrics/done"] == [(0, 1.0)] and found["metrics/half"] == [(0, 0.5)]
    assert "metrics/note" not in found
    assert found["scores/candidate_001"] == [(0, float("inf"))]
    assert found["scores/mean"] == [(0, 2.0)] and found["scores/best_index"] == [(0, 0.0)]
    assert found["scores/cost_distribution/non_finite"] == [(0, 1.0)]
    assert '"NaN"' in found["numbers"][0][1]


def test_weights_of_every_kind(inspector: bridge.TensorBoardCheckpointInspector, caplog: Any) -> None:
    """float32, bfloat16, integers and single numbers keep all their values; what holds none is named."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    state = {**module.state_dict(), "half": torch.linspace(-1, 1, 7, dtype=torch.bfloat16)}
    state |= {"parameter": torch.nn.Parameter(torch.ones(2, 2)), "array": np.arange(5), "empty": torch.zeros(0)}
    state |= {"extra": "no tensor", "broken": torch.tensor([1.0, float("nan")])}
    assert inspector.log_state_dict_histograms(state) == len(state) - 2
    assert "no histogram of empty, extra" in caplog.text
    found = finished(inspector)
    for name, value in state.items():
        if name in ("empty", "extra"):
            assert f"weights/{name}" not in found
            continue
        numbers = np.asarray(value.detach().double() if isinstance(value, torch.Tensor) else value).ravel()
        numbers = numbers[np.isfinite(numbers)]
        filled = [row for row in found[f"weights/{name}"][0][1] if row[2]]
        assert sum(row[2] for row in filled) == numbers.size
        assert filled[0][0] == pytest.approx(numbers.min(), abs=0.51) and filled[-1][1] >= numbers.max() - 1e-12
    assert found["weights/broken/non_finite"] == [(0, 1.0)]
    assert "weights/1.num_batches_tracked" in found


def test_events_are_logged_once(inspector: bridge.TensorBoardCheckpointInspector) -> None:
    """Objects and mappings; the stream's numbers are steps, and a repeated event or summary adds nothing."""
    stream = EventStream([inspector.log_event])
    first = stream(
        {
            "provider": "hub",
            "operation": "fetch",
            "phase": "retry",
            "attempt": 1,
            "max_attempts": 3,
            "status_code": 503,
            "duration_ms": 12.5,
            "message": "busy, api_key=abcdef",
        }
    )
    stream({"provider": "hub", "operation": "fetch", "phase": "success", "attempt": 2, "max_attempts": 3})
    inspector.log_provider_event(first)
    inspector.log_robotics_showcase_summary({"provider_events": [first.to_dict()]})
    inspector.log_event(SimpleNamespace(provider="a/b", operation="plan", phase="failure"))
    found = finished(inspector)
    assert "abcdef" not in first.message
    assert found["events/hub/fetch/log"] == [(0, fenced(first.message)), (1, fenced("hub.fetch success"))]
    assert found["events/hub/fetch/attempt"] == [(0, 1.0), (1, 2.0)]
    assert found["events/hub/fetch/max_attempts"] == [(0, 3.0), (1, 3.0)]
    assert found["events/hub/fetch/duration_ms"] == [(0, 12.5)]
    assert found["events/hub/fetch/status_code"] == [(0, 503.0)]
    assert found["events/hub/fetch/retry"] == [(0, 1.0), (1, 0.0)]
    assert found["events/hub/fetch/failure"] == [(0, 0.0), (1, 0.0)]
    assert found["events/a_b/plan/failure"] == [(2, 1.0)]
    with pytest.raises(InputError, match="provider and operation"):
        inspector.log_event({"phase": "success"})


def test_a_showcase_summary(inspector: bridge.TensorBoardCheckpointInspector) -> None:
    """Texts, inputs, health, candidate costs, metrics and events of a summary that was read from JSON."""
    stats = {"score_min": 1.0, "score_max": 3.0, "score_mean": 2.0, "score_median": 2.0, "score_range": 2.0}
    stats |= {"gap_to_runner_up": 1.0}
    event = {"provider": "lerobot", "operation": "policy", "phase": "success", "duration_ms": 4.0}
    summary = {
        "task": "push the T",
        "checkpoint": "/srv/lewm.ckpt",
        "checkpoint_display": "lewm.ckpt",
        "state_dir": "state",
        "inputs": {"shape": [1, 3, 4, 10]},
        "health": {"lerobot": "ok"},
        "score_result": {"scores": [3.0, 1.0, 2.0], "best_index": 1, "best_score": 1.0},
        "score_stats": stats,
        "metrics": {"plan_latency_ms": 8.0, "total_latency_ms": 16.0},
        "provider_events": [event],
    }
    inspector.log_robotics_showcase_summary(summary)
    found = finished(inspector)
    assert json.loads(found["robotics_showcase/summary"][0][1].strip("`\n")) == summary
    for name in ("task", "checkpoint", "checkpoint_display", "state_dir"):
        assert found[f"robotics_showcase/{name}"] == [(0, fenced(summary[name]))]
    for name in ("inputs", "health"):
        assert json.loads(found[f"robotics_showcase/{name}"][0][1].strip("`\n")) == summary[name]
    for name, value in {**stats, "plan_latency_ms": 8.0, "total_latency_ms": 16.0}.items():
        assert found[f"metrics/{name}"] == [(0, value)]
    assert found["scores/best_index"] == [(0, 1.0)] and found["scores/candidate_002"] == [(0, 2.0)]
    assert found["events/lerobot/policy/duration_ms"] == [(0, 4.0)]
    block = inspector.session.as_summary()
    assert set(block) == {"log_dir", "run_name", "flush_secs", "events_written"}
    assert block["run_name"] == "baseline" and block["flush_secs"] == 30 and block["events_written"] is True


def test_planted_secrets_reach_no_file(
    inspector: bridge.TensorBoardCheckpointInspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known values, keyed values and credentials in URLs are out of the bytes; harmless words stay."""
    canaries = [f"canary{number}abcdefgh" for number in range(6)]
    monkeypatch.setenv("SOME_TOKEN", canaries[0])
    redact.forget()
    try:
        inspector.log_text("note", f"plain {canaries[0]}, api_key={canaries[1]}, {canaries[0]}")
        inspector.log_json(
            "config",
            {
                "use_mask_token": False,
                "tokenizer": "bert",
                "password": canaries[2],
                "url": f"https://host.example/file?signature={canaries[3]}&token={canaries[4]}",
                "nested": [{"hub": {"secret": canaries[5]}}],
            },
        )
        inspector.log_checkpoint_summary({"output": f"https://u:{canaries[2]}@host.example/lewm.ckpt"})
        inspector.log_event({"provider": "x", "operation": f"token={canaries[1]}", "phase": f"secret={canaries[3]}"})
        inspector.log_metrics({f"api_key={canaries[4]}": 1.0})
        found = finished(inspector)
    finally:
        redact.forget()
    written = b"".join(path.read_bytes() for path in inspector.log_dir.iterdir())
    assert [canary for canary in canaries if canary.encode() in written] == []
    assert '"use_mask_token": false' in found["config"][0][1] and '"tokenizer": "bert"' in found["config"][0][1]


def test_no_env_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.env` beside the project is none of its business."""
    (tmp_path / ".env").mkdir()  # opening it would fail
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    with bridge.create_tensorboard_inspector(log_dir="logs") as inspector:
        inspector.log_metrics({"a": 1})
    assert "metrics/a" in read(tmp_path / "logs")


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git", None])
def test_relative_folders_lie_below_the_project(
    mark: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From wherever in the project; without a project, below the working directory."""
    inside = tmp_path / "project" / "a" / "b"
    inside.mkdir(parents=True)
    if mark:
        (tmp_path / "project" / mark).mkdir()
    monkeypatch.chdir(inside)
    config = bridge.TensorBoardLogConfig(log_dir=".worldforge/tensorboard", run_name="r")
    root = tmp_path / "project" if mark else inside
    session = bridge.TensorBoardSession(config)
    monkeypatch.chdir(tmp_path)
    assert session.log_dir == root / ".worldforge/tensorboard/r"
    assert (config.flush_secs, config.max_queue) == (30, 10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flush_secs": 0},
        {"max_queue": True},
        {"purge_step": -1},
        {"filename_suffix": "a/b"},
        {"run_name": "../up"},
        {"run_name": "/abs"},
        {"run_name": " "},
        {"log_dir": ""},
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(wrong: dict[str, Any]) -> None:
    """At once, with the field's name."""
    with pytest.raises(InputError, match=next(iter(wrong))):
        bridge.TensorBoardLogConfig(**{"log_dir": "logs", **wrong})


def test_the_bytes_depend_on_what_is_logged_alone(tmp_path: Path) -> None:
    """Neither clock nor process is in file or name; a second session adds a file and leaves the first."""
    for folder in ("a", "b", "a"):
        with bridge.create_tensorboard_inspector(log_dir=tmp_path / folder) as inspector:
            inspector.log_score_distribution([1.0, 2.0])
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.evidence"))
    assert names == [f"{name}.evidence" for name in _stems()]
    contents = {(tmp_path / name).read_bytes() for name in names}
    assert len(contents) == 1


def _stems() -> list[str]:
    return [f"a/events.out.tfevents.000000000{n}" for n in (0, 1)] + ["b/events.out.tfevents.0000000000"]


def test_a_closed_inspector_goes_on_in_a_new_file(inspector: bridge.TensorBoardCheckpointInspector) -> None:
    """Closing twice is fine; steps go on."""
    inspector.log_metrics({"a": 1})
    inspector.close()
    inspector.close()
    inspector.log_metrics({"a": 2})
    assert finished(inspector)["metrics/a"] == [(0, 1.0), (1, 2.0)]


def test_values_can_be_read_at_once_and_purge_is_written(tmp_path: Path) -> None:
    """A server that watches the folder sees each value; a resumed run makes it forget what it repeats."""
    old = bridge.TensorBoardSession(bridge.TensorBoardLogConfig(tmp_path))
    for step in range(4):
        old.scalar("loss", step, step)
    assert len(read(tmp_path)["loss"]) == 4
    config = bridge.TensorBoardLogConfig(tmp_path, purge_step=2, filename_suffix=".again")
    new = bridge.TensorBoardSession(config).start()
    new.scalar("loss", 7.0, 2)
    new.close()
    old.close()
    last = max(tmp_path.iterdir())
    assert last.name.endswith(".evidence.again")
    assert read(last) == {"loss": [(2, 7.0)]}
    assert read(tmp_path)["loss"] == [(0, 0.0), (1, 1.0), (2, 7.0)]


class FakeWriter:
    """A SummaryWriter that remembers its calls."""

    made: list["FakeWriter"]

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.calls: list[tuple[Any, ...]] = []
        type(self).made.append(self)

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.calls.append((name, *values))


def without(monkeypatch: pytest.MonkeyPatch, **modules: ModuleType | None) -> None:
    """Makes TensorBoard impossible to import; other modules are what is given."""
    monkeypatch.setitem(sys.modules, "lewm_evidence.render.live_tensorboard", None)
    for name in ("torch.utils.tensorboard", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, modules.get(name.replace(".", "_")))


@pytest.mark.parametrize("which", ["torch_utils_tensorboard", "tensorboardX"])
def test_other_writers_are_used_in_order(which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tensorboard, torch's writer if torch is loaded, else tensorboardX, with the configuration's options."""
    FakeWriter.made = []
    fake = ModuleType("fake")
    fake.SummaryWriter = FakeWriter  # type: ignore[attr-defined]
    without(monkeypatch, **{which: fake})
    with bridge.create_tensorboard_inspector(log_dir=tmp_path / "logs", prefix="x/y", flush_secs=7) as inspector:
        inspector.log_metrics({"a": 2})
        inspector.log_text("t", "hello")
        inspector.log_histogram("h", [1.0])
    (writer,) = FakeWriter.made
    options = {"flush_secs": 7, "max_queue": 10, "filename_suffix": "", "purge_step": None}
    assert writer.options == {"log_dir": str(tmp_path / "logs"), **options}
    assert [call[:2] for call in writer.calls] == [
        ("add_scalar", "x/y/metrics/a"),
        ("add_text", "x/y/t"),
        ("add_histogram", "x/y/h"),
        ("flush",),
        ("close",),
    ]


def test_without_an_sdk_nothing_happens_and_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every call goes through, no folder appears, and what to install is said once."""
    without(monkeypatch)
    with caplog.at_level(logging.WARNING), bridge.create_tensorboard_inspector(log_dir=tmp_path / "logs") as inspector:
        inspector.log_metrics({"a": 1, "b": 2})
        inspector.log_checkpoint_summary({"output": "x"})
        inspector.log_state_dict_histograms({"w": torch.ones(2)})
        assert inspector.session.writer is None
    assert [record.message for record in caplog.records].count(bridge._NO_SDK) == 1 == len(caplog.records)
    assert not (tmp_path / "logs").exists() and inspector.session.as_summary()["events_written"] is False


def test_writing_can_be_switched_off(tmp_path: Path) -> None:
    """Without write_to_disk, nothing appears."""
    session = bridge.TensorBoardSession(bridge.TensorBoardLogConfig(tmp_path / "logs", write_to_disk=False))
    session.scalar("a", 1.0, 0)
    assert session.writer is None and not (tmp_path / "logs").exists()


def test_default_run_names_are_folders() -> None:
    """A prefix and the time, nothing a path could trip over."""
    assert bridge.default_run_name("my run/1").startswith("my_run_1-2")
    assert bridge.default_run_name().endswith("Z")


@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "a b", "b/c"]),
            st.floats(width=32),
            st.none() | st.integers(min_value=0, max_value=9),
        ),
        max_size=20,
    )
)
@settings(max_examples=30, deadline=None)
def test_no_value_is_lost_whatever_the_order(calls: list[tuple[str, float, int | None]]) -> None:
    """Every number of every call is read back as float32 in its order, and the steps of each series go up."""
    with tempfile.TemporaryDirectory() as folder:
        with bridge.create_tensorboard_inspector(log_dir=folder) as inspector:
            for name, value, step in calls:
                inspector.log_scalar(name, value, step=step)
        found = read(Path(folder)) if calls else {}
    for points in found.values():
        steps = [step for step, _ in points]
        assert steps == sorted(set(steps))
    read_back = sorted((tag.partition("#")[0], np.float32(v).tobytes()) for tag, p in found.items() for _, v in p)
    tags = {"a b": "a_b"}
    assert read_back == sorted((tags.get(name, name), np.float32(value).tobytes()) for name, value, _ in calls)
