"""What the terminal report shows of runs while they are made, killed, or go back to a resume point."""

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

import example_runs
from lewm_evidence.records import Run
from lewm_evidence.tui import app, make_report
from terminal import drive, pane, until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks for what is new ten times as often, so that tests wait less."""
    monkeypatch.setattr(app, "_TURN", 0.1)


@contextmanager
def job(run: Run) -> Iterator[Run]:
    """Holds the lock of a run, as the job does that makes it."""
    lock = run.path / "logs" / "lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield run
    run.close()


def test_a_folder_without_runs_is_waited_for(tmp_path: Path) -> None:
    """Watching may begin before the first run; every stage waits, then the first one runs."""
    report = make_report(tmp_path, live=True)

    async def watch(pilot: Pilot[int]) -> None:
        assert "No showcase is here yet." in pane(report, "hero")
        assert pane(report, "pipeline").splitlines()[0].split() == ["○", "waiting", "showcase"]
        with job(example_runs.open_run(tmp_path, "showcase")):
            await until(pilot, lambda: "▶ running  showcase" in pane(report, "pipeline"))
            assert "○ waiting  evaluate" in pane(report, "pipeline")

    drive(report, watch)


def test_a_showcase_is_shown_as_it_grows(tmp_path: Path) -> None:
    """Steps, decisions and the time since the job began appear; a decision that is being made is told."""
    run = example_runs.open_run(tmp_path, "showcase")
    goal = example_runs.state_at(example_runs.ENV_STEPS)
    now = [0.0]
    with job(run):
        run.text("showcase/task", "Push it.")
        run.arrays("showcase/geometry", {"goal_state": goal, "space": np.array([512.0, 512.0])})
        report = make_report(tmp_path, live=True)
        report._clock = lambda: now[0]

        async def watch(pilot: Pilot[int]) -> None:
            assert "Push it." in pane(report, "hero") and "nothing was recorded yet" in pane(report, "tabletop")
            now[0] = (run.path / "logs" / "lock").stat().st_mtime + 75
            example_runs._write_step(run, 0, goal)
            await until(pilot, lambda: "step 0 of 0" in pane(report, "tabletop"))
            assert "being made" in pane(report, "tabletop")
            (run.path / "logs" / "console-1.log").write_text("showcase: decision 1, step 4 of 50\n")
            await until(pilot, lambda: "1 min 15 s" in pane(report, "pipeline"))
            await until(pilot, lambda: "  decision 1, step 4 of 50" in pane(report, "pipeline"))
            example_runs._write_decision(run, 0, goal, np.random.default_rng(5))
            example_runs._write_step(run, 1, goal)
            await until(pilot, lambda: "step 0 of 1" in pane(report, "tabletop"))
            assert "decision  1 at step 0" in pane(report, "tabletop") and "◀ chosen" in pane(report, "candidates")

        drive(report, watch)


def test_a_training_that_goes_back_is_shown_so(tmp_path: Path) -> None:
    """Its curve grows; after a kill, what lies beyond the resume point is gone from it."""
    run = example_runs.open_run(tmp_path, "train", {"steps": 9})
    with job(run):
        run.scalar("train/loss", 2.0, 1)
        offsets = run.offsets()
        report = make_report(tmp_path, live=True)

        async def watch(pilot: Pilot[int]) -> None:
            assert "step 1 of 9" in pane(report, "curves")
            run.scalar("train/loss", 1.0, 2)
            await until(pilot, lambda: "train/loss  now 1 at step 2" in pane(report, "curves"))
            run.rewind(offsets)
            await until(pilot, lambda: "train/loss  now 2 at step 1" in pane(report, "curves"))
            run.scalar("train/loss", 1.5, 2)
            await until(pilot, lambda: "train/loss  now 1.5 at step 2" in pane(report, "curves"))

        drive(report, watch)


def test_a_killed_run_is_told_from_a_running_one(tmp_path: Path) -> None:
    """When the kernel frees the lock without a manifest, the run has failed; its last words stand beside it."""
    run = example_runs.open_run(tmp_path, "evaluate")
    report = None
    with job(run):
        (run.path / "logs" / "console-1.log").write_text("evaluate: episode 3 of 9\n[red]out of memory[/]\n\n")
        report = make_report(tmp_path, live=True)

        async def watch(pilot: Pilot[int]) -> None:
            assert "▶ running  evaluate" in pane(report, "pipeline")
            held = (run.path / "logs" / "lock").open("rb")
            with pytest.raises(BlockingIOError):
                fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
            held.close()

        drive(report, watch)
    report = make_report(tmp_path, live=True)

    async def look(pilot: Pilot[int]) -> None:
        row = pane(report, "pipeline").splitlines()[0]
        assert row.split()[:3] == ["✘", "failed", "evaluate"] and row.endswith("[red]out of memory[/]")

    drive(report, look)


def test_a_run_that_finishes_turns_done(tmp_path: Path) -> None:
    """With its own time, and everything it recorded last."""
    run = example_runs.open_run(tmp_path, "evaluate")
    with job(run):
        report = make_report(tmp_path, live=True)

        async def watch(pilot: Pilot[int]) -> None:
            assert "▶ running  evaluate" in pane(report, "pipeline")
            example_runs.write_evaluate(run)
            run.timing("stage/wall_time", 12.5)
            run.finish({})
            await until(pilot, lambda: "✔ done     evaluate" in pane(report, "pipeline"))
            assert "12.5 s" in pane(report, "pipeline") and "success 50 [40, 60] %" in pane(report, "hero")

        drive(report, watch)


def test_runs_that_are_removed_leave_the_report(tmp_path: Path) -> None:
    """As `make clean` does while someone watches."""
    example_runs.build(tmp_path / "runs")
    report = make_report(tmp_path / "runs", live=True)

    async def watch(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        assert "✔ done     showcase" in pane(report, "pipeline")
        shutil.rmtree(tmp_path / "runs")
        await until(pilot, lambda: "○ waiting  showcase" in pane(report, "pipeline"))
        await pilot.resize_terminal(100, 30)
        assert "No showcase is here yet." in pane(report, "tabletop")

    drive(report, watch)


def test_what_runs_can_be_seen_in_tensorboard(tmp_path: Path) -> None:
    """While something runs, the pane offers TensorBoard on what is recorded meanwhile."""
    with job(example_runs.open_run(tmp_path, "train")):
        report = make_report(tmp_path, live=True)

        async def watch(pilot: Pilot[int]) -> None:
            assert report.query_one("#tensorboard").display
            assert "as it happens" in pane(report, "tensorboard") and "--follow" in pane(report, "tensorboard")
            assert report._views.follow and report._views.tensorboard == tmp_path

        drive(report, watch)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, None], ids=["SIGTERM", "SIGINT", "q"])
def test_in_a_real_terminal(tmp_path: Path, number: signal.Signals | None) -> None:
    """`lewm-evidence watch` draws in a terminal and leaves it as it was, however it is ended."""
    example_runs.build(tmp_path / "runs")
    primary, secondary = pty.openpty()
    command = [sys.executable, "-m", "lewm_evidence.cli", "watch", str(tmp_path / "runs")]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    with subprocess.Popen(
        command, stdin=secondary, stdout=secondary, stderr=secondary, env=environment, start_new_session=True
    ) as process:
        os.close(secondary)
        seen, pressed = b"", False
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                seen += os.read(primary, 65536)
            except OSError:  # the other end is closed
                break
            if b"IT HOLDS" in seen or (b"NOT DECIDED" in seen and not pressed):
                if number is None:
                    os.write(primary, b"q")
                elif not pressed:
                    process.send_signal(number)
                pressed = True
        status = process.wait(30)
    os.close(primary)
    assert b"\x1b[?1049h" in seen and seen.rindex(b"\x1b[?1049l") > seen.rindex(b"\x1b[?1049h")
    assert status == {signal.SIGTERM: 143, signal.SIGINT: 130, None: 0}[number]
    assert b"Traceback" not in seen
