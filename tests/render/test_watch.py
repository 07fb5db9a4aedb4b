"""Runs are shown while they are written, and what is shown is what rendering them gives."""

from pathlib import Path

from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

import example_runs
from lewm_evidence.records import FinishedRun
from lewm_evidence.render import tensorboard
from lewm_evidence.render.tensorboard import FILE_NAME
from lewm_evidence.render.watch import Watcher


def steps(folder: Path, tag: str) -> list[int]:
    """Returns the steps of a tag as TensorBoard reads the event files of `folder`."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return [event.step for event in reader.Tensors(tag)] if tag in reader.Tags()["tensors"] else []


def test_lines_are_shown_once_they_are_whole(tmp_path: Path) -> None:
    """A half-written line waits; a run that appears later is found; nothing is written twice."""
    follower = Watcher(tmp_path / "runs", tmp_path / "logs")
    assert follower.turn() == 0
    run = example_runs.open_run(tmp_path / "runs")
    run.scalar("train/loss", 1.0, 1)
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(b'{"kind":"scalar","step":2,')
        file.flush()
        assert follower.turn() == 1 and follower.turn() == 0
        file.write(b'"tag":"train/loss","v":1,"value":0.5}\n')
    assert follower.turn() == 1
    follower.close()
    run.close()
    assert steps(tmp_path / "logs" / "results" / f"train-{run.key[:8]}", "train/loss") == [1, 2]


def test_the_bytes_are_those_of_rendering(tmp_path: Path) -> None:
    """What was followed to its end and what is rendered from the finished run are equal files."""
    run = example_runs.open_run(tmp_path / "runs", "evaluate")
    follower = Watcher(run.path, tmp_path / "logs")
    example_runs.write_evaluate(run)
    follower.turn()
    run.timing("stage/wall_time", 1.5)
    follower.turn()
    follower.close()
    run.finish({})
    tensorboard.render([FinishedRun(run.path)], tmp_path / "views")
    name = f"evaluate-{run.key[:8]}"
    followed, made = (
        path / FILE_NAME for path in (tmp_path / "logs/timing" / name, tmp_path / "views/timing/evaluate")
    )
    assert followed.read_bytes() == made.read_bytes()
    tag = "evaluate/lewm/success"
    assert steps(tmp_path / "logs/results" / name, tag) == steps(tmp_path / "views/results/evaluate", tag) != []


def test_a_training_that_goes_back_is_shown_so(tmp_path: Path) -> None:
    """After a kill, records beyond the resume point are cut off; TensorBoard forgets them too."""
    run = example_runs.open_run(tmp_path / "runs")
    run.scalar("train/loss", 3.0, 1)
    offsets = run.offsets()
    run.scalar("train/loss", 2.0, 2)
    run.scalar("train/loss", 1.0, 3)
    follower = Watcher(run.path, tmp_path / "logs")
    follower.turn()
    run.rewind(offsets)
    follower.turn()
    run.scalar("train/loss", 1.5, 2)
    follower.turn()
    follower.close()
    run.close()
    assert steps(tmp_path / "logs" / "results" / f"train-{run.key[:8]}", "train/loss") == [1, 2]


def test_a_finished_run_is_not_followed(tmp_path: Path) -> None:
    """What is done has views of its own."""
    example_runs.finished(tmp_path / "runs", "evaluate", example_runs.write_evaluate)
    assert Watcher(tmp_path / "runs", tmp_path / "logs").turn() == 0


def test_a_damaged_run_does_not_stop_the_others(tmp_path: Path) -> None:
    """What cannot be read is followed no more; what was seen of it stays, and other runs go on."""
    damaged = example_runs.open_run(tmp_path / "runs")
    sound = example_runs.open_run(tmp_path / "runs", "collect")
    follower = Watcher(tmp_path / "runs", tmp_path / "logs")
    damaged.scalar("train/loss", 1.0, 1)
    assert follower.turn() == 1
    damaged.close()
    with (damaged.path / "records.jsonl").open("ab") as file:
        file.write(b"what is this\n")
    sound.scalar("collect/episodes", 1.0, 1)
    follower.turn()
    sound.scalar("collect/episodes", 2.0, 2)
    assert follower.turn() == 1
    follower.close()
    sound.close()
    places = [tmp_path / "logs" / "results" / f"{run.spec.stage}-{run.key[:8]}" for run in (damaged, sound)]
    assert steps(places[0], "train/loss") == [1] and steps(places[1], "collect/episodes") == [1, 2]
