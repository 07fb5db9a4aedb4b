"""Differences are named down to the line, the value and the pixel."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save

import example_runs
from lewm_evidence.canonical import canonical_json
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.reproduce.compare import Comparison, Difference, compare_files, compare_runs, read_tensors
from lewm_evidence.reproduce.tolerances import TABLE, tolerance


def differences(folder: Path, name: str, before: bytes, after: bytes) -> list[Difference]:
    """Returns what is different between two files of that name."""
    (folder / "a").write_bytes(before)
    (folder / "b").write_bytes(after)
    return list(compare_files(name, folder / "a", folder / "b"))


def lines(*records: dict[str, Any]) -> bytes:
    """Returns a record file."""
    return b"".join(canonical_json(record) for record in records)


def scalar(tag: str, value: float, step: int = 0) -> dict[str, Any]:
    """Returns one scalar record."""
    return {"v": 1, "kind": "scalar", "tag": tag, "step": step, "value": value}


def test_a_record_is_named_by_line_tag_and_size(tmp_path: Path) -> None:
    """The tolerance is that of the quantity."""
    good = [scalar("showcase/error_px", 10.0, step) for step in range(5)]
    bad = [*good[:3], scalar("showcase/error_px", 10.75, 3), scalar("showcase/error_px", 10.25, 4)]
    first, second = differences(tmp_path, "records.jsonl", lines(*good), lines(*bad))
    assert first.place == "line 4, scalar showcase/error_px step 3, value"
    assert (first.sealed, first.found, first.size, first.within) == ("10.0", "10.75", 0.75, False)
    assert second.size == 0.25 and second.within


def test_another_order_or_number_of_records_is_named_once(tmp_path: Path) -> None:
    """What follows the first line that records something else would only repeat it."""
    rows = [scalar("a", 1.0), scalar("b", 1.0), scalar("c", 1.0)]
    (one,) = differences(tmp_path, "records.jsonl", lines(*rows), lines(rows[0], rows[2], rows[1]))
    assert (one.place, one.sealed, one.found) == ("line 2", "scalar b step 0", "scalar c step 0")
    (one,) = differences(tmp_path, "records.jsonl", lines(*rows), lines(*rows[:2]))
    assert (one.place, one.sealed, one.found, one.within) == ("line 3", "3 lines", "2 lines", False)


def test_digests_and_texts_are_derived(tmp_path: Path) -> None:
    """They differ because something else does; a choice among words does not."""
    event = {"v": 1, "kind": "event", "tag": "x", "step": 0}
    a = event | {"fields": {"digest": "a" * 64, "winner_source": "cem"}}
    b = event | {"fields": {"digest": "b" * 64, "winner_source": "random"}}
    digest, choice = differences(tmp_path, "records.jsonl", lines(a), lines(b))
    assert digest.derived and not choice.derived and not choice.within
    assert choice.place == "line 1, event x step 0, fields.winner_source"


def test_a_tensor_is_named_with_its_index(tmp_path: Path) -> None:
    """The largest difference, how many there are, and the tolerance of latents: 1e-4 of the largest magnitude."""
    old = {"predicted_latents": np.full((4, 8), 10.0, np.float32), "winner": np.array(3)}
    new = {"predicted_latents": old["predicted_latents"].copy(), "winner": np.array(3)}
    new["predicted_latents"][2, 5] += 0.0005
    new["predicted_latents"][1, 1] += 0.0001
    (one,) = differences(tmp_path, "arrays/x/00000.safetensors", save(old), save(new))
    assert one.place == "tensor predicted_latents[2, 5] (2 of 32 values differ, the largest)"
    assert one.size == pytest.approx(0.0005, rel=1e-3) and one.allowed == pytest.approx(0.001) and one.within
    (one,) = differences(tmp_path, "a.safetensors", save(old), save(old | {"winner": np.array(4)}))
    assert one.place == "tensor winner" and one.size == 1 and not one.within
    (one,) = differences(tmp_path, "a.safetensors", save(old), save({"winner": np.array(3)}))
    assert (one.place, one.found) == ("tensor predicted_latents", "is missing")
    (one,) = differences(tmp_path, "a.safetensors", save(old), save(old | {"winner": np.array([3])}))
    assert one.found == "int64 [1]"


def test_not_a_number_is_a_difference_without_a_size(tmp_path: Path) -> None:
    """NaN equals NaN, and nothing else."""
    old = {"goal_latent": np.array([1.0, np.nan, 3.0])}
    new = {"goal_latent": np.array([1.0, np.nan, np.nan])}
    (one,) = differences(tmp_path, "a.safetensors", save(old), save(new))
    assert one.place == "tensor goal_latent[2]" and one.size is None and not one.within
    assert differences(tmp_path, "a.safetensors", save(old), save(old)) == []


def test_a_pixel_is_named(tmp_path: Path) -> None:
    """Where the first is, how many differ, and the share that is off by much."""

    def png(pixels: "np.ndarray[Any, Any]") -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    old = np.zeros((20, 20, 3), np.uint8)
    new = old.copy()
    new[7, 3] = (0, 90, 0)
    new[9, 9] = (1, 0, 0)
    (one,) = differences(tmp_path, "frames/x.png", png(old), png(new))
    assert one.place.startswith("pixel (3, 7)") and "2 of 400 pixels" in one.found
    assert one.size == 1 / 400 and one.within
    (one,) = differences(tmp_path, "frames/x.png", png(old), png(old + 100))
    assert one.size == 1 and not one.within
    (one,) = differences(tmp_path, "frames/x.png", png(old), png(old[:5]))
    assert one.found == "[5, 20, 3]"


def test_points_of_an_event_file_are_named(tmp_path: Path) -> None:
    """Tag and step, for numbers as for pictures and text."""
    from lewm_evidence.render.tensorboard import FILE_NAME, EventWriter

    files = []
    for side, value in (("one", 1.0), ("two", 2.0)):
        with EventWriter(tmp_path / side) as writer:
            writer.scalar("showcase/error_px", 5.0, 0)
            writer.scalar("showcase/error_px", value, 1)
            writer.text("showcase/task", f"value {value}", 1)
        files.append((tmp_path / side / FILE_NAME).read_bytes())
    number, text = differences(tmp_path, f"views/results/x/{FILE_NAME}", *files)
    assert (number.place, number.size, number.allowed) == ("showcase/error_px step 1", 1.0, 0.5)
    assert text.place == "showcase/task step 1" and text.derived


def test_entities_of_a_recording_are_named(tmp_path: Path) -> None:
    """By the digests beside it."""
    a, b = ({"entities": {"/x": "a" * 64, "/y": digest * 64}, "total": digest * 64} for digest in "bc")
    (one,) = differences(tmp_path, "v.rrd.json", canonical_json(a), canonical_json(b))
    assert one.place == "entity /y" and one.derived


def test_values_of_a_document_are_named(tmp_path: Path) -> None:
    """By the path of keys."""
    a = {"evaluate": {"lewm": {"mean_final_error_px": [1.0, 2.0]}}, "n": 1}
    b = {"evaluate": {"lewm": {"mean_final_error_px": [1.0, 9.0]}}, "m": 1}
    first, second, third = differences(tmp_path, "summary.json", canonical_json(a), canonical_json(b))
    assert (first.place, first.size, first.within) == ("evaluate.lewm.mean_final_error_px[1]", 7.0, False)
    assert (second.place, second.sealed, third.found) == ("m", "absent", "absent")


def test_bytes_are_named_where_nothing_better_is_known(tmp_path: Path) -> None:
    """Also where the bytes differ but what they say does not."""
    (one,) = differences(tmp_path, "page.html", b"abcd", b"abXd")
    assert (one.place, one.sealed, one.found, one.within) == ("byte 2", "0x63", "0x58", False)
    (one,) = differences(tmp_path, "a.json", b'{"a":1}', b'{"a": 1}')
    assert (one.place, one.found) == ("byte 5", "8 bytes")


def compared(folder: Path, stage: str, same_inputs: bool, *values: float, **fields: str) -> Comparison:
    """Compares two runs that record a cost and an event with a digest."""
    made: list[FinishedRun] = []
    for side, value in zip("ab", values, strict=True):

        def write(run: Run, value: float = value, side: str = side) -> None:
            run.scalar("showcase/cost/best", value)
            run.event("x", digest=fields.get(side, "f" * 64))

        made.append(example_runs.finished(folder / side, stage, write))
    return compare_runs(made[0], made[1], same_inputs)


def test_the_verdict_of_a_stage(tmp_path: Path) -> None:
    """Equal, small, large; a digest alone is only excused by an input that is not equal; copies have no tolerance."""
    digest = {"a": "a" * 64, "b": "b" * 64}
    cases: list[tuple[str, str, bool, tuple[float, float], dict[str, str]]] = [
        ("equal", "showcase", True, (1.0, 1.0), {}),
        ("within tolerance", "showcase", True, (1.0, 1.0005), {}),
        ("within tolerance", "showcase", False, (1.0, 1.0005), digest),
        ("different", "showcase", True, (1.0, 2.0), {}),
        ("different", "showcase", True, (1.0, 1.0), digest),
        ("within tolerance", "showcase", False, (1.0, 1.0), digest),
        ("different", "fetch", True, (1.0, 1.0005), {}),
    ]
    for number, (verdict, stage, same, values, fields) in enumerate(cases):
        found = compared(tmp_path / str(number), stage, same, *values, **fields)
        assert found.verdict == verdict, cases[number]
        assert (found.first is None) == (verdict == "equal")


def test_a_missing_file_is_different(tmp_path: Path) -> None:
    """It is named."""
    made = [
        example_runs.finished(tmp_path / side, "showcase", lambda run, s=side: (run.path / f"{s}.txt").touch())
        for side in "ab"
    ]
    found = compare_runs(made[0], made[1], True)
    assert found.verdict == "different"
    assert [(file.file, file.first.found) for file in found.files] == [("a.txt", "is missing"), ("b.txt", "is there")]


@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_one_changed_value_is_found_wherever_it_is(data: st.DataObject, shape: list[int]) -> None:
    """Tensor, index and size come out as they were put in."""
    names = data.draw(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4, unique=True))
    old = {name: np.ones(shape, np.float64) for name in names}
    name = data.draw(st.sampled_from(names))
    index = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    by = data.draw(st.floats(1e-9, 1e9))
    new = {key: value.copy() for key, value in old.items()}
    new[name][index] += by
    from lewm_evidence.reproduce.compare import _tensors

    (one,) = _tensors("arrays/x", save(old), save(new))
    assert one.place == f"tensor {name}{list(index)}"
    assert one.size == pytest.approx(by, rel=1e-6) and not one.within


@given(st.data(), st.sampled_from(["<f8", "<f4", "<f2", "<i8", "<u8", "<u1", "?"]), st.integers(1, 4))
def test_any_two_arrays_are_compared(data: st.DataObject, kind: str, size: int) -> None:
    """Infinities, NaN, huge integers and zeros with a sign: other bytes are a difference, never within 0."""
    from lewm_evidence.reproduce.compare import _tensors

    width = np.dtype(kind).itemsize * size
    pair = [np.frombuffer(data.draw(st.binary(min_size=width, max_size=width)), kind) for _ in range(2)]
    pair = [array.astype(bool) if kind == "?" else array for array in pair]
    found = list(_tensors("arrays/x", save({"x": pair[0]}), save({"x": pair[1]})))
    assert (found == []) == (pair[0].tobytes() == pair[1].tobytes())
    assert not any(one.within for one in found)


def test_a_signalling_nan_is_a_difference_and_no_warning() -> None:
    """Converting one to a wider type made numpy warn, which ended the comparison; found by the test above."""
    from lewm_evidence.reproduce.compare import _tensors

    one, other = (np.frombuffer(data, "<f4") for data in (b"\0\0\0\0", b"\0\0\x81\x7f"))
    (found,) = _tensors("arrays/x", save({"x": one}), save({"x": other}))
    assert not found.within


@settings(max_examples=150)
@given(
    st.sampled_from(["a.jsonl", "a.json", "a.rrd.json", "a.safetensors", "a.png", "x.tfevents.0", "b.rrd", "c"]),
    st.binary(max_size=60),
    st.binary(max_size=60),
)
def test_any_bytes_are_compared(name: str, before: bytes, after: bytes) -> None:
    """Equal bytes give nothing, others at least one difference; nothing is raised."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = differences(Path(folder), name, before, after)
        assert (found == []) == (before == after)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.dictionaries(st.text(), s)))
