"""The pinned writer makes files that Rerun takes for its own."""

from pathlib import Path

import pytest
import rerun as rr
import rerun.blueprint as rrb
from rerun.chunk import Chunk, LazyChunkStream, RrdReader

from lewm_evidence.errors import StageError
from lewm_evidence.render.rrd import _joined, _taken_apart, checksum, write


def layout() -> rrb.Blueprint:
    """Returns a small nested layout of three views."""
    tabs = rrb.Tabs(rrb.TimeSeriesView(origin="/x", name="Plot"), rrb.TextDocumentView(origin="/t"))
    return rrb.Blueprint(rrb.Vertical(tabs, rrb.TimeSeriesView(origin="/x")))


def data() -> list[Chunk]:
    """Returns three numbers over a timeline and a text that is always true."""
    times = [rr.TimeColumn("step", sequence=[0, 1, 2])]
    numbers = Chunk.from_columns("/x", times, rr.Scalars.columns(scalars=[1.0, 2.0, 4.0]))
    return [numbers, Chunk.from_columns("/t", [], rr.TextDocument.columns(text=["words"]))]


KNOWN = {b"": 0x02CC5D05, b"a": 0x550D7456, b"abc": 0x32D153FF, b"Nobody inspects the spammish repetition": 0xE2293B2F}


@pytest.mark.parametrize(("text", "expected"), KNOWN.items())
def test_checksum_is_xxh32(text: bytes, expected: int) -> None:
    """Known values of XXH32 with seed 0, below and above its block of 16 bytes."""
    assert checksum(text) == expected


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    """Ids, times and views made anew do not show in the file."""
    for name in "ab":
        write(tmp_path / name, "app", "recording", data(), layout())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_reads_back_with_data_and_layout(tmp_path: Path) -> None:
    """Rerun's reader finds one recording and one layout, and every row."""
    path = tmp_path / "a.rrd"
    write(path, "app", "recording", data(), layout())
    reader = RrdReader(path)
    (recording,) = reader.recordings()
    assert (recording.application_id, recording.recording_id) == ("app", "recording")
    (blueprint,) = reader.blueprints()
    views = {str(chunk.entity_path) for chunk in reader.stream(store=blueprint).to_chunks()}
    assert sum(name.startswith("/view/") and name.count("/") == 2 for name in views) == 3
    store = reader.store(store=recording)  # needs the footer
    rows = [
        c.to_record_batch().column("Scalars:scalars").to_pylist() for c in store.stream().to_chunks() if not c.is_static
    ]
    assert rows == [[[1.0], [2.0], [4.0]]]


def test_joining_what_was_taken_apart_changes_no_message(tmp_path: Path) -> None:
    """A file that Rerun wrote, taken apart and joined again, has the same messages and the same store."""
    path = tmp_path / "a.rrd"
    LazyChunkStream.from_iter(data()).write_rrd(path, application_id="app", recording_id="r")
    file = _taken_apart(path.read_bytes())
    again = _taken_apart(_joined([file]))
    assert again.messages == file.messages
    assert again.manifest[1] == file.manifest[1]


def test_another_framing_is_refused() -> None:
    """A file that is not laid out as expected names the version it needs."""
    with pytest.raises(StageError, match=r"rerun-sdk 0\.41\.0"):
        _taken_apart(b"RRF9" + bytes(100))
