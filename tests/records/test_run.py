"""Run directories: what is written, what the manifest promises, and what a resumed run looks like."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lewm_evidence.canonical import canonical_json, sha256_file
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun, Run, Spec
from lewm_evidence.records.manifest import read_manifest, role_of
from lewm_evidence.records.run import run_key
from lewm_evidence.records.schema import RECORD

SPEC = Spec(stage="demo", config={"a": 1}, code="c", packages={}, device=None, precision=None, inputs={})


def write(runs: Path, value: float = 1.5, pixel: int = 0, weight: float = 0.0, latency: float = 0.1) -> FinishedRun:
    """A small run with one thing of each kind."""
    run = Run(runs, SPEC)
    run.scalar("loss", value, 3)
    run.histogram("costs", [1.0, 2.0])
    run.text("task", "push the block")
    run.event("outcome", success=True, method="lewm")
    run.image("frame", np.full((4, 6, 3), pixel, np.uint8))
    run.arrays("latents", {"z": np.array([weight, 1.0], np.float32)})
    run.timing("latency", latency)
    (run.path / "logs").mkdir(exist_ok=True)
    (run.path / "logs" / "console.log").write_text(f"took {latency}")
    run.finish({"python": "3"})
    return FinishedRun(run.path)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Every kind of record comes back with its value, in order."""
    run = write(tmp_path)
    assert run.last("loss") == 1.5
    assert run.scalars("loss") == {3: 1.5}
    assert [record.kind for record in run.records()] == ["scalar", "histogram", "text", "event", "image", "arrays"]
    assert run.events("outcome")[0].fields == {"success": True, "method": "lewm"}
    assert run.arrays("arrays/latents/00000.safetensors")["z"].tolist() == [0.0, 1.0]
    assert [(timing.tag, timing.unit) for timing in run.timings()] == [("latency", "s")]
    assert run.path.name == run_key(run.spec) == run.manifest.key


def test_the_manifest_lists_every_file_by_role_and_digest(tmp_path: Path) -> None:
    """Digests are those of the files; console output is named but not hashed."""
    run = write(tmp_path)
    for entry in run.manifest.files:
        assert entry.sha256 == sha256_file(run.path / entry.path)
    roles = {entry.path: entry.role for entry in run.manifest.files}
    assert roles["timing.jsonl"] == "timing"
    assert roles["records.jsonl"] == roles["spec.json"] == roles["frames/frame/00000.png"] == "result"
    assert [entry.path for entry in run.manifest.local] == ["logs"]


def test_only_results_are_in_the_result_digest(tmp_path: Path) -> None:
    """Any value, pixel or weight changes it; timing does not."""
    digest = write(tmp_path / "a").manifest.result_digest
    assert write(tmp_path / "b", latency=9.0).manifest.result_digest == digest
    changed = [
        write(tmp_path / "c", value=1.5000001),
        write(tmp_path / "d", pixel=1),
        write(tmp_path / "e", weight=1e-7),
    ]
    assert len({run.manifest.result_digest for run in changed} | {digest}) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    """The sentence names stage, tag and value, and nothing is written."""
    run = Run(tmp_path, SPEC)
    with pytest.raises(StageError, match=r"demo tried to record 'loss' with value=(nan|inf)"):
        run.scalar("loss", value)
    assert not (run.path / "records.jsonl").exists()


def test_a_tag_cannot_leave_the_run_directory(tmp_path: Path) -> None:
    """A tag becomes a path below `frames/`; one that climbs out is refused before anything is written."""
    run = Run(tmp_path, SPEC)
    for tag in ("../x", "a/../../x", "/x", "a//b", "a/"):
        with pytest.raises(StageError, match="tag"):
            run.image(tag, np.zeros((2, 2, 3), np.uint8))
    assert [path.name for path in tmp_path.rglob("*.png")] == []


def test_an_unfinished_run_says_so(tmp_path: Path) -> None:
    """Reading before the manifest exists gives a sentence, not a traceback."""
    run = Run(tmp_path, SPEC)
    run.scalar("loss", 1.0)
    run.close()
    with pytest.raises(StageError, match="not finished"):
        _ = FinishedRun(run.path).manifest
    with pytest.raises(StageError, match="no input 'checkpoint'"):
        run.input("checkpoint")


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    """File and line number of what cannot be read."""
    run = write(tmp_path)
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(b'{"kind":"scalar","tag":"x","step":0,"value":NaN}\n')
    with pytest.raises(StageError, match=r"records\.jsonl:7 is not a valid line"):
        list(run.records())


def test_a_link_in_a_run_is_refused(tmp_path: Path) -> None:
    """A run holds plain files only."""
    run = Run(tmp_path, SPEC)
    (run.path / "link").symlink_to("/etc/hostname")
    with pytest.raises(StageError, match="plain files only"):
        run.finish({})


def test_a_rewound_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """What was written after a resume point is cut off and written again."""
    run = Run(tmp_path, SPEC)
    run.scalar("loss", 1.0, 0)
    offsets = run.offsets()
    run.scalar("loss", 9.0, 1)
    run.timing("step", 0.1)
    again = Run(tmp_path, SPEC)
    run.close()
    again.rewind(offsets)
    again.scalar("loss", 2.0, 1)
    again.finish({})
    assert FinishedRun(again.path).scalars("loss") == {0: 1.0, 1: 2.0}
    assert not (again.path / "timing.jsonl").exists()


def test_secrets_home_and_keys_of_the_environment_do_not_reach_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known values are replaced in text and event fields, in plain and in base64."""
    from lewm_evidence.records import redact

    monkeypatch.setenv("MY_API_TOKEN", "canary-123456")
    monkeypatch.setenv("HOME", "/home/somebody")
    redact.forget()
    run = Run(tmp_path, SPEC)
    run.text("a", "with canary-123456 and Y2FuYXJ5LTEyMzQ1Ng== from /home/somebody/x; use_mask_token stays")
    run.event("b", message="canary-123456")
    run.close()
    text = (run.path / "records.jsonl").read_text()
    redact.forget()
    assert "canary" not in text and "somebody" not in text and "Y2FuYXJ5" not in text
    assert "use_mask_token stays" in text


def test_roles_follow_from_the_place() -> None:
    """Only what lies in `views/results` counts as a result among the views."""
    assert role_of("views/results/a/b") == "result"
    assert role_of("views/report/index.html") == role_of("views/timing/x") == "view"
    assert role_of("logs/console.log") == "local"
    assert role_of("checkpoint/model.safetensors") == "result"


def test_something_else_is_not_taken_for_a_manifest(tmp_path: Path) -> None:
    """A JSON file of another shape is refused with its path."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"stage": "demo"}))
    with pytest.raises(StageError, match=r"manifest\.json is not a run manifest"):
        read_manifest(path)


@settings(max_examples=50)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(min_value=0, max_value=2**40),
    st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}(/[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}){0,2}\Z"),
)
def test_a_record_survives_the_file(value: float, step: int, tag: str) -> None:
    """Any finite number at any step comes back exactly, and its line is canonical."""
    line = canonical_json({"v": 1, "kind": "scalar", "tag": tag, "step": step, "value": value})
    record = RECORD.validate_json(line)
    assert (record.tag, record.step, record.value) == (tag, step, value)  # type: ignore[union-attr]
    assert RECORD.validate_json(canonical_json(record.model_dump())) == record
