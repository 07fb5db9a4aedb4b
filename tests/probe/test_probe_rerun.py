"""The probe passes on what was rendered and names what is missing."""

from pathlib import Path
from typing import Any

import pytest
from rerun.chunk import Chunk

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.rerun import check, verify
from lewm_evidence.records import FinishedRun
from lewm_evidence.render import rerun as renderer


def test_passes_on_what_was_rendered(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Rerun's own check accepts the file and everything the records name is read back."""
    path = tmp_path / "a.rrd"
    renderer.render(examples["showcase"], path)
    verify(path, tmp_path / "logs")
    rows = {row.entity: row.points for row in check(path, examples["showcase"])}
    assert rows["/frame"] == 13
    assert rows["/cost/best"] == rows["/tabletop/candidates"] == 3
    assert rows["/cem/elite_cost_min"] == 12


def test_verify_refuses_a_broken_file(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """A file cut in the middle is refused, with Rerun's own words."""
    path = tmp_path / "a.rrd"
    renderer.render(examples["showcase"], path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ProbeError, match=r"rerun rrd verify refuses .*a\.rrd with status"):
        verify(path, tmp_path / "logs")


def test_reading_nonsense_is_a_probe_error(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """A file that is no recording gives a sentence, not the reader's own exception."""
    path = tmp_path / "a.rrd"
    path.write_bytes(b"not a recording")
    with pytest.raises(ProbeError, match="cannot read"):
        check(path, examples["showcase"])


def without_last_row(chunk: Chunk) -> Chunk:
    """Returns the chunk without its last row."""
    (shorter,) = Chunk.from_record_batch(chunk.to_record_batch().slice(0, chunk.num_rows - 1))
    return shorter


@pytest.mark.parametrize(
    ("entity", "drop", "message"),
    [
        ("/cost/best", "all", r"no scalar at '/cost/best', the records name 3"),
        ("/cost/best", "last", r"2 of 3 scalar points at '/cost/best'"),
        ("/frame", "last", r"12 of 13 image points at '/frame'"),
        ("/tabletop/candidates", "last", r"2 of 3 strips points at '/tabletop/candidates'"),
        ("/tabletop/agent", "last", r"12 of 13 positions points at '/tabletop/agent'"),
        ("/task", "all", r"no text at '/task'"),
    ],
)
def test_names_what_was_dropped(
    examples: dict[str, FinishedRun],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entity: str,
    drop: str,
    message: str,
) -> None:
    """A renderer that drops an entity, or one of its rows, is found out by name."""
    made = renderer.chunks(examples["showcase"])
    kept = [chunk for chunk in made if chunk.entity_path != entity]
    if drop == "last":
        kept += [without_last_row(chunk) for chunk in made if chunk.entity_path == entity and not chunk.is_static]
    monkeypatch.setattr(renderer, "chunks", lambda _: kept)
    renderer.render(examples["showcase"], tmp_path / "a.rrd")
    with pytest.raises(ProbeError, match=message):
        check(tmp_path / "a.rrd", examples["showcase"])


def test_names_what_was_changed(
    examples: dict[str, FinishedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renderer that shows another value is found out by entity and step."""
    columns = renderer.rr.Scalars.columns

    def wrong(scalars: list[float]) -> Any:
        return columns(scalars=[*scalars[:-1], scalars[-1] + 1e-9])

    monkeypatch.setattr(renderer.rr.Scalars, "columns", wrong)
    renderer.render(examples["showcase"], tmp_path / "a.rrd")
    with pytest.raises(ProbeError, match=r"another scalar at '/.*', step \d+"):
        check(tmp_path / "a.rrd", examples["showcase"])
