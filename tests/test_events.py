"""Events: fields, order, and what must not get through."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lewm_evidence.errors import InputError
from lewm_evidence.events import EventStream, ProviderEvent, clean, clean_text, names_secret
from lewm_evidence.probe.rerun import read
from lewm_evidence.records import redact
from lewm_evidence.rerun import RerunEventSink, RerunRecordingConfig, RerunSession
from lewm_evidence.tensorboard import create_tensorboard_inspector

FIELDS: dict[str, Any] = {
    "provider": "mock",
    "operation": "predict",
    "phase": "retry",
    "attempt": 2,
    "max_attempts": 3,
    "method": "POST",
    "target": "https://api.example/v1",
    "status_code": 503,
    "duration_ms": 12.5,
    "message": "busy",
    "metadata": {"steps": 1},
    "run_id": "run-1",
    "request_id": "request-1",
    "trace_id": "t1",
    "span_id": "s1",
    "artifact_id": "a1",
    "input_digest": "sha256:" + "9f" * 32,
    "sequence": 4,
}


@pytest.mark.parametrize("shape", [dict, lambda **held: SimpleNamespace(to_dict=lambda: held), SimpleNamespace])
def test_an_event_of_any_shape_keeps_its_fields(shape: Any) -> None:
    """Mappings, objects with to_dict() and objects with attributes say the same."""
    assert ProviderEvent.of(shape(**FIELDS)).to_dict() == FIELDS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", " "),
        ("attempt", 0),
        ("attempt", True),
        ("max_attempts", 1),
        ("status_code", 99),
        ("status_code", 600),
        ("duration_ms", -1.0),
        ("duration_ms", float("nan")),
        ("metadata", [1]),
        ("sequence", -1),
    ],
)
def test_an_impossible_event_is_refused(field: str, value: object) -> None:
    """The sentence names the field."""
    with pytest.raises(InputError, match=f"{field} of an event must be"):
        ProviderEvent.of(FIELDS | {field: value})


def test_an_event_without_a_phase_is_refused() -> None:
    """What is missing is named."""
    with pytest.raises(InputError, match="this one has no phase"):
        ProviderEvent.of({"provider": "mock", "operation": "predict"})


def test_a_stream_numbers_events_and_tells_each_sink_once() -> None:
    """Two bridges get the same events; adding one twice does not double them."""
    one: list[ProviderEvent] = []
    two: list[ProviderEvent] = []
    first, second = one.append, two.append
    stream = EventStream([first, second, first])
    stream.add(second)
    for _ in range(3):
        stream(FIELDS)
    assert [event.sequence for event in one] == [0, 1, 2]
    assert one == two == list(stream.events)


CANARY = "c4n4ryV4lue9"


@pytest.mark.parametrize(
    "text",
    [
        f"api_key={CANARY}",
        f'{{"apiKey": "{CANARY}"}}',
        f"error: token: {CANARY} refused",
        f"Authorization: Bearer {CANARY}",
        f"Authorization: Digest x {CANARY}",
        f"sent bearer {CANARY}",
        f"https://user:{CANARY}@host.example/path",
        f"https://host.example/file?X-Amz-Signature={CANARY}&x=1",
        f"https://host.example/file#{CANARY}",
        f"client-secret='{CANARY}'",
        f'password="a\\"{CANARY}"',
        f"to\u200bken={CANARY}",
        f"hf_{CANARY}{CANARY}",
        f"sk-{CANARY}{CANARY}",
    ],
)
def test_what_looks_like_a_secret_does_not_get_through(text: str) -> None:
    """Keys, headers, URLs and known formats lose it; in every field of an event too."""
    assert CANARY not in clean_text(text)
    event = ProviderEvent("mock", "predict", "success", message=text, metadata={"note": [text]}, target=text)
    assert CANARY not in json.dumps(event.to_dict())


@pytest.fixture
def _known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MY_SERVICE_TOKEN", CANARY)
    redact.forget()
    yield
    monkeypatch.undo()
    redact.forget()


@pytest.mark.usefixtures("_known")
def test_a_known_value_does_not_get_through_anywhere() -> None:
    """A value of the environment needs no key beside it, and may itself be a key."""
    assert CANARY not in json.dumps(clean({"note": f"we sent {CANARY} there", CANARY: 1}))


def test_secrets_under_telling_keys_go() -> None:
    """Whatever their type is."""
    found = clean(
        {"api_key": 123456, "headers": {"Authorization": ["a", "b"]}, "session_token": "abcd", "secret": False}
    )
    told = "[redacted]"
    assert found == {"api_key": told, "headers": {"Authorization": told}, "session_token": told, "secret": False}


@pytest.mark.parametrize(
    "text",
    [
        '{"use_mask_token": false, "mask_token": "[MASK]", "num_tokens": 257}',
        "tokenizer=bert, tokens: 5, max_token=5, token_count=7",
        "commit 22b330c28c27ead4bfd1888615af1340e3fe9052",
        "sha256:" + "9f" * 32,
        "https://hub.example/quentinll/lewm-pusht/config.json",
        "basic information on the signature of a function",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    """Digests, ordinary keys that contain `token`, and URLs without credentials survive."""
    assert clean_text(text) == text


@pytest.mark.parametrize(
    "piece", ["a", "a=", "token ", "https://", "key: ", 'k="\\', "-----BEGIN PRIVATE KEY-----", "eyJ"]
)
def test_cleaning_takes_linear_time(piece: str) -> None:
    """No text makes it crawl: 200 kB, however they repeat, take seconds at most."""
    start = time.process_time()
    clean_text(piece * (200_000 // len(piece)))
    assert time.process_time() - start < 5


def test_anything_json_can_hold_is_taken_apart() -> None:
    """Dataclasses, paths, arrays, sets and numbers that are not finite have a plain form; others are refused."""

    @dataclass
    class Held:
        path: Path
        values: Any

    found = clean([Held(Path("a/b"), np.array([1.5, np.nan])), {2, 1}, float("-inf"), np.float32(0.5)])
    assert found == [{"path": "a/b", "values": [1.5, "NaN"]}, [1, 2], "-Infinity", 0.5]
    assert names_secret("privateKey") and not names_secret("monkey")
    with pytest.raises(InputError, match="a object cannot be written"):
        clean(object())


def test_one_stream_feeds_both_bridges(tmp_path: Path) -> None:
    """Each event reaches TensorBoard and Rerun once, under one number, and a summary does not repeat it."""
    with RerunSession(RerunRecordingConfig(save_path=tmp_path / "a.rrd")) as session:
        inspector = create_tensorboard_inspector(log_dir=tmp_path / "logs")
        stream = EventStream([inspector.log_event, RerunEventSink(session)])
        for duration in (1.5, 2.5):
            stream({"provider": "hub", "operation": "fetch", "phase": "success", "duration_ms": duration})
        inspector.log_robotics_showcase_summary({"provider_events": [event.to_dict() for event in stream.events]})
        inspector.close()
    reader = EventAccumulator(str(tmp_path / "logs"), size_guidance={"tensors": 0})
    reader.Reload()
    tag = "worldforge/leworldmodel/events/hub/fetch/duration_ms"
    shown = [(event.step, event.tensor_proto.float_val[0]) for event in reader.Tensors(tag)]
    recorded = read(tmp_path / "a.rrd")["/worldforge/events/hub/fetch/success/duration_ms", "Scalars:scalars"]
    assert shown == [(point.times["worldforge_event"], point.content[0]) for point in recorded] == [(0, 1.5), (1, 2.5)]
    assert [name for name in reader.Tags()["tensors"] if name.startswith(tag)] == [tag]
