"""A recording says what the records say, and its digest knows it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rerun as rr
from rerun.chunk import RrdReader

from example_runs import finished, write_showcase
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.render.rerun import blueprint, chunks, cost_colors, digest, placed, render


def columns(run: FinishedRun, entity: str) -> dict[str, list[object]]:
    """Returns the columns of the first chunk at `entity`."""
    (chunk, *_) = (chunk for chunk in chunks(run) if chunk.entity_path == entity and not chunk.is_static)
    return chunk.to_record_batch().to_pydict()


def test_bytes_do_not_depend_on_the_process(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Two processes with different hash seeds write equal files, which therefore say the same."""
    code = (
        "import sys; from pathlib import Path; from lewm_evidence.records import FinishedRun;"
        "from lewm_evidence.render.rerun import render;"
        "render(FinishedRun(Path(sys.argv[2])), Path(sys.argv[1]))"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(tmp_path / f"{seed}.rrd"), str(examples["showcase"].path)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
    assert (tmp_path / "1.rrd").read_bytes() == (tmp_path / "2.rrd").read_bytes()
    assert digest(tmp_path / "1.rrd") == digest(tmp_path / "2.rrd")


def test_the_digest_survives_a_rewrite(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """The SDK's own recorder writes other ids, chunks and bytes; the digest says that the content is equal."""
    made = chunks(examples["showcase"])
    render(examples["showcase"], tmp_path / "a.rrd")
    recording = rr.RecordingStream("other", recording_id="other", send_properties=False)
    recording.save(tmp_path / "b.rrd", default_blueprint=blueprint())
    recording.send_chunks(made)
    recording.disconnect()
    assert (tmp_path / "a.rrd").read_bytes() != (tmp_path / "b.rrd").read_bytes()
    assert digest(tmp_path / "a.rrd") == digest(tmp_path / "b.rrd")


def changed(runs: Path, monkeypatch: pytest.MonkeyPatch, amount: float) -> FinishedRun:
    """Returns the made-up showcase with `amount` added to one of its scalars."""
    scalar = Run.scalar

    def other(self: Run, tag: str, value: float, step: int = 0) -> None:
        scalar(self, tag, value + (amount if (tag, step) == ("showcase/cost/best", 1) else 0), step)

    monkeypatch.setattr(Run, "scalar", other)
    return finished(runs, "showcase", write_showcase)


def test_one_changed_value_changes_the_digest(
    examples: dict[str, FinishedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scalar that differs in its last digits is seen, and only at its entity."""
    render(examples["showcase"], tmp_path / "a.rrd")
    render(changed(tmp_path, monkeypatch, 1e-12), tmp_path / "b.rrd")
    a, b = digest(tmp_path / "a.rrd"), digest(tmp_path / "b.rrd")
    assert a["total"] != b["total"]
    assert {name for name in a["entities"] if a["entities"][name] != b["entities"][name]} == {"/cost/best"}


def test_timelines_count_what_they_say(examples: dict[str, FinishedRun]) -> None:
    """States lie on environment steps, costs on decisions, elites on CEM iterations; decisions are on all rows."""
    run = examples["showcase"]
    agent = columns(run, "/agent_x")
    assert agent["step"] == list(range(13))
    assert agent["decision"] == [0] * 4 + [1] * 4 + [2] * 5
    best = columns(run, "/cost/best")
    assert (best["decision"], best["step"]) == ([0, 1, 2], [0, 4, 8])
    assert columns(run, "/prediction_error")["step"] == [4, 8, 12]
    elites = columns(run, "/cem/elite_cost_mean")
    assert elites["iteration"] == list(range(12))
    assert elites["decision"] == [0] * 4 + [1] * 4 + [2] * 4


def test_no_entity_has_two_kinds_of_content(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Each entity holds one archetype (and the style of its line), so that every view is clear."""
    render(examples["showcase"], tmp_path / "a.rrd")
    kinds: dict[str, set[str]] = {}
    for chunk in RrdReader(tmp_path / "a.rrd").stream().to_chunks():
        names = {name.partition(":")[0] for name in chunk.to_record_batch().schema.names if ":" in name}
        kinds.setdefault(chunk.entity_path, set()).update(names - {"SeriesLines"})
    assert {entity for entity, names in kinds.items() if len(names) != 1} == set()


def test_candidates_are_drawn_worst_first(examples: dict[str, FinishedRun]) -> None:
    """The best plan is drawn last, in the best colour, and the winner is drawn again on top."""
    run = examples["showcase"]
    decision = run.arrays(next(r.path for r in run.records("arrays") if r.tag == "showcase/decision"))
    costs = decision["candidate_costs"]
    drawn = columns(run, "/tabletop/candidates")["LineStrips2D:strips"][0]
    best, worst = decision["candidate_paths"][costs.argmin()], decision["candidate_paths"][costs.argmax()]
    np.testing.assert_allclose(drawn[-1], best, rtol=1e-6)
    np.testing.assert_allclose(drawn[0], worst, rtol=1e-6)
    winner = columns(run, "/tabletop/winner")["LineStrips2D:strips"][0]
    np.testing.assert_allclose(winner[0], best, rtol=1e-6)


def test_colours_follow_the_rank() -> None:
    """Huge cost differences do not wash out the rest: colours depend on the order of costs only."""
    np.testing.assert_array_equal(cost_colors(np.array([3.0, 1.0, 2.0])), cost_colors(np.array([1e9, 0.1, 0.2])))


def test_outline_is_closed_and_turned() -> None:
    """A quarter turn takes the block's x axis to the table's y axis (down), around the block's position."""
    outline = placed(np.array([[10.0, 0.0], [0.0, 5.0]]), np.array([0, 0, 100, 200, np.pi / 2, 0, 0]))
    np.testing.assert_allclose(outline, [[100, 210], [95, 200], [100, 210]])


def test_layout_shows_only_what_is_recorded(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Every view of the layout has an entity to show, so that no panel is empty."""
    entities = {chunk.entity_path for chunk in chunks(examples["showcase"])}
    path = tmp_path / "layout.rbl"
    blueprint().save("test", path)
    (store,) = RrdReader(path).blueprints()
    queries: list[str] = []
    for chunk in RrdReader(path).stream(store=store).to_chunks():
        batch = chunk.to_record_batch()
        for name in {"ViewBlueprint:space_origin", "ViewContents:query"} & set(batch.schema.names):
            queries += [query for cell in batch.column(name).to_pylist() for query in cell or []]
    assert len(queries) > 20
    for query in queries:
        prefix = query.lstrip("+- ").replace("$origin", "").replace("/**", "")
        assert any(entity.startswith(prefix) for entity in entities), query


def test_a_run_without_decisions_is_refused(tmp_path: Path) -> None:
    """Another stage's run is refused with a sentence."""
    with pytest.raises(StageError, match="is it a finished showcase"):
        chunks(finished(tmp_path, "fetch"))


def test_digest_is_json(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """The digest names every entity, sorted, and can be stored as canonical JSON."""
    render(examples["showcase"], tmp_path / "a.rrd")
    says = json.loads(json.dumps(digest(tmp_path / "a.rrd")))
    assert list(says["entities"]) == sorted(says["entities"])
    assert {"/frame", "/goal", "/tabletop/candidates", "/cost/best", "/outcome"} <= set(says["entities"])
