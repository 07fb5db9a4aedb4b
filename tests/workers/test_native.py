"""Native event files become rows of the common tags, value for value."""

from pathlib import Path

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from lewm_evidence.errors import StageError
from lewm_evidence.workers.native import CLOCK, common_rows, read_scalars


def write(folder: Path, tag: str, points: list[tuple[int, float]], start: float = 100.0) -> None:
    """Writes an event file as a worker does; event n at n seconds after `start`."""
    writer = EventFileWriter(str(folder))
    for place, (step, value) in enumerate(points):
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(step=step, wall_time=start + place, summary=summary))
    writer.close()


def source(*tags: str, scale: float = 1.0) -> dict[str, object]:
    """What an adapter says of one common tag."""
    return {"tags": list(tags), "estimator": "mean", "scale": scale}


def test_the_first_tag_that_occurs_is_taken_and_scaled(tmp_path: Path) -> None:
    """SB3 logs the negative of the entropy; the row says where its value comes from."""
    write(tmp_path, "train/entropy_loss", [(10, -0.5), (20, -0.25)])
    rows = common_rows(tmp_path, {"losses/entropy": source("entropy", "train/entropy_loss", scale=-1.0)})
    assert [(row.step, row.value, row.source, row.estimator) for row in rows] == [
        (10, 0.5, "train/entropy_loss", "mean"),
        (20, 0.25, "train/entropy_loss", "mean"),
    ]


def test_a_tag_in_several_files_is_merged_by_step(tmp_path: Path) -> None:
    """XuanCe writes one file a parallel environment."""
    write(tmp_path / "env-0", "return", [(1, 1.0), (5, 5.0)])
    write(tmp_path / "env-1", "return", [(3, 3.0)])
    assert read_scalars(tmp_path)["return"] == [(1, 1.0), (3, 3.0), (5, 5.0)]


def test_more_points_than_tensorboard_keeps_are_all_read(tmp_path: Path) -> None:
    """TensorBoard's own reader samples a thousand points of a tag."""
    write(tmp_path, "loss", [(step, float(step)) for step in range(3000)])
    assert len(read_scalars(tmp_path)["loss"]) == 3000


def test_steps_per_second_come_from_the_clock_where_none_are_logged(tmp_path: Path) -> None:
    """One event a second, a hundred steps apart."""
    write(tmp_path, "loss", [(100, 1.0), (200, 1.0), (300, 1.0)])
    rows = common_rows(tmp_path, {"charts/SPS": source(CLOCK)})
    assert [(row.step, row.value) for row in rows] == [(200, 100.0), (300, 100.0)]


def test_a_promised_tag_that_never_came_is_an_error(tmp_path: Path) -> None:
    """A run too short to log is told from an algorithm that has no such loss."""
    write(tmp_path, "loss", [(1, 1.0)])
    with pytest.raises(StageError, match="wrote no actor_loss, so losses/policy_loss is empty"):
        common_rows(tmp_path, {"losses/policy_loss": source("actor_loss"), "losses/entropy": None})
