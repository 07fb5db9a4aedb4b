"""How a stage runs as a program: finished, refused, stopped, waited for, resumed."""

import fcntl
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.records import FinishedRun, Spec
from lewm_evidence.records.job import environment
from lewm_evidence.records.run import run_key

STAGE = '''"""A stage for tests."""
import sys, time
from lewm_evidence.errors import StageError
from lewm_evidence.records.job import main, say

def run(out):
    before = sorted(path.name for path in out.path.iterdir() if path.name not in ("logs", "spec.json"))
    out.text("left_over", ",".join(before))
    (out.path / "half.bin").write_bytes(b"x")
    if out.config["do"] == "refuse":
        raise StageError("the block is missing; put it back")
    if out.config["do"] == "break":
        raise ValueError("a bug")
    if out.config["do"] == "wait":
        say("waiting")
        time.sleep(30 if not before else 0)

if __name__ == "__main__":
    main(run, resumable=RESUMABLE)
'''


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A stage as a program."""
    path = tmp_path / "demo.py"
    path.write_text(STAGE.replace("RESUMABLE", "False"))
    return path


def spec(do: str) -> Spec:
    """What to ask of the test stage."""
    return Spec(stage="demo", config={"do": do}, code="c", packages={}, device=None, precision=None, inputs={})


def call(stage: Path, do: str) -> list[str]:
    """The command line of a job."""
    text = canonical_json(spec(do).model_dump()).decode()
    return [sys.executable, str(stage), "--runs", str(stage.parent / "runs"), "--spec", text]


def run_of(stage: Path, do: str) -> FinishedRun:
    """The run directory that a call makes."""
    return FinishedRun(stage.parent / "runs" / "demo" / run_key(spec(do)))


def test_a_job_ends_with_a_manifest_and_says_so(stage: Path) -> None:
    """The second call sees that nothing is left to do; environment and timing are recorded."""
    first = subprocess.run(call(stage, "finish"), capture_output=True, text=True, check=True)
    assert "done, result" in first.stdout
    run = run_of(stage, "finish")
    assert run.manifest.environment["threads"] == 1
    assert {timing.tag for timing in run.timings()} == {"stage/wall_time", "stage/peak_memory"}
    second = subprocess.run(call(stage, "finish"), capture_output=True, text=True, check=True)
    assert "already complete" in second.stdout


@pytest.mark.parametrize(
    "given, recorded",
    [
        (f"/nix/store/{'0' * 32}-python3-3.13.5-env", f"/nix/store/{'0' * 32}-python3-3.13.5-env"),
        ("/home/somebody/nix", None),
        (None, None),
    ],
)
def test_the_manifest_names_the_nix_environment_and_lock(
    given: str | None, recorded: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store path is recorded, another path is not."""
    monkeypatch.chdir(tmp_path)
    Path("flake.lock").write_text("{}")
    monkeypatch.delenv("LEWM_EVIDENCE_ENV", raising=False)
    if given:
        monkeypatch.setenv("LEWM_EVIDENCE_ENV", given)
    assert environment(spec("finish"), 1)["nix"] == recorded
    assert environment(spec("finish"), 1)["locks"] == {"flake.lock": sha256_bytes(b"{}")}


def test_a_refusal_is_one_sentence_and_leaves_no_manifest(stage: Path) -> None:
    """A person reads what is wrong and what to do, without a traceback."""
    done = subprocess.run(call(stage, "refuse"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "demo: the block is missing; put it back\n")
    assert not (run_of(stage, "refuse").path / "manifest.json").exists()


def test_a_bug_shows_its_traceback(stage: Path) -> None:
    """What is our fault is not dressed up as the user's."""
    done = subprocess.run(call(stage, "break"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_bad_spec_is_a_usage_error(stage: Path) -> None:
    """Exit status 2, like every wrong command line."""
    words = [sys.executable, str(stage), "--runs", "runs", "--spec", '{"stage": "Demo"}']
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=stage.parent)
    assert done.returncode == 2
    assert "--spec is not a spec" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_stopped_job_is_made_again_from_nothing(stage: Path, number: int, status: int) -> None:
    """However it was stopped, no manifest is there and the next call starts clean."""
    with subprocess.Popen(call(stage, "wait"), stdout=subprocess.PIPE) as job:
        assert job.stdout is not None
        job.stdout.readline()
        job.send_signal(number)
        assert job.wait(10) == status
    run = run_of(stage, "wait")
    assert (run.path / "half.bin").exists() and not (run.path / "manifest.json").exists()
    stage.write_text(stage.read_text().replace("30 if not before", "0 if not before"))
    subprocess.run(call(stage, "wait"), capture_output=True, check=True)
    assert [record.text for record in run.records("text")] == [""]  # type: ignore[union-attr]


def test_a_resumable_job_keeps_what_is_there(stage: Path) -> None:
    """Training continues from what the interrupted job left."""
    stage.write_text(stage.read_text().replace("resumable=False", "resumable=True"))
    run = run_of(stage, "finish")
    run.path.mkdir(parents=True)
    (run.path / "resume.bin").write_bytes(b"x")
    subprocess.run(call(stage, "finish"), capture_output=True, check=True)
    assert [record.text for record in run.records("text")] == ["resume.bin"]  # type: ignore[union-attr]


def test_a_second_job_for_the_same_run_waits_for_the_first(stage: Path) -> None:
    """Two jobs never write into one run directory at once."""
    stage.write_text(stage.read_text().replace("time.sleep(30", "time.sleep(1"))
    with subprocess.Popen(call(stage, "wait"), stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        started = time.monotonic()
        second = subprocess.run(call(stage, "wait"), capture_output=True, text=True, check=True)
        assert first.wait(10) == 0
    assert "waiting for it" in second.stdout and "already complete" in second.stdout
    assert time.monotonic() - started < 20
    assert [path.name for path in (run_of(stage, "wait").path / "logs").iterdir()] == ["lock"]


def test_a_job_whose_run_is_pruned_while_it_waits_makes_it_anew(stage: Path) -> None:
    """It works in the directory that is there then, under that one's lock, not in the one that was taken away."""
    run = run_of(stage, "finish")
    lock = run.path / "logs" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        job = subprocess.Popen(call(stage, "finish"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert job.stdout is not None and b"waiting for it" in job.stdout.readline()
        # Nothing before it has the lock: who holds it clears the folder, and would take half a file away.
        assert [path.name for path in run.path.iterdir()] == ["logs"]
        shutil.rmtree(run.path)
    told, _ = job.communicate(timeout=60)
    assert job.returncode == 0 and b"done, result" in told
    assert run.spec == spec("finish") and run.manifest.stage == "demo"
    assert (run.path / "logs" / "lock").exists()
