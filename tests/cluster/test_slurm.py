"""The pipeline on a real Slurm: one node on loopback, two GPUs that are none, started and stopped by these tests."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from project import ROOT, Project

from lewm_evidence.seal.verify import verify

DAEMONS = {"slurmctld", "slurmd", "munged"}
PROFILE = ["--workflow-profile", str(ROOT / "workflow" / "profiles" / "slurm")]
# A cluster is asked rarely, this one often.
FAST = ["--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "2", "--latency-wait", "5"]
LONG = {"collect": {"episodes": 100_000}}
missing = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]
missing += [] if importlib.util.find_spec("snakemake_executor_plugin_slurm") else ["snakemake-executor-plugin-slurm"]

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}; run scripts/components slurm"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Slurm's GPU files and configuration need root"),
]


def daemons() -> list[psutil.Process]:
    """Returns the daemons of Slurm that run on this machine."""
    return [process for process in psutil.process_iter(["name"]) if process.info["name"] in DAEMONS]


def jobs() -> list[dict[str, str]]:
    """Returns every job that the controller remembers, as `scontrol` describes it."""
    told = subprocess.run(["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True, check=True).stdout
    return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in told.splitlines() if line.startswith("JobId=")]


def state_of(job: str) -> str:
    """Returns the state of one job."""
    return next(row["JobState"] for row in jobs() if row["JobId"] == job)


@pytest.fixture(scope="module", autouse=True)
def slurm() -> Iterator[None]:
    """A Slurm for these tests, of which nothing stays behind."""
    subprocess.run([ROOT / "scripts" / "slurm", "up"], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([ROOT / "scripts" / "slurm", "down"], check=True, capture_output=True)
    assert daemons() == []
    assert not (ROOT / ".slurm").exists() and not os.path.lexists("/etc/slurm/slurm.conf")


@pytest.fixture
def collecting(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A Snakemake process and its one Slurm job, which runs and would for a long time."""
    before = {row["JobId"] for row in jobs()}
    command = Project(tmp_path).command(*PROFILE, *FAST, "--retries", "0", "--", "collect", **LONG)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, start_new_session=True
    ) as head:
        try:
            deadline = time.monotonic() + 300
            while not list(tmp_path.glob("runs/collect/*/logs/lock")) and time.monotonic() < deadline:
                assert head.poll() is None, head.communicate()[0]
                time.sleep(0.2)
            (job,) = [row["JobId"] for row in jobs() if row["JobId"] not in before]
            yield head, job
        finally:
            if head.poll() is None:
                os.killpg(head.pid, signal.SIGKILL)


def test_every_daemon_listens_on_loopback_only() -> None:
    """Nothing is open to another machine."""
    listening = {
        (process.info["name"], socket.laddr.ip)
        for process in daemons()
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    }
    assert listening == {("slurmctld", "127.0.0.1"), ("slurmd", "127.0.0.1")}


def test_the_whole_pipeline_runs_and_a_job_short_of_memory_gets_more(tmp_path: Path) -> None:
    """Evidence ends verified; the model ran in GPU allocations, small jobs in one, and what moves data here.

    The first attempt at the evaluation gets too little memory, is ended by Slurm and submitted again with more.
    """
    project = Project(tmp_path, patience=1200)
    resources = [f"{stage}:{what}" for stage in ("showcase", "evaluate") for what in ("gpu=1", "gpu_model='h200'")]
    resources += ["showcase:mem_mb=1500", "evaluate:mem_mb=200 if attempt == 1 else 2000"]
    done = project.snakemake(*PROFILE, *FAST, "--set-resources", *resources, "--", "evidence")
    assert done.returncode == 0, done.stdout
    (bundle,) = (tmp_path / "evidence").iterdir()
    assert verify(bundle).address in done.stdout
    found = [(row["Partition"], row["JobState"], row.get("TresPerJob", "")) for row in jobs()]
    assert sorted(found) == [
        ("cpu", "COMPLETED", ""),
        ("gpu", "COMPLETED", "gres:gpu:h200:1"),
        ("gpu", "COMPLETED", "gres:gpu:h200:1"),
        ("gpu", "FAILED", "gres:gpu:h200:1"),
    ]
    memory = {row["JobState"]: re.findall(r"mem=(\w+)", row["TRES"]) for row in jobs() if row["Partition"] == "gpu"}
    assert memory["FAILED"] == ["200M"]


def test_a_cancelled_job_is_recognised(collecting: tuple["subprocess.Popen[str]", str]) -> None:
    """The call ends with status 1 and names the rule, instead of waiting for ever."""
    head, job = collecting
    subprocess.run(["scancel", job], check=True)
    told, _ = head.communicate(timeout=300)
    assert head.returncode == 1
    assert "CANCELLED" in told[told.rindex("collect failed after") :]


def test_a_job_out_of_time_is_reported(collecting: tuple["subprocess.Popen[str]", str]) -> None:
    """Its limit is lowered while it runs, because Slurm counts in minutes; Slurm ends it, and the call says so."""
    head, job = collecting
    subprocess.run(["scontrol", "update", f"JobId={job}", "TimeLimit=00:00:01"], check=True)
    told, _ = head.communicate(timeout=300)
    assert head.returncode == 1
    assert "TIMEOUT" in told[told.rindex("collect failed after") :]


def test_ctrl_c_cancels_what_was_submitted(collecting: tuple["subprocess.Popen[str]", str]) -> None:
    """Neither a job nor its process stays."""
    head, job = collecting
    os.killpg(head.pid, signal.SIGINT)
    head.communicate(timeout=300)
    assert head.returncode != 0
    deadline = time.monotonic() + 60
    while state_of(job) not in ("CANCELLED", "COMPLETED") and time.monotonic() < deadline:
        time.sleep(0.5)
    assert state_of(job) == "CANCELLED"
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if "lewm_evidence.stages.collect" in (p.info["cmdline"] or [])
    ]
