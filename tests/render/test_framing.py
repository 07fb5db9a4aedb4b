"""Fast framing and fast scalars give the bytes of TensorBoard's own, slow ones."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto import types_pb2
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.record_writer import RecordWriter

from lewm_evidence.render.framing import frame
from lewm_evidence.render.tensorboard import FILE_NAME, EventWriter, _scalar_event


def framed(records: list[bytes]) -> bytes:
    """Returns what TensorBoard's record writer makes of the records."""

    class Buffer(io.BytesIO):
        def close(self) -> None:
            """Keeps the content."""

    buffer = Buffer()
    writer = RecordWriter(buffer)
    for record in records:
        writer.write(record)
    writer.flush()
    return buffer.getvalue()


@given(st.lists(st.binary(max_size=90), max_size=60))
def test_frames_as_tensorboard_does(records: list[bytes]) -> None:
    """Whatever the lengths and their order, few or many."""
    assert frame(records) == framed(records)


def test_long_records_among_short_ones() -> None:
    """A picture between scalars is framed where it stands."""
    records = [bytes([n]) * (n % 7) for n in range(100)]
    records[40:40] = [b"picture" * 1000]
    assert frame(records) == framed(records)


@given(st.text(min_size=1), st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(0, 2**40))
def test_a_scalar_s_bytes_are_protobuf_s(tag: str, value: float, step: int) -> None:
    """The event written by hand is the one that the protocol buffers serialise to."""
    tensor = TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[value])
    summary = Summary(value=[Summary.Value(tag=tag, tensor=tensor)])
    assert _scalar_event(tag, value, step) == Event(wall_time=step, step=step, summary=summary).SerializeToString()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 3.4028235e38])
def test_values_beyond_float32_are_left_to_protobuf(tmp_path: Path, value: float) -> None:
    """No value breaks the writer, and buffering does not change a byte."""
    for name in ("live", "buffered"):
        with EventWriter(tmp_path / name, buffered=name == "buffered") as writer:
            for step, shown in enumerate((1.0, value, 2.0)):
                writer.scalar("x", shown, step)
            writer.text("note", "between", 0)
    assert writer.points == {"x": 3, "note": 1}
    assert (tmp_path / "live" / FILE_NAME).read_bytes() == (tmp_path / "buffered" / FILE_NAME).read_bytes()


def test_unbuffered_files_are_complete_after_every_call(tmp_path: Path) -> None:
    """Who watches a file sees each value at once."""
    sizes = []
    with EventWriter(tmp_path) as writer:
        for step in range(3):
            writer.scalar("x", 1.5, step)
            sizes.append((tmp_path / FILE_NAME).stat().st_size)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == (tmp_path / FILE_NAME).stat().st_size