def test_a_document_is_equal_to_itself_only(value: Any) -> None:
    """A changed leaf is found; the same value is not."""
    from lewm_evidence.reproduce.compare import _values

    assert list(_values(value, json.loads(json.dumps(value)), "")) == []
    assert list(_values({"x": value}, {"x": [value]}, "")) != []


def test_bfloat16_is_read() -> None:
    """Which numpy lacks."""
    header = json.dumps({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    data = len(header).to_bytes(8, "little") + header + b"\x80\x3f\x00\xc0"
    assert read_tensors(data)["x"].tolist() == [1.0, -2.0]


def test_the_first_pattern_of_the_table_decides() -> None:
    """Every row is reached by the tags it was written for; what nobody named is exact."""
    names = {
        "evaluate/lewm/success": "counts",
        "evaluate/lewm/success_rate_low": "counts",
        "showcase/decision/winner_cost": "costs",
        "showcase/decision/winner_source": "counts",
        "showcase/latent_distance": "costs",
        "goal_latent": "latents",
        "candidate_costs": "costs",
        "candidate_actions": "actions",
        "showcase/block_angle": "angles",
        "evaluate/lewm_minus_noop/final_error_px_high": "positions",
        "showcase/agent_x": "positions",
        "elite_paths": "positions",
        "goal_state": "positions",
        "gate/check/value": "positions",
        "train/loss": "training",
        "checkpoint/model.safetensors:encoder.weight": "weights",
        "candidate_source": "counts",
        "checkpoint/parameters": "counts",
    }
    for name, quantity in names.items():
        assert tolerance(name).quantity.startswith(quantity), name
    assert len({row for _, row in TABLE}) > 6
