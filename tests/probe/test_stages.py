"""The four stages, one after the other, on made-up runs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from example_runs import build, finished, write_train
from lewm_evidence.errors import ProbeError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.stages import probe_rerun, probe_tensorboard, render_rerun, render_tensorboard


def chain(runs: Path) -> dict[str, FinishedRun]:
    """Returns the finished render and probe runs over the made-up ones, by stage name."""
    shown = {name: run.name for name, run in build(runs).items()}
    done = {}

    def add(stage: str, run: Callable[[Run], None], **inputs: str) -> str:
        done[stage] = finished(runs, stage, run, **inputs)
        return done[stage].name

    tensorboard = add("render_tensorboard", render_tensorboard.run, **shown)
    recorded = {"showcase": shown["showcase"], "train": finished(runs, "train", write_train).name}
    rerun = add("render_rerun", render_rerun.run, **recorded)
    add("probe_tensorboard", probe_tensorboard.run, render=tensorboard, **shown)
    add("probe_rerun", probe_rerun.run, render=rerun, **recorded)
    return done


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FinishedRun]:
    """The chain, made once; read only."""
    return chain(tmp_path_factory.mktemp("chain") / "runs")


def test_two_chains_give_equal_results(done: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Made again from scratch in another folder, each stage has the same result digest."""
    again = chain(tmp_path / "elsewhere")
    assert {name: run.manifest.result_digest for name, run in again.items()} == {
        name: run.manifest.result_digest for name, run in done.items()
    }


def test_probes_record_every_check(done: dict[str, FinishedRun]) -> None:
    """A probe's records name each thing compared and the totals agree with them."""
    for name in ("tensorboard", "rerun"):
        run = done[f"probe_{name}"]
        checks = run.events(f"probe/{name}/check")
        (total,) = run.events(f"probe/{name}")
        assert len(checks) > 20
        assert total.fields["points"] == sum(int(check.fields["points"] or 0) for check in checks)


def test_what_depends_on_the_machine_is_no_result(done: dict[str, FinishedRun]) -> None:
    """Timing charts are views; the recording and result charts are results."""
    roles = {entry.path: entry.role for run in done.values() for entry in run.manifest.files}
    assert roles["views/results/showcase.rrd"] == "result"
    assert roles["views/results/showcase.rrd.json"] == roles["views/results/training.rrd"] == "result"
    charts = {path: role for path, role in roles.items() if "tfevents" in path}
    assert {role for path, role in charts.items() if path.startswith("views/results/")} == {"result"}
    assert {role for path, role in charts.items() if path.startswith("views/timing/")} == {"view"}


def test_a_recording_that_was_exchanged_is_refused(done: dict[str, FinishedRun], tmp_path: Path) -> None:
    """A recording that says something else than its render promised does not pass."""
    runs = tmp_path / "runs"
    shutil.copytree(done["render_rerun"].path.parents[1], runs)
    promise = runs / done["render_rerun"].name / "views" / "results" / "showcase.rrd.json"
    promise.write_text(promise.read_text().replace('"total":"', '"total":"0'))
    inputs = done["probe_rerun"].spec.inputs
    with pytest.raises(ProbeError, match="render it again"):
        finished(runs, "probe_rerun", probe_rerun.run, {"again": True}, **inputs)


def test_a_render_that_promises_less_is_refused(done: dict[str, FinishedRun], tmp_path: Path) -> None:
    """When the render run names fewer points than the records, the probe says which."""
    runs = tmp_path / "runs"
    shutil.copytree(done["render_tensorboard"].path.parents[1], runs)
    records = runs / done["render_tensorboard"].name / "records.jsonl"
    kept = [line for line in records.read_text().splitlines(True) if '"showcase/cost/best"' not in line]
    records.write_text("".join(kept))
    inputs = done["probe_tensorboard"].spec.inputs
    with pytest.raises(ProbeError, match=r"wrote 0 points of scalar 'showcase/cost/best' in run 'results/showcase'"):
        finished(runs, "probe_tensorboard", probe_tensorboard.run, {"again": True}, **inputs)
