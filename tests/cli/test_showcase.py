"""`lewm-evidence showcase` as a person calls it: the real stages on a tiny episode, and everything around them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rerun.error_utils import RerunWarning
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from lewm_evidence import viewer
from lewm_evidence.cli import main, program, showcase
from lewm_evidence.probe.rerun import read
from lewm_evidence.render.rerun import digest

ROOT = Path(__file__).parents[2]
TAG = "worldforge/leworldmodel"
TAKEN = 60_000  # bytes of a recording of which most has arrived
TINY = """
showcase:
  budget: 10
  candidates: 2
  latency_repeats: 1
  planner: {num_samples: 8, iterations: 2, elites: 4, horizon: 1, execute: 1}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the tiny showcase ran once, by the real stages, with every default. Read only."""
    project = tmp_path_factory.mktemp("made")
    (project / "pyproject.toml").touch()
    (project / "tiny.yaml").write_text(TINY)
    (project / "below").mkdir()
    command = [sys.executable, "-m", "lewm_evidence.cli", "showcase", "--configfile", "../tiny.yaml"]
    below = {"cwd": project / "below", "stdin": subprocess.DEVNULL}
    told = subprocess.run(command, **below, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, ""), told.stdout
    (project / "told").write_text(told.stdout)
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a copy of the project whose runs are there, without anything else that was written."""
    shutil.copytree(made / ".worldforge" / "showcase" / "runs", tmp_path / ".worldforge" / "showcase" / "runs")
    for name in ("tiny.yaml", "pyproject.toml"):
        shutil.copy(made / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls the command with the tiny configuration and returns its status and what it told."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(["showcase", "--configfile", "tiny.yaml", *arguments])
        return status, *capsys.readouterr()

    return call


def summary_of(project: Path) -> dict[str, Any]:
    """Returns the summary that lies in the default place."""
    found: dict[str, Any] = json.loads((project / ".worldforge" / "showcase" / "real-run.json").read_text())
    return found


def wait_for(true: Callable[[], bool]) -> None:
    """Returns once something is true; fails when it takes a minute."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def events(folder: Path) -> EventAccumulator:
    """Returns what TensorBoard itself reads in a run's folder."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return reader


def test_the_document_s_flags_and_defaults() -> None:
    """Each flag of the documents is there with its default; nothing is on or off before it is asked for."""
    args = vars(program.make_parser().parse_args(["showcase"]))
    assert args["tensorboard_logdir"] == Path(".worldforge/tensorboard")
    assert (args["tensorboard_flush_secs"], args["tensorboard_run_name"]) == (30, None)
    assert args["tensorboard"] is args["rerun"] is args["tui"] is None
    assert args["tui_stage_delay"] == 0.35 and args["no_tui_animation"] is False
    given = ["--tensorboard", "--no-rerun", "--no-tui", "--json-only", "--rerun-output", "x", "--state-dir", "y"]
    args = vars(program.make_parser().parse_args(["showcase", *given, "--tensorboard-run-name", "baseline"]))
    assert (args["tensorboard"], args["rerun"], args["tui"], args["json"]) == (True, False, False, True)


def test_it_runs_records_and_tells(made: Path) -> None:
    """From a folder below the project, with no terminal: steps, what the stages say live, outcome, where to look."""
    told = (made / "told").read_text().splitlines()
    assert [line[:5] for line in told if line.startswith("[")] == [f"[{number}/5]" for number in range(1, 6)]
    assert any(line.startswith("      decision 1") for line in told)
    assert any(line.startswith("goal ") and " px at the start" in line for line in told)
    assert f"look         lewm-evidence open-rerun {made}/.worldforge/showcase/real-run.rrd" in told
    assert "\033" not in "".join(told)
    state = made / ".worldforge" / "showcase"
    assert sorted(path.name for path in state.iterdir()) == ["real-run.json", "real-run.rrd", "runs"]


def test_the_summary_is_that_of_the_run(made: Path) -> None:
    """Blocks name where things really are; numbers are the records'; health and inputs are told."""
    summary = summary_of(made)
    block = summary["tensorboard"]
    assert block["log_dir"] == str(made / ".worldforge" / "tensorboard")
    assert (block["flush_secs"], block["events_written"]) == (30, True)
    assert [path.name for path in (made / ".worldforge" / "tensorboard").iterdir()] == [block["run_name"]]
    assert block["run_name"].startswith("showcase-2")
    recording = Path(summary["rerun"]["save_path"])
    assert recording.stat().st_size == summary["rerun"]["recording_size_bytes"]
    (episode,) = (made / ".worldforge" / "showcase" / "runs" / "showcase").iterdir()
    assert summary["state_dir"] == str(episode)
    assert summary["health"]["ok"] is True and summary["inputs"]["budget"] == 10
    assert summary["plan"]["action_count"] == len(summary["plan"]["actions"]) == 5
    assert [world["step"] for world in summary["worlds"]] == [0, summary["execution"]["env_steps"]]
    assert summary["metrics"]["plan_latency_ms"] > 0


def test_tensorboard_shows_checkpoint_scores_and_weights(made: Path) -> None:
    """Where the checkpoint is from, each candidate's cost and every weight; this machine's folders nowhere."""
    summary = summary_of(made)
    folder = Path(summary["tensorboard"]["log_dir"]) / summary["tensorboard"]["run_name"]
    shown = events(folder)
    tags = shown.Tags()["tensors"]
    best = shown.Tensors(f"{TAG}/scores/best_score")[0].tensor_proto.float_val[0]
    assert best == pytest.approx(summary["score_result"]["best_score"], rel=1e-6)
    assert f"{TAG}/scores/candidate_007" in tags and f"{TAG}/robotics_showcase/health" in tags
    provenance = shown.Tensors(f"{TAG}/checkpoint/provenance")[0].tensor_proto.string_val[0].decode()
    assert '"checkpoint/model.safetensors": "' in provenance
    weights = [tag for tag in tags if tag.startswith(f"{TAG}/weights/")]
    (checkpoint,) = (made / ".worldforge" / "showcase" / "runs" / "fetch").iterdir()
    assert len(weights) == json.loads((checkpoint / "records.jsonl").read_text().splitlines()[1])["value"]
    (file,) = folder.iterdir()
    assert str(made).encode() not in file.read_bytes()


def test_rerun_shows_events_worlds_boxes_candidates_plan_and_bars(made: Path) -> None:
    """The recording by default holds all that the document lists, and no path of this machine."""
    path = made / ".worldforge" / "showcase" / "real-run.rrd"
    entities = set(digest(path)["entities"])
    for name in (
        *("events/lewm-evidence/plan/success/duration_ms", "worlds/tabletop/objects", "worlds/tabletop/object_boxes"),
        *("robotics_showcase/tabletop/candidate_paths", "robotics_showcase/tabletop/points"),
        *("plans/lewm-evidence/cem/0/action_targets", "robotics_showcase/scores/cost_bars"),
        "robotics_showcase/runtime/latency_bars",
    ):
        assert f"/worldforge/{name}" in entities
    states = read(path)["/worldforge/worlds/tabletop/state", "TextDocument:text"]
    assert [point.times["worldforge_step"] for point in states] == [0, summary_of(made)["execution"]["env_steps"]]
    assert str(made).encode() not in path.read_bytes()


def test_json_only_prints_the_summary_and_records_tensorboard(
    project: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    """One line of JSON, equal to the file; TensorBoard is written, Rerun only when asked for; runs are used again."""
    status, out, err = run("--json-only")
    assert status == 0 and json.loads(out) == summary_of(project)
    assert "rerun" not in json.loads(out) and not (project / ".worldforge" / "showcase" / "real-run.rrd").exists()
    assert json.loads(out)["tensorboard"]["events_written"] is True
    assert err.count(" is there") == 2 and "decision" not in err
    status, out, _ = run("--json-only", "--rerun-output", "here.rrd", "--no-tensorboard", "--no-json-output")
    assert status == 0 and "tensorboard" not in json.loads(out)
    assert json.loads(out)["rerun"]["save_path"] == str(project / "here.rrd") and (project / "here.rrd").is_file()
    assert len(list((project / ".worldforge" / "tensorboard").iterdir())) == 1


def test_a_run_name_alone_keeps_tensorboard_on(project: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Upstream's fault turned it off; here the name is the real one, and the same name again shows the last run."""
    for _ in range(2):
        status, out, _ = run("--json-only", "--tensorboard-run-name", "baseline", "--tensorboard-flush-secs", "5")
        assert status == 0
        block = json.loads(out)["tensorboard"]
        assert block["run_name"] == "baseline" and block["flush_secs"] == 5 and block["events_written"] is True
    shown = events(project / ".worldforge" / "tensorboard" / "baseline")
    assert len(shown.Tensors(f"{TAG}/metrics/plan_latency_ms")) == 1


def test_a_log_directory_lies_below_the_project(project: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """A relative one, wherever one stands; an absolute one is taken as it is."""
    (project / "below").mkdir()
    os.chdir(project / "below")
    arguments = ["showcase", "--configfile", "../tiny.yaml", "--no-tui", "--no-rerun", "--tensorboard-run-name", "x"]
    assert main([*arguments, "--tensorboard-logdir", "logs/pusht"]) == 0
    assert main([*arguments, "--tensorboard-logdir", str(project / "whole")]) == 0
    assert (project / "logs" / "pusht" / "x").is_dir() and (project / "whole" / "x").is_dir()
    assert list((project / "below").iterdir()) == []


def test_what_is_switched_off_stays_off(project: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Whatever else is given for it."""
    off = ["--no-tensorboard", "--tensorboard-run-name", "x", "--no-rerun", "--rerun-spawn", "--no-json-output"]
    status, out, _ = run("--no-tui", *off)
    assert status == 0 and "open-rerun" not in out and "open-tensorboard" not in out and "[2/2]" in out
    assert [path.name for path in (project / ".worldforge").rglob("*") if path.suffix in (".rrd", ".evidence")] == []


def test_health_only_changes_nothing(
    project: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder is made and nothing is recorded; lines or JSON; status 1 with the remedy when it would not work."""
    before = sorted(project.rglob("*"))
    status, out, _ = run("--health-only", "--state-dir", "new/state")
    assert status == 0 and "will be made" in out
    status, out, _ = run("--health-only", "--json-only")
    told = json.loads(out)
    assert status == 0 and told["ok"] is True
    assert [row["found"].endswith("is there") for row in told["findings"] if row["name"] == "showcase"] == [True]
    monkeypatch.setattr("lewm_evidence.checkpoint.pins.EMBEDDED", {"pusht": {"config.json": "0" * 64}})
    status, out, _ = run("--health-only")
    assert status == 1 and "-> config.json is missing or was changed" in out
    assert sorted(project.rglob("*")) == before
    status, out, _ = run("--no-tui")
    assert status == 1 and out.startswith("checkpoint ") and sorted(project.rglob("*")) == before


def test_other_checkpoints_and_seeds_are_other_runs(run: Callable[..., tuple[int, str, str]]) -> None:
    """What is chosen changes which runs are needed, without running them."""

    def planned(*arguments: str) -> dict[str, str]:
        status, out, err = run("--health-only", "--json-only", *arguments)
        assert status == 0, err
        return {row["name"]: row["found"] for row in json.loads(out)["findings"]}

    default, seeded, other = planned(), planned("--seed", "3"), planned("--checkpoint", "tworoom")
    assert default["fetch"] == seeded["fetch"] != other["fetch"]
    assert len({found["showcase"].split()[0] for found in (default, seeded, other)}) == 3
    assert other["checkpoint"].startswith("tworoom")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--configfile", "none.yaml"], "none.yaml cannot be read"),
        (["--seed", "-1"], "showcase.seed = -1 is not allowed"),
        (["--tensorboard-flush-secs", "0"], "flush_secs=0"),
        (["--tensorboard-run-name", "../x"], "run_name='../x'"),
        (["--tui"], "--tui needs a terminal"),
        (["--tui-stage-delay", "nan"], "--tui-stage-delay nan is not a number of seconds"),
        (["--tui", "--json-only"], "exclude each other"),
        (["--rerun-connect-url", "nonsense"], "connect_url must look like"),
        (["--rerun-connect-url", "rerun+http://127.0.0.1:1/proxy"], "nothing answers at"),
        (["--preset", "cube"], "lewm-evidence pin"),
    ],
)
def test_bad_input_is_told_before_anything_runs(
    arguments: list[str], sentence: str, run: Callable[..., tuple[int, str, str]], project: Path
) -> None:
    """Status 2 and a sentence; no step has begun and nothing was written."""
    before = sorted(project.rglob("*"))
    status, out, err = run(*arguments)
    assert status == 2 and sentence in err and "[1/" not in out + err
    assert sorted(project.rglob("*")) == before


def test_an_output_that_cannot_be_written_is_named(project: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Not the file beside it that was to take its place; nothing else is left there."""
    (project / "folder").mkdir()
    for flag in ("--json-output", "--rerun-output"):
        status, _, err = run("--no-tui", "--no-tensorboard", flag, "folder")
        assert (status, err) == (
            2,
            "lewm-evidence: folder is there and is not a file, so it is not replaced; name another\n",
        )
    assert [path.name for path in project.iterdir() if path.name.startswith(".folder")] == []


def test_a_stage_that_fails_gives_its_last_lines(project: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Status 1; the summary is not touched, and JSON says why too."""
    (checkpoint,) = (project / ".worldforge" / "showcase" / "runs" / "fetch").iterdir()
    (checkpoint / "checkpoint" / "config.json").write_text("{}")
    status, out, err = run("--seed", "4", "--json-only")
    assert status == 1 and "showcase failed with exit status 1" in json.loads(out)["error"]
    assert "logs/showcase.log" in err and "Traceback" not in err
    assert not (project / ".worldforge" / "showcase" / "real-run.json").exists()


def test_ctrl_c_ends_the_stage_too(project: Path) -> None:
    """Status 130, no traceback, no process left, and no manifest of a run that was not finished."""
    command = [sys.executable, "-m", "lewm_evidence.cli", "showcase", "--configfile", "tiny.yaml", "--seed", "8"]
    with subprocess.Popen([*command, "--no-tui"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        assert job.stdout and job.stderr
        assert [job.stdout.readline()[:5] for _ in range(2)] == ["[1/5]", "[2/5]"]
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children")
        wait_for(lambda: bool(children.read_text().split()))
        (child,) = children.read_text().split()
        job.send_signal(signal.SIGINT)
        assert job.wait(20) == 130 and "Traceback" not in job.stderr.read()
    wait_for(lambda: not Path(f"/proc/{child}").exists())
    assert len(list((project / ".worldforge").rglob("showcase/*/manifest.json"))) == 1
    assert not (project / ".worldforge" / "showcase" / "real-run.json").exists()


def test_it_is_served_until_ctrl_c(project: Path) -> None:
    """A server on loopback gets the recording; Ctrl-C is how it is meant to end, so status 0."""
    port = viewer.free_port()
    command = [sys.executable, "-m", "lewm_evidence.cli", "showcase", "--configfile", "tiny.yaml", "--json-only"]
    command += ["--rerun-serve-grpc-port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        assert job.stdout and job.stderr
        summary = json.loads(job.stdout.readline())
        assert summary["rerun"]["server_uri"] == viewer.proxy(port)
        while not (line := job.stderr.readline()).startswith("live"):
            assert line
        assert f"{viewer.proxy(port)}, until Ctrl-C" in line
        job.send_signal(signal.SIGINT)
        assert job.wait(20) == 0


def test_a_viewer_elsewhere_gets_the_recording(project: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Rerun's own program takes it in at the address that is given, and the file is written too."""
    port = viewer.free_port()
    with viewer.running(["--save", project / "taken.rrd", "--port", str(port)], [port]):
        status, out, _ = run("--json-only", "--rerun-connect-url", viewer.proxy(port))
        block = json.loads(out)["rerun"]
        assert (status, block["connect_url"], block["spawn"]) == (0, viewer.proxy(port), False)
        wait_for(lambda: (project / "taken.rrd").stat().st_size > TAKEN)
    # Not the whole file: the program was ended, so there is no footer.
    with pytest.warns(RerunWarning, match="no footer"):
        assert "/worldforge/robotics_showcase/summary" in digest(project / "taken.rrd")["entities"]
    assert Path(block["save_path"]).is_file()


def test_the_viewer_that_is_started_gets_the_recording(
    project: Path, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with the viewer; Rerun's own program without a window stands in for one that is closed."""
    stand_in = project / "rerun"
    stand_in.write_text(
        f'#!/bin/sh\ncd {project}\n{viewer.program()} --save taken.rrd "$@" &\n'
        "until [ -e .worldforge/showcase/real-run.json ]; do sleep 0.2; done\nsleep 1\nkill $!\n"
    )
    stand_in.chmod(0o755)
    monkeypatch.setattr(viewer, "program", lambda: stand_in)
    status, out, _ = run("--no-tui", "--rerun-spawn")
    assert status == 0 and "the viewer, until it is closed" in out
    # Not the whole file: the program was ended, so there is no footer.
    with pytest.warns(RerunWarning, match="no footer"):
        assert "/worldforge/robotics_showcase/summary" in digest(project / "taken.rrd")["entities"]
    assert summary_of(project)["rerun"]["spawn"] is True


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A terminal, and a terminal report that notes how it is called."""
    calls: list[dict[str, Any]] = []

    def show_report(place: Path, **settings: Any) -> int:
        calls.append({"place": place, "told": json.loads(settings["summary"].read_text()), **settings})
        return 0

    stand_in = ModuleType("lewm_evidence.tui")
    stand_in.show_report = show_report  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lewm_evidence.tui", stand_in)
    monkeypatch.setattr(showcase, "_in_terminal", lambda: True)
    yield calls


def test_the_report_comes_up_in_a_terminal(
    project: Path, run: Callable[..., tuple[int, str, str]], report: list[dict[str, Any]]
) -> None:
    """With the summary that holds the blocks, also where none is kept; never with --no-tui or --json-only."""
    assert run("--no-rerun")[0] == 0
    assert run("--no-json-output", "--no-rerun", "--tui-stage-delay", "0", "--no-tui-animation")[0] == 0
    assert run("--no-tui", "--no-rerun")[0] == run("--json-only")[0] == 0
    first, second = report
    (episode,) = (project / ".worldforge" / "showcase" / "runs" / "showcase").iterdir()
    assert first["place"] == second["place"] == episode
    assert first["summary"] == project / ".worldforge" / "showcase" / "real-run.json"
    assert "tensorboard" in first["told"] and "tensorboard" in second["told"] and not second["summary"].exists()
    assert (first["stage_delay"], first["animation"]) == (0.35, True)
    assert (second["stage_delay"], second["animation"]) == (0.0, False)


def test_a_missing_textual_is_a_sentence(
    run: Callable[..., tuple[int, str, str]], report: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The showcase is made all the same, unless the report was asked for."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "textual" else object())
    status, out, _ = run("--no-rerun")
    assert status == 0 and "textual is not installed; install lewm-evidence[tui]" in out and "goal " in out
    assert run("--tui")[0] == 2 and report == []


def test_colour_is_for_terminals(run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """None in a pipe, some when it is asked for, none with --no-color."""
    quiet = ["--no-tui", "--no-rerun", "--no-tensorboard"]
    assert "\033[1m[1/" in run(*quiet, "--color", "always")[1]
    assert "\033" not in run(*quiet)[1] + run(*quiet, "--no-color")[1]


@pytest.mark.skipif(not (ROOT / ".venv" / "ready").exists(), reason="the script would make .venv first")
def test_the_script_is_the_same_command_from_any_folder(project: Path) -> None:
    """It runs the project's own installation and passes everything on."""
    command = [ROOT / "scripts" / "robotics-showcase", "--configfile", project / "tiny.yaml"]
    command += ["--state-dir", project / ".worldforge" / "showcase", "--health-only", "--json-only"]
    told = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    found = {row["name"]: row["found"] for row in json.loads(told.stdout)["findings"]}
    assert found["showcase"].endswith("is there")
