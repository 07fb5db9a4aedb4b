"""Two bundles or runs side by side."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import example_runs
from lewm_evidence.cli import main
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.reproduce.diff import Metric, Value, diff, flat, rows, table
from lewm_evidence.seal.bag import write_bag


def evaluated(runs: Path, error: float, **config: int) -> FinishedRun:
    """Returns a finished run with one metric."""

    def write(run: Run) -> None:
        for end, value in (("", error), ("_low", error - 5), ("_high", error + 5)):
            run.scalar(f"evaluate/lewm/mean_final_error_px{end}", value)

    return example_runs.finished(runs, "evaluate", write, config)


@pytest.fixture
def bags(tmp_path: Path) -> tuple[Path, Path]:
    """Two bags that differ in seed and error."""
    for side, error, seed in (("a", 80.0, 1), ("b", 60.0, 2)):
        run = evaluated(tmp_path / side / "runs", error, seed=seed)
        write_bag(tmp_path / side / "bag", {"evaluate": run}, {"evaluate": {"seed": seed, "budget": 50}})
    return tmp_path / "a" / "bag", tmp_path / "b" / "bag"


def test_names_what_differs(bags: tuple[Path, Path]) -> None:
    """Configuration, stages and metrics with intervals; what is the same is not repeated."""
    found = diff(*bags)
    assert [(row.what, row.a, row.b) for row in found.sections["configuration"]] == [("evaluate.seed", "1", "2")]
    assert [row.what for row in found.sections["stages"]] == ["evaluate"]
    assert found.sections["checkpoint"] == found.sections["environment"] == []
    (metric,) = found.metrics
    assert (metric.a, metric.b) == (Value(80, 75, 85), Value(60, 55, 65))
    assert metric.change == -20 and metric.apart and not found.same
    lines = table(found)
    assert "  evaluate.seed  1  2" in lines and "environment: the same" in lines
    assert lines[-1].endswith("80 [75, 85]  60 [55, 65]  -20, intervals apart")


def test_a_bundle_is_the_same_as_itself(bags: tuple[Path, Path]) -> None:
    """However it is given."""
    found = diff(bags[0], bags[0])
    assert found.same and all(not section for section in found.sections.values())
    assert table(found)[-1].endswith("same")


def test_runs_are_compared_with_runs_and_with_their_stage_in_a_bundle(bags: tuple[Path, Path]) -> None:
    """Of a bundle only that stage is looked at."""
    runs = [next((bag.parent / "runs" / "evaluate").iterdir()) for bag in bags]
    assert diff(bags[0], runs[0]).same
    found = diff(runs[0], runs[1])
    assert [row.what for row in found.sections["configuration"]] == ["seed"]
    assert found.metrics[0].change == -20


def test_the_command_has_a_status(bags: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """0 the same, 1 different, 2 could not run."""
    a, b = map(str, bags)
    assert main(["diff", a, a]) == 0
    capsys.readouterr()
    assert main(["diff", a, b, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is False and told["metrics"][0]["apart"] is True and told["metrics"][0]["change"] == -20
    assert main(["diff", a, f"{b}-not"]) == 2


def test_the_checkpoint_is_compared(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """By its files and where it came from."""

    def write(run: Run) -> None:
        example_runs.write_fetch(run)
        (run.path / "checkpoint" / "provenance.json").write_text('{"source": "hub", "revision": "abc"}')
        (run.path / "checkpoint" / "model.safetensors").write_bytes(b"other bytes")

    other = example_runs.finished(tmp_path / "runs", "fetch", write)
    found = diff(examples["fetch"].path, other.path).sections["checkpoint"]
    assert [row.what for row in found] == [
        "checkpoint/model.safetensors",
        "checkpoint/provenance.json",
        "provenance.name",
        "provenance.revision",
        "provenance.source",
    ]
    assert (found[-1].a, found[-1].b) == ("embedded", "hub")


trees = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
    max_leaves=8,
).filter(lambda tree: isinstance(tree, dict))


@given(trees, trees)
def test_rows_are_exactly_what_differs(a: dict[str, object], b: dict[str, object]) -> None:
    """None for equal trees, the same whichever comes first, and one for every name that is not in both alike."""
    x, y = flat(a), flat(b)
    found = list(rows(x, y))
    assert (found == []) == (x == y)
    assert [(row.what, row.b, row.a) for row in rows(y, x)] == [(row.what, row.a, row.b) for row in found]
    assert {row.what for row in found} == {
        name for name in x.keys() | y.keys() if x.get(name, rows) != y.get(name, rows)
    }


@given(st.tuples(*[st.floats(-1e3, 1e3)] * 4))
def test_intervals_are_apart_when_they_share_nothing(ends: tuple[float, float, float, float]) -> None:
    """Whichever comes first."""
    (a, b), (c, d) = sorted(ends[:2]), sorted(ends[2:])
    one, two = Value(a, a, b), Value(c, c, d)
    assert Metric("x", one, two).apart == Metric("x", two, one).apart == (max(a, c) > min(b, d))
    assert not Metric("x", one, None).apart and not Metric("x", one, Value(c)).apart
