"""Event files are a pure function of the records and lose nothing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from example_runs import finished
from lewm_evidence.canonical import sha256_file
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.render.tensorboard import FILE_NAME, LAYOUT, EventWriter, Series, _charts, render

SOURCES = {"fetch", "showcase", "evaluate"}


def read(folder: Path) -> dict[str, list[tuple[int, object]]]:
    """Returns step and decoded tensor of every point by tag."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    tags = accumulator.Tags()["tensors"]
    return {
        tag: [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in accumulator.Tensors(tag)]
        for tag in tags
    }


def digests(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file below `folder`."""
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_scalar_reads_back(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Each scalar record is found again, at its step, as float32."""
    render([examples["showcase"]], tmp_path)
    shown = read(tmp_path / "results" / "showcase")
    for record in examples["showcase"].records("scalar"):
        assert dict(shown[record.tag])[record.step] == np.float32(record.value)


def test_images_stay_per_step(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """A tag with several pictures shows each one at its own step, with the bytes of the PNG file."""
    render([examples["showcase"]], tmp_path)
    shown = dict(read(tmp_path / "results" / "showcase")["showcase/frame"])
    for record in examples["showcase"].records("image"):
        if record.tag == "showcase/frame":
            assert shown[record.step][2] == (examples["showcase"].path / record.path).read_bytes()


def test_series_counts_what_was_written(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """The returned rows name each run, tag, kind and number of points."""
    rows = render(examples.values(), tmp_path)
    assert {row.run for row in rows} == {f"{part}/{name}" for part in ("results", "timing") for name in SOURCES}
    assert Series("results/showcase", "showcase/frame", "image", 13) in rows
    assert Series("results/evaluate", "evaluate/lewm/success", "scalar", 6) in rows
    assert Series("timing/showcase", "timing/decision/solve", "scalar", 3) in rows
    assert Series("results/showcase", "events/showcase/decision", "text", 3) in rows


def test_bytes_do_not_depend_on_the_process(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Two processes with different hash seeds write equal files."""
    code = (
        "import sys; from pathlib import Path; from lewm_evidence.records import FinishedRun;"
        "from lewm_evidence.render.tensorboard import render;"
        "render([FinishedRun(Path(sys.argv[2]))], Path(sys.argv[1]))"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(tmp_path / seed), str(examples["showcase"].path)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_results_do_not_hold_timings(tmp_path: Path) -> None:
    """Runs that differ only in what the machine measured give equal results and different timings."""
    for name, seconds in (("a", 1.0), ("b", 2.0)):

        def write(run: Run, seconds: float = seconds) -> None:
            run.scalar("x", 1.0)
            run.timing("solve", seconds)

        render([finished(tmp_path / "runs" / name, "showcase", write)], tmp_path / name)
    a, b = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert {name for name in a if a[name] != b[name]} == {f"timing/showcase/{FILE_NAME}"}


def test_a_repeated_step_is_kept(tmp_path: Path) -> None:
    """A value whose step is not new opens a second series, because one of TensorBoard's readers would drop it."""
    with EventWriter(tmp_path) as writer:
        for step, value in ((0, 1.0), (1, 2.0), (1, 3.0), (0, 4.0), (2, 5.0)):
            writer.scalar("x", value, step)
    shown = {tag: [(step, float(value)) for step, value in points] for tag, points in read(tmp_path).items()}
    assert shown == {"x": [(0, 1.0), (1, 2.0), (2, 5.0)], "x#2": [(1, 3.0)], "x#3": [(0, 4.0)]}


def test_one_tag_of_two_kinds_is_refused(tmp_path: Path) -> None:
    """TensorBoard shows one kind per tag; the message names the tag and both kinds."""
    with EventWriter(tmp_path) as writer, pytest.raises(StageError, match=r"'x' is recorded as scalar and as text"):
        writer.scalar("x", 1.0, 0)
        writer.text("x", "words", 1)


def test_layout_names_only_recorded_charts(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """The custom-scalars page of a stage has its charts; a stage without such scalars has no page."""
    render([examples["showcase"], examples["fetch"]], tmp_path)
    tag = "custom_scalars__config__"
    page = read(tmp_path / "results" / "showcase")[tag][0][1]
    assert b"Cost of the shown candidates" in page.item()
    assert tag not in read(tmp_path / "results" / "fetch")


def test_every_chart_draws_recorded_tags(examples: dict[str, FinishedRun]) -> None:
    """No chart of the custom-scalars page is empty."""
    names = [record.tag for record in examples["showcase"].records("scalar")]
    assert set(_charts("showcase", names)) == set(LAYOUT["showcase"])


def test_a_run_without_records_is_not_listed(tmp_path: Path) -> None:
    """A stage that records nothing leaves no event file, which TensorBoard would list as a run."""
    rows = render([finished(tmp_path / "runs", "fetch")], tmp_path / "views")
    assert {row.run for row in rows} == {"timing/fetch"}
    assert list(digests(tmp_path / "views")) == [f"timing/fetch/{FILE_NAME}"]


@given(st.lists(st.integers(0, 9), max_size=40))
def test_every_series_counts_upwards(steps: list[int]) -> None:
    """Whatever the order of steps, each series is strictly increasing and no value is lost."""
    writer = EventWriter(Path("never-written"))
    series: dict[str, list[int]] = {}
    for step in steps:
        series.setdefault(writer._place("x", step), []).append(step)
    assert sorted(step for placed in series.values() for step in placed) == sorted(steps)
    assert all(placed == sorted(set(placed)) for placed in series.values())


def test_a_field_cannot_break_its_table(tmp_path: Path) -> None:
    """Bars and line breaks in an event's string stay inside their cell."""
    run = finished(tmp_path / "runs", "fetch", lambda run: run.event("note", said="a|b\nc"))
    render([run], tmp_path / "views")
    table = read(tmp_path / "views" / "results" / "fetch")["events/note"][0][1].item().decode()
    assert table.splitlines()[2:] == [r"| said | a\|b c |"]
