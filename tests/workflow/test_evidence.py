"""The real DAG on small numbers: a bundle, nothing to do, what a change re-runs, kills and refusals."""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
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
    assert "holds    final error of LeWM minus that of random actions" in last
    shown = [line.split()[1:] for line in last.splitlines() if line.startswith(("look ", "check "))]
    assert [words[1] for words in shown] == ["report", "open-tensorboard", "open-rerun", "verify"]
    assert all(Path(words[-1]).is_relative_to("evidence") and (finished.path / words[-1]).exists() for words in shown)
    verified = subprocess.run(shown[-1], cwd=finished.path, capture_output=True, text=True, check=False)
    assert verified.returncode == 0 and verified.stdout.startswith("accepted")


def test_every_step_is_told_with_what_it_does_and_what_came_of_it(finished: Project) -> None:
    """A line when a step starts and one when it ends, counted; no path of a run's folder, no command, no banner."""
    told = (finished.path / "output.txt").read_text()
    ends = re.findall(r"^\d\d:\d\d:\d\d  done +(\d+)/13  (\w+) +\d+ s  (.+)$", told, re.MULTILINE)
    assert [int(count) for count, _, _ in ends] == list(range(1, 14))
    assert {rule: said for _, rule, said in ends}["verify"].startswith("archive accepted: ")
    assert re.search(
        r"start +evaluate +Play 8 starts with LeWM, with random actions and with none$", told, re.MULTILINE
    )
    assert re.search(r"^\S+ +evaluate +8 of 8 starts, mean final error", told, re.MULTILINE)
    assert not re.search(r"manifest\.json|--spec|SNAKEMAKE|resources:", told)


def test_people_find_copies_of_what_they_look_at(finished: Project) -> None:
    """Report, bundle in words, and the viewers' pictures or why there is none."""
    (results,) = (finished.path / "results").iterdir()
    (bundle,) = (finished.path / "evidence").iterdir()
    assert results.name == bundle.name
    (page,) = bundle.glob("bag/data/runs/report/*/views/report/index.html")
    assert (results / "report.html").read_bytes() == page.read_bytes()
    assert str(bundle.relative_to(finished.path)) in (results / "bundle.html").read_text()
    assert json.loads((results / "viewers" / "rerun.json").read_text())["reason"]


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
    """Timestamps decide nothing; the last lines are those of the first call. A dry run has none."""
    for path in finished.path.rglob("*"):
        if path.is_file():
            os.utime(path)
    done = finished.snakemake("evidence")
    assert done.returncode == 0
    before, _, after = done.stdout.partition("Nothing to be done (all requested files are present and up to date).\n")
    assert "bundle " not in before and after.startswith("bundle   evidence/")
    assert (finished.path / "output.txt").read_text().endswith(after)
    assert finished.snakemake("-n", "evidence").stdout.count("bundle ") == 0


def test_a_changed_showcase_reruns_the_showcase_and_what_follows(finished: Project) -> None:
    """Neither fetch nor evaluate runs again, and the old directories stay."""
    after = {"showcase", "render_tensorboard", "render_rerun", "probe_tensorboard", "probe_rerun"}
    after |= {"report", "seal", "verify", "results", "evidence"}
    changed = {"budget": 10, "candidates": 3, "latency_repeats": 2, "planner": {"num_samples": 32, "elites": 8}}
    assert finished.jobs("evidence", showcase=changed) == after
    assert finished.jobs("evidence") == set()


def test_a_deleted_bundle_is_made_again(finished: Project) -> None:
    """The bundle is an output of the DAG, not a by-product."""
    shutil.move(finished.path / "evidence", finished.path / "moved")
    try:
        assert finished.jobs("evidence") == {"seal", "verify", "results", "evidence"}
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


def test_a_killed_step_is_told_as_such(running: tuple[Project, "subprocess.Popen[str]"]) -> None:
    """Kill -9 of the stage alone, as a system short of memory does: the last words name step, signal and log."""
    _, job = running
    (stage,) = (p for p in psutil.Process(job.pid).children() if "lewm_evidence.stages.showcase" in p.cmdline())
    stage.kill()
    told, _ = job.communicate(timeout=120)
    assert job.returncode == 1
    end = told[told.rindex("showcase failed after") :].splitlines()
    assert "  It was ended from outside by SIGKILL; the usual reason is too little memory." in end
    assert any(line.startswith("its log    runs/showcase/") for line in end)
    assert "--spec" not in told


def test_a_second_live_run_is_refused_with_a_sentence(running: tuple[Project, "subprocess.Popen[str]"]) -> None:
    """It changes nothing; a dry run beside it is allowed."""
    project, job = running
    second = project.snakemake("evidence")
    assert second.returncode == 1
    assert second.stdout.strip().splitlines()[-1].startswith(f"another run is live in this folder (process {job.pid})")
    assert project.snakemake("-n", "evidence").returncode == 0
    assert list((project.path / ".snakemake" / "locks").iterdir())


def test_interrupting_leaves_nothing_running(running: tuple[Project, "subprocess.Popen[str]"]) -> None:
    """Ctrl-C reaches the whole foreground group, as in a terminal; every process ends; how to go on is said last."""
    _, job = running
    os.killpg(job.pid, signal.SIGINT)
    told, _ = job.communicate(timeout=60)
    assert told.splitlines()[-1] == "stopped; what is finished is kept, and the same command goes on from there"
    assert "Traceback" not in told
    deadline = time.monotonic() + 10
    while children(job.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children(job.pid) == []


def test_a_checkpoint_that_does_not_beat_random_fails_evidence(finished: Project) -> None:
    """The verdict is a sentence with figures, and no bundle is made of it."""
    bundles = set((finished.path / "evidence").iterdir())
    done = finished.snakemake("evidence", gate={"lewm_minus_random_px": -400.0})
    assert done.returncode == 1
    assert set((finished.path / "evidence").iterdir()) == bundles
    end = done.stdout[done.stdout.rindex("gate failed after") :].splitlines()
    assert end[-1].startswith("what now   ")
    said = " ".join(end)
    assert "not shown to beat random actions" in said and "must be below -400.0 px" in said
    (log,) = re.findall(r"^its log +(\S+)$", "\n".join(end), re.MULTILINE)
    assert "must be below -400.0 px" in (finished.path / log).read_text()


def test_a_bad_configuration_is_refused_before_any_rule(tmp_path: Path) -> None:
    """The sentence names key, value and what is allowed, without a Python traceback."""
    done = Project(tmp_path).snakemake("evidence", device="tpu")
    assert done.returncode == 1
    last = done.stdout.strip().splitlines()[-1]
    assert last == "config: device = 'tpu' is not allowed: Input should be 'auto', 'cpu' or 'cuda'"
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "runs").exists()
