"""What commands about run directories tell, and their exit status."""

import fcntl
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import example_runs
from lewm_evidence.cli import main
from lewm_evidence.config import Config
from lewm_evidence.plan import plan
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.seal.bundle import write_bundle

KEY = "0123456789abcdef0123"


def test_check_hashes_runs_again(
    examples: dict[str, FinishedRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Good runs give 0; one changed file gives 1 and is named; a folder without runs gives 2."""
    shutil.copytree(examples["fetch"].path.parents[1], tmp_path / "runs")
    assert main(["check", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().out.count("ok ") == 3
    run = tmp_path / "runs" / examples["fetch"].name
    (run / "timing.jsonl").write_text("{}\n")
    assert main(["check", str(tmp_path / "runs")]) == 1
    told = capsys.readouterr().out
    assert told.count("ok ") == 2 and f"altered  {run}/timing.jsonl: sha256 is" in told
    assert main(["check", str(run)]) == 1
    assert main(["check", str(tmp_path / "runs" / "fetch")]) == 2


@pytest.fixture
def project(examples: dict[str, FinishedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project of its own with copies of the made-up runs."""
    shutil.copytree(examples["fetch"].path.parents[1], tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEWM_EVIDENCE_STORE", raising=False)
    return tmp_path


def told_json(capsys: pytest.CaptureFixture[str]) -> Any:
    """Returns the one line of JSON that was printed."""
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_runs_list_and_show(
    project: Path, examples: dict[str, FinishedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every run is listed, an unfinished one as such; one run is shown with spec and last values; also as JSON."""
    (project / "runs" / examples["showcase"].name / "manifest.json").unlink()
    assert main(["runs", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("/")[0] for line in lines[:-1]] == ["evaluate", "fetch", "showcase"]
    assert lines[1].split()[2] == examples["fetch"].manifest.result_digest[:12]
    assert lines[2].split()[1] == "unfinished" and lines[2].endswith((" seconds old", " minutes old"))
    assert lines[3].startswith("3 runs, ")
    assert main(["runs", "list", "--json"]) == 0
    listed = told_json(capsys)["runs"]
    assert [run["state"] for run in listed] == ["finished", "finished", "unfinished"]
    assert listed[1]["result_digest"] == examples["fetch"].manifest.result_digest
    assert main(["runs", "show", examples["fetch"].name]) == 0
    told = capsys.readouterr().out
    assert 'config: {"name": "pusht", "source": "embedded"}' in told
    assert "checkpoint/parameters = 1.23457e+06 (step 0)" in told
    assert main(["runs", "show", examples["fetch"].name, "--json"]) == 0
    shown = told_json(capsys)
    assert shown["spec"]["config"]["name"] == "pusht"
    assert shown["last"]["checkpoint/parameters"] == {"step": 0, "value": 1_234_567}
    assert main(["runs", "show", "fetch/none"]) == 2
    assert main(["runs", "list", "--runs", "none"]) == 2


def test_runs_diff_takes_names(
    project: Path, examples: dict[str, FinishedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs of a stage are compared as `diff` compares their folders; one that is not there is named."""
    other = example_runs.finished(
        project / "runs", "fetch", lambda run: run.scalar("checkpoint/parameters", 7), {"a": 1}
    )
    assert main(["runs", "diff", examples["fetch"].name, examples["fetch"].name]) == 0
    capsys.readouterr()
    assert main(["runs", "diff", examples["fetch"].name, other.name, "--json"]) == 1
    assert told_json(capsys)["same"] is False
    assert main(["runs", "diff", examples["fetch"].name, "fetch/none"]) == 2
    assert "runs/fetch/none is not a run" in capsys.readouterr().err


def aged(run: FinishedRun, days: float) -> None:
    """Makes every file of a run look as if it had been written so many days ago."""
    then = time.time() - days * 86_400
    for path in run.path.rglob("*"):
        os.utime(path, (then, then))


def standing(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Prunes for show with JSON and returns, by stage, why each run is kept, or "goes"."""
    assert main(["runs", "prune", "--json"]) == 0
    return {run["name"].split("/")[0]: "goes" if run["goes"] else run["reason"] for run in told_json(capsys)["runs"]}


def test_prune_keeps_what_is_young(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a configuration or bundle, a run of today stays by default, and goes when no day is asked for."""
    assert set(standing(capsys).values()) == {"younger than 1 day"}
    assert main(["runs", "prune", "--keep-days", "0", "--keep-latest", "1"]) == 0
    told = capsys.readouterr().out
    assert "among the 1 latest of its stage" in told and "to go    0 of 3 runs" in told
    assert main(["runs", "prune", "--keep-days", "0"]) == 0
    assert "to go    3 of 3 runs" in capsys.readouterr().out
    assert len(list((project / "runs").glob("*/*/manifest.json"))) == 3
    assert main(["runs", "prune", "--keep-days", "-1"]) == 2


def test_prune_removes_only_what_nothing_needs(
    project: Path, examples: dict[str, FinishedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """A cited run stays with what it was made from, whether the bundle lies here or in the store; the rest goes."""
    here = {name: FinishedRun(project / "runs" / run.name) for name, run in examples.items()}
    for run in here.values():
        aged(run, 3)
    assert set(standing(capsys).values()) == {"goes"}
    write_bundle(project / "evidence" / KEY, {"showcase": here["showcase"]}, {})
    assert standing(capsys) == {
        "evaluate": "goes",
        "fetch": f"{here['showcase'].name} was made from it",
        "showcase": f"evidence/{KEY} cites it",
    }
    assert main(["store", "add", f"evidence/{KEY}"]) == 0
    shutil.rmtree(project / "evidence")
    capsys.readouterr()
    assert standing(capsys)["showcase"].startswith("store/bundles/")
    assert main(["runs", "prune", "--yes"]) == 0
    assert "removed  1 of 3 runs" in capsys.readouterr().out
    left = {path.parts[-3] for path in (project / "runs").glob("*/*/manifest.json")}
    assert left == {"fetch", "showcase"}


def test_prune_keeps_what_the_configuration_plans(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that `config.yaml` beside the runs plans stays; a configuration that cannot be used removes nothing."""
    (project / "config.yaml").write_text("smoke: null\n")
    spec = plan(Config(smoke=None), Path("runs"))["fetch"].spec
    run = Run(project / "runs", spec)
    run.finish({})
    aged(FinishedRun(run.path), 3)
    for other in (project / "runs").glob("*/*"):
        aged(FinishedRun(other), 3)
    assert main(["runs", "prune", "--yes"]) == 0
    assert "removed  3 of 4 runs" in capsys.readouterr().out and run.path.is_dir()
    (project / "config.yaml").write_text("smok: null\n")
    assert main(["runs", "prune", "--yes", "--keep-days", "0"]) == 2
    assert "what config.yaml needs is not known: config.yaml: smok is not a known key" in capsys.readouterr().err
    assert run.path.is_dir()


def test_prune_leaves_running_and_unreadable_runs_alone(
    project: Path, examples: dict[str, FinishedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run whose lock is held stays, and so does one whose spec is damaged; both are told."""
    for run in examples.values():
        aged(FinishedRun(project / "runs" / run.name), 3)
    (project / "runs" / examples["fetch"].name / "spec.json").write_text("{")
    os.utime(project / "runs" / examples["fetch"].name / "spec.json", (0, 0))
    running = project / "runs" / examples["showcase"].name
    (running / "manifest.json").unlink()
    (running / "logs").mkdir(exist_ok=True)
    with (running / "logs" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["runs", "prune", "--yes", "--keep-days", "0"]) == 0
    told = capsys.readouterr().out
    assert "a job is making it" in told and "it cannot be read" in told and "removed  1 of 3 runs" in told
    assert running.is_dir() and not (project / "runs" / examples["evaluate"].name).exists()


def test_prune_waits_for_snakemake(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While Snakemake works beside the runs, nobody knows what it needs: it may be shown what would go, no more."""
    for path in (project / "runs").glob("*/*"):
        aged(FinishedRun(path), 3)
    (project / ".snakemake").mkdir()
    with (project / ".snakemake" / "live").open("w") as claim:
        fcntl.flock(claim, fcntl.LOCK_EX)
        assert main(["runs", "prune", "--yes"]) == 2
        assert "another run is live in this folder" in capsys.readouterr().err
        assert set(standing(capsys).values()) == {"goes"}
    assert len(list((project / "runs").glob("*/*/manifest.json"))) == 3


def test_prune_asks_on_both_sides_of_a_link(
    project: Path, examples: dict[str, FinishedRun], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where `runs` leads to another project, a bundle of either keeps its runs; so does one named from elsewhere."""
    for path in (project / "runs").glob("*/*"):
        aged(FinishedRun(path), 3)
    here = {name: FinishedRun(project / "runs" / run.name) for name, run in examples.items()}
    write_bundle(project / "evidence" / KEY, {"showcase": here["showcase"]}, {})
    (project / "evidence" / ".half-written").mkdir()
    head = project / "head"
    head.mkdir()
    (head / "runs").symlink_to(project / "runs")
    write_bundle(head / "evidence" / KEY, {"evaluate": here["evaluate"]}, {})
    monkeypatch.chdir(head)
    assert standing(capsys) == {
        "evaluate": f"evidence/{KEY} cites it",
        "fetch": f"{here['showcase'].name} was made from it",
        "showcase": f"../evidence/{KEY} cites it",
    }
    monkeypatch.chdir(project / "runs" / "fetch")
    assert main(["runs", "prune", "--yes", "--runs", "../evaluate/.."]) == 0
    told = capsys.readouterr().out
    assert f"../../evidence/{KEY} cites it" in told and "removed  1 of 3 runs" in told
    assert here["showcase"].path.is_dir() and not here["evaluate"].path.exists()
    assert main(["runs", "prune", "--yes", "--runs", "..", "--keep-days", "0", "--store", "nowhere"]) == 2
    assert "--store nowhere is not a folder" in capsys.readouterr().err
