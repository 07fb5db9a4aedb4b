"""The real DAG on small numbers: a bundle, nothing to do, what a change re-runs, kills and refusals."""

import html
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import Project

from lewm_evidence.seal.verify import verify


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `evidence` has run once."""
    project = Project(tmp_path_factory.mktemp("first"))
    done = project.snakemake("evidence")
    assert done.returncode == 0, done.stdout
    (project.path / "output.txt").write_text(done.stdout)
    return project


def test_evidence_ends_with_a_bundle_that_verifies(finished: Project) -> None:
    """The last lines name the bundle, its digest, success against baselines, and where to look."""
    bundles = list((finished.path / "evidence").iterdir())
    assert len(bundles) == 1
    verified = verify(bundles[0])
    last = (finished.path / "output.txt").read_text()[-3000:]
    assert bundles[0].name in last
    assert verified.address in last
    assert "random" in last and "success" in last
    assert "look     tensorboard" in last and "look     rerun" in last


def test_the_commands_on_the_report_work_in_the_bundles_folder(finished: Project) -> None:
    """What the page offers to copy verifies the bundle, with and without the package, and opens what lies in it."""
    (bundle,) = (finished.path / "evidence").iterdir()
    (page,) = bundle.glob("bag/data/runs/report/*/views/report/index.html")
    shown = re.findall(r'<div class="command"><pre><code[^>]*>(.*?)</code>', page.read_text(), re.DOTALL)
    commands = [html.unescape(command) for command in shown]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    checks = [words for words in commands if "verify" in words or "sha256sum" in words]
    assert len(checks) == 2
    for words in checks:
        subprocess.run(words, shell=True, check=True, cwd=bundle, env=environment, capture_output=True)
    subprocess.run("lewm-evidence reproduce . --only gate", shell=True, check=True, cwd=bundle, env=environment)
    assert "lewm-evidence reproduce ." in commands
    (events,) = [words.split()[-1] for words in commands if words.startswith("tensorboard ")]
    (recordings,) = [words.split()[-1] for words in commands if words.startswith("rerun ")]
    assert list((bundle / events).rglob("*tfevents*")) and list(bundle.glob(recordings))


def test_a_second_call_has_nothing_to_do_also_after_touching_everything(finished: Project) -> None:
    """Timestamps decide nothing."""
    for path in finished.path.rglob("*"):
        if path.is_file():
            os.utime(path)
    done = finished.snakemake("evidence")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


def test_a_changed_showcase_reruns_the_showcase_and_what_follows(finished: Project) -> None:
    """Neither fetch nor evaluate runs again, and the old directories stay."""
    after = {"showcase", "render_tensorboard", "render_rerun", "probe_tensorboard", "probe_rerun"}
    after |= {"report", "seal", "verify", "evidence"}
    changed = {"budget": 10, "candidates": 3, "latency_repeats": 2, "planner": {"num_samples": 32, "elites": 8}}
    assert finished.jobs("evidence", showcase=changed) == after
    assert finished.jobs("evidence") == set()


def test_a_deleted_bundle_is_made_again(finished: Project) -> None:
    """The bundle is an output of the DAG, not a by-product."""
    shutil.move(finished.path / "evidence", finished.path / "moved")
    try:
        assert finished.jobs("evidence") == {"seal", "verify", "evidence"}
    finally:
        shutil.move(finished.path / "moved", finished.path / "evidence")


def test_two_runs_from_scratch_have_equal_results(finished: Project, tmp_path: Path) -> None:
    """Another folder, the same machine: the result digest of every stage is equal."""
    again = Project(tmp_path)
    done = again.snakemake("evidence")
    assert done.returncode == 0, done.stdout
    assert again.keys() == finished.keys()
    assert len(again.keys()) >= 11


def children(group: int) -> list[str]:
    """Returns the command lines of the processes in a session."""
    found = subprocess.run(["ps", "-s", str(group), "-o", "args="], capture_output=True, text=True, check=False)
    return [line for line in found.stdout.splitlines() if "<defunct>" not in line]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Project, "subprocess.Popen[str]"]]:
    """A project whose `evidence` is in the middle of the showcase."""
    project = Project(tmp_path)
    command = project.command("evidence")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, start_new_session=True
    ) as job:
        deadline = time.monotonic() + 90
        while not list(tmp_path.glob("runs/showcase/*/records.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield project, job
        if children(job.pid):
            os.killpg(job.pid, signal.SIGKILL)


def test_a_killed_run_continues_with_the_same_command(running: tuple[Project, "subprocess.Popen[str]"]) -> None:
    """Kill -9 of everything, then one call: no unlocking by hand, same keys, a verified bundle."""
    project, job = running
    os.killpg(job.pid, signal.SIGKILL)
    job.wait(10)
    assert list((project.path / ".snakemake" / "locks").iterdir())
    assert not list(project.path.glob("runs/showcase/*/manifest.json"))
    done = project.snakemake("showcase")
    assert done.returncode == 0, done.stdout
    assert len(list(project.path.glob("runs/showcase/*"))) == 1


def test_a_second_live_run_is_refused_with_a_sentence(running: tuple[Project, "subprocess.Popen[str]"]) -> None:
    """It changes nothing; a dry run beside it is allowed."""
    project, job = running
    second = project.snakemake("evidence")
    assert second.returncode == 1
    assert f"another run is live in this folder (process {job.pid})" in second.stdout
    assert project.snakemake("-n", "evidence").returncode == 0
    assert list((project.path / ".snakemake" / "locks").iterdir())


def test_interrupting_leaves_nothing_running(running: tuple[Project, "subprocess.Popen[str]"]) -> None:
    """Ctrl-C reaches the whole foreground group, as in a terminal; every process ends."""
    _, job = running
    os.killpg(job.pid, signal.SIGINT)
    job.communicate(timeout=60)
    deadline = time.monotonic() + 10
    while children(job.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children(job.pid) == []


def test_a_checkpoint_that_does_not_beat_random_fails_evidence(finished: Project) -> None:
    """The verdict is a sentence with figures, and no bundle is made of it."""
    bundles = set((finished.path / "evidence").iterdir())
    done = finished.snakemake("evidence", gate={"lewm_minus_random_px": -400.0})
    assert done.returncode == 1
    assert "random" in done.stdout and "-400" in done.stdout
    assert set((finished.path / "evidence").iterdir()) == bundles


def test_a_bad_configuration_is_refused_before_any_rule(tmp_path: Path) -> None:
    """The sentence names key, value and what is allowed, without a Python traceback."""
    done = Project(tmp_path).snakemake("evidence", device="tpu")
    assert done.returncode == 1
    assert "device = 'tpu' is not allowed" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "runs").exists()
