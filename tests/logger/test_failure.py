"""The last words of a failed call."""

from pathlib import Path

import pytest

from snakemake_logger_plugin_evidence.failure import last_words
from snakemake_logger_plugin_evidence.job import Job


def failed(tmp_path: Path, said: str, status: int | None = 1) -> Job:
    """A job that ended with `status` and `said` in its log."""
    log = tmp_path / "runs" / "gate" / "0" / "logs" / "console.log"
    log.parent.mkdir(parents=True)
    job = Job("gate", "Ask whether", log, "exec stage")
    log.write_text(said)
    job.news()
    job.status = status
    job.end()
    return job


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [
        ("gate: measured\ngate: it does not hold\nnor does this\n", 1, ["it does not hold", "nor does this"]),
        ("gate: 3 of 8\n", -9, ["The last it said: 3 of 8", "It was ended from outside by SIGKILL; the usual reason"]),
        ("gate: 3 of 8\n", -15, ["The last it said: 3 of 8", "It was ended from outside by SIGTERM."]),
        ("", -9, ["It was ended from outside by SIGKILL; the usual reason is too little memory."]),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'a'\n", 1, ["KeyError: 'a'", "This is a fault"]),
        ("", 1, ["It said nothing."]),
    ],
)
def test_the_reason_is_told_in_words(tmp_path: Path, said: str, status: int, expected: list[str]) -> None:
    """The stage's own sentence where it had one, and what an end without a sentence means."""
    job = failed(tmp_path, said, status)
    told = last_words([job], ".snakemake/log/x.log")
    assert told[1] == "gate failed after 0 s: Ask whether"
    why = told[3 : told.index("", 3)]
    assert len(why) == len(expected)
    assert all(line.startswith(f"  {start}") for line, start in zip(why, expected, strict=True))
    assert told[-3:-1] == [f"its log    {job.log}", "every log  .snakemake/log/x.log"]


def test_what_a_cluster_says_is_added(tmp_path: Path) -> None:
    """A job that Slurm ended says nothing of it itself."""
    job = failed(tmp_path, "gate: 3 of 8\n", None)
    job.reason = "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'."
    told = last_words([job], "")
    assert told[3:5] == ["  3 of 8", "  SLURM-job '7' failed, SLURM status is: 'TIMEOUT'."]
