"""What is read from the log of a running job."""

import os
from pathlib import Path

import pytest

from snakemake_logger_plugin_evidence.job import Job


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The console log of a run of `evaluate`, not written yet."""
    path = tmp_path / "runs" / "evaluate" / "0123456789abcdef0123" / "logs" / "console-0.log"
    path.parent.mkdir(parents=True)
    return path


def job(log: Path) -> Job:
    """A job that has just started."""
    return Job("sweep_evaluate", "Play 8 starts", log, "exec stage")


def test_lines_come_once_and_whole(log: Path) -> None:
    """A half-written line waits; the stage's name and the digest at the end are left out."""
    running = job(log)
    assert running.news() == []
    with log.open("w") as file:
        file.write("evaluate: 1 of 8 starts\nfree words\nevaluate: 2 o")
        file.flush()
        assert running.news() == ["1 of 8 starts", "free words"]
        file.write("f 8 starts\n\nevaluate/0123456789abcdef0123 done, result 0123456789ab\n")
    assert running.news() == ["2 of 8 starts"]
    assert running.news() == []
    assert running.last == "2 of 8 starts"


def test_the_log_of_an_earlier_attempt_is_not_told_again(log: Path) -> None:
    """Until the new job writes; then only what the new one wrote."""
    log.write_text("evaluate: 7 of 8 starts\nevaluate: refused\n")
    os.utime(log, ns=(0, 0))
    running = job(log)
    assert running.news() == [] and running.last == ""
    log.write_text("evaluate: 1 of 8 starts, again\n")
    assert running.news() == ["1 of 8 starts, again"]


def test_what_counts_has_a_bar(log: Path) -> None:
    """Its length is the share; a line that counts nothing has none, and the message stands in for no line."""
    running = job(log)
    assert running.progress().endswith("sweep_evaluate     Play 8 starts")
    log.write_text("evaluate: 2 of 8 starts\n")
    running.news()
    assert running.progress().endswith("━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  2 of 8 starts")
    with log.open("a") as file:
        file.write("evaluate: writing\n")
    running.news()
    assert running.progress().endswith("sweep_evaluate     writing")


@pytest.mark.parametrize(("status", "signal", "expected"), [(1, 0, 1), (137, 0, -9), (0, 9, -9)])
def test_a_shell_that_tells_of_a_signal_means_the_same(log: Path, status: int, signal: int, expected: int) -> None:
    """128 + 9 is signal 9."""
    running = job(log)
    running.ended_with(status, signal)
    assert running.status == expected


def test_what_a_terminal_would_obey_is_left_out(log: Path) -> None:
    """Colours of a foreign trainer, a bar that returns to the line's beginning, a cleared screen."""
    running = job(log)
    log.write_bytes(b"evaluate: \x1b[31mred\x1b[0m\x07 words\n10 %\r20 %\x1b[2J\x1b[?25l\n")
    assert running.news() == ["red words", "10 %", "20 %"]
