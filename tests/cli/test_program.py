"""What a person types."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lewm_evidence import __version__
from lewm_evidence.cli import main
from lewm_evidence.doctor import Finding
from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.bundle import write_bundle

KEY = "0123456789abcdef0123"
COMMAND = [sys.executable, "-m", "lewm_evidence.cli"]


@pytest.fixture(scope="module")
def bundle(examples: dict[str, FinishedRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder of the made-up runs. Read only."""
    folder = tmp_path_factory.mktemp("evidence") / KEY
    write_bundle(folder, examples, {})
    return folder


def test_verify_accepts_with_status_0(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An accepted bundle is told with its address; as JSON it is one object a line."""
    assert main(["verify", str(bundle)]) == 0
    assert capsys.readouterr().out.startswith(f"accepted {bundle} (folder)\naddress  sha256:")
    assert main(["verify", "--json", str(bundle / f"{KEY}.tar")]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["accepted"] is True and outcome["kind"] == "archive" and len(outcome["address"]) == 64


def test_verify_refuses_with_status_1(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused bundle is told with file and reason, also as JSON."""
    shutil.copytree(bundle, tmp_path / "copy")
    (tmp_path / "copy" / "bag" / "extra").touch()
    assert main(["verify", str(tmp_path / "copy")]) == 1
    assert capsys.readouterr().out.startswith("refused  bag/'extra': does not belong")
    assert main(["verify", str(tmp_path / "copy"), "--json"]) == 1
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["accepted"] is False and "extra" in outcome["reason"]


def test_verify_that_cannot_run_has_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is not there is neither accepted nor refused."""
    assert main(["verify", str(tmp_path / "nothing"), "--json"]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out)["accepted"] is None
    assert told.err == f"lewm-evidence: {tmp_path}/nothing does not exist\n"
    with pytest.raises(SystemExit) as stopped:
        main(["verify"])
    assert stopped.value.code == 2


def test_summary_names_bundle_scores_and_where_to_look(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines of `make evidence`: bundle, address, LeWM against both baselines with intervals."""
    assert main(["summary", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"bundle   {bundle}"
    assert lines[1].startswith("address  sha256:") and len(lines[1]) == len("address  sha256:") + 64
    assert [line[:8].strip() for line in lines[3:6]] == ["LeWM", "random", "no-op"]
    assert lines[3] == "LeWM     success 50 [40, 60] %   final error 50.4 [38.4, 62.4] px"
    assert lines[6] == "LeWM minus random  final error -144.4 [-159.4, -129.4] px"
    assert lines[-1].startswith("check    ") and lines[-1].endswith(f"lewm-evidence verify {bundle}")


def test_summary_shows_report_and_viewers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Report, TensorBoard folder and Rerun recordings are found by what the runs hold."""
    import example_runs

    def place(*names: str) -> object:
        def write(run: object) -> None:
            for name in names:
                path = run.path / name  # type: ignore[attr-defined]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

        return write

    runs = {
        "report": example_runs.finished(tmp_path / "runs", "report", place("views/report.html")),
        "render_rerun": example_runs.finished(
            tmp_path / "runs", "render_rerun", place("views/results/showcase.rrd", "views/timing/showcase.rrd")
        ),
        "render_tensorboard": example_runs.finished(
            tmp_path / "runs", "render_tensorboard", place("views/results/showcase/events.out.tfevents.0.x")
        ),
    }
    write_bundle(tmp_path / KEY, runs, {})
    assert main(["summary", str(tmp_path / KEY)]) == 0
    told = capsys.readouterr().out
    bag = tmp_path / KEY / "bag" / "data" / "runs"
    assert f"report   {bag}/{runs['report'].name}/views/report.html\n" in told
    assert f"open-rerun {bag}/{runs['render_rerun'].name}/views/results/showcase.rrd\n" in told
    assert f"open-tensorboard --logdir {tmp_path / KEY}/bag\n" in told


def test_summary_of_something_else_has_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is no bundle is said to be none."""
    assert main(["summary", str(tmp_path)]) == 2
    assert "is not a bundle folder" in capsys.readouterr().err


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


def test_runs_list_and_show(
    examples: dict[str, FinishedRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every run is listed, an unfinished one as such; one run is shown with spec and last values."""
    shutil.copytree(examples["fetch"].path.parents[1], tmp_path / "runs")
    (tmp_path / "runs" / examples["showcase"].name / "manifest.json").unlink()
    runs = ["--runs", str(tmp_path / "runs")]
    assert main(["runs", "list", *runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("/")[0] for line in lines] == ["evaluate", "fetch", "showcase"]
    assert lines[1].split()[2] == examples["fetch"].manifest.result_digest[:12]
    assert lines[2].endswith("unfinished")
    assert main(["runs", "show", examples["fetch"].name, *runs]) == 0
    told = capsys.readouterr().out
    assert 'config: {"name": "pusht", "source": "embedded"}' in told
    assert "checkpoint/parameters = 1.23457e+06 (step 0)" in told
    assert main(["runs", "show", "fetch/none", *runs]) == 2
    assert main(["runs", "list", "--runs", str(tmp_path / "none")]) == 2


def test_doctor_tells_what_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Python, packages, device, disk and cores are told; a gap gives status 1 and its remedy."""
    main(["doctor"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert [name for name in names if name != "->"] == ["python", "base", "pipeline", "device", "disk", "cores"]
    monkeypatch.setattr("lewm_evidence.doctor.findings", lambda folder: [Finding("disk", "full", "free some space")])
    assert main(["doctor"]) == 1
    assert "-> free some space" in capsys.readouterr().out


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is the package's; every command's help has examples or sub-commands, and exit codes."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"lewm-evidence {__version__}\n"
    for words in (["verify"], ["summary"], ["check"], ["runs"], ["runs", "list"], ["runs", "show"], ["doctor"]):
        with pytest.raises(SystemExit) as stopped:
            main([*words, "--help"])
        told = capsys.readouterr().out
        assert stopped.value.code == 0 and "exit status: 0 " in told
        assert "examples:" in told or words == ["runs"]


def test_help_comes_at_once() -> None:
    """Help imports none of what the commands need, pydantic included."""
    code = (
        "import sys\nfrom lewm_evidence.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pydantic', 'yaml', 'numpy', 'torch', 'snakemake'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.endswith("\n[]\n")


def test_a_reader_that_goes_away_is_no_error(bundle: Path) -> None:
    """`lewm-evidence … | head -0` ends without a traceback."""
    read, write = os.pipe()
    os.close(read)
    told = subprocess.run([*COMMAND, "summary", bundle], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (told.returncode, told.stderr) == (141, b"")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_is_quiet_and_leaves_nothing(number: int, status: int, bundle: Path, tmp_path: Path) -> None:
    """Ctrl-C or a polite kill in the middle of an archive: no traceback, no temporary folder."""
    code = (
        "import sys, time, lewm_evidence.seal.verify as v\n"
        "v._verify_bag = lambda *_: (print('unpacked', flush=True), time.sleep(60))\n"
        "from lewm_evidence.cli import main\nsys.exit(main(['verify', sys.argv[1]]))"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code, bundle / f"{KEY}.tar"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with job:
        assert job.stdout is not None and job.stderr is not None
        assert job.stdout.readline() == b"unpacked\n"
        assert len(list(tmp_path.iterdir())) == 1
        job.send_signal(number)
        assert job.wait(20) == status
        assert job.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []
