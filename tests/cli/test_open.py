"""What `lewm-evidence open-tensorboard` starts, checks, tells and leaves behind."""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from example_runs import open_run
from lewm_evidence.cli import main, program
from lewm_evidence.cli import open as cli_open

COMMAND = "open-tensorboard"


@pytest.fixture
def logdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty log directory; the person's state lies beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def listening(port: int) -> bool:
    """Says whether something answers on the port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_document_s_flags_and_defaults() -> None:
    """Each flag with the default of the document's table; the log directory is required."""
    args = vars(program.make_parser().parse_args([COMMAND, "--logdir", "x"]))
    assert args.pop("command") is cli_open._open_tensorboard
    assert args == {
        "logdir": Path("x"),
        "port": 6006,
        "host": "localhost",
        "ready_timeout": 60.0,
        "poll_interval": 0.5,
        "probe": False,
        "no_browser": False,
        "keep_running": False,
        "shutdown_timeout": 5.0,
        "follow": False,  # ours
    }
    with pytest.raises(SystemExit) as stopped:
        main([COMMAND])
    assert stopped.value.code == 2


def test_an_empty_log_directory_probes_well(
    logdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 0, the server is gone, its output lies outside of what it showed, and no browser was opened."""
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail("opened a browser"))
    assert main([COMMAND, "--logdir", str(logdir), "--probe", "--port", "0"]) == 0
    told = re.fullmatch(r"probed   http://localhost:(\d+)/\n", capsys.readouterr().out)
    assert told and not listening(int(told[1]))
    assert list(logdir.iterdir()) == []
    names = [path.name for path in (tmp_path / "state" / "lewm-evidence" / "tensorboard").glob("*/*")]
    assert sorted(names) == ["tensorboard.stderr.log", "tensorboard.stdout.log"]


def test_the_browser_is_opened_once_it_serves(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also after a probe that should keep running; where none is found, the address is told."""
    opened = []

    def browse(url: str) -> bool:
        opened.append(url)
        assert listening(int(url.rstrip("/").rpartition(":")[2]))
        return False

    monkeypatch.setattr(webbrowser, "open", browse)
    monkeypatch.setattr(cli_open, "_until_the_end", lambda process: 0)
    assert main([COMMAND, "--logdir", str(logdir), "--port", "0", "--probe", "--keep-running"]) == 0
    out = capsys.readouterr().out
    assert opened and out.startswith(f"probed   {opened[0]}\nserves   {opened[0]}\nlogs ")
    assert f"no browser was found; open {opened[0]} yourself" in out


def test_ctrl_c_ends_it_cleanly(logdir: Path) -> None:
    """Status 0, nothing on the error output, and the server is gone with its port."""
    command = [sys.executable, "-m", "lewm_evidence.cli", COMMAND, "--logdir", str(logdir)]
    command += ["--port", "0", "--no-browser", "--poll-interval", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        line = process.stdout.readline()
        found = re.fullmatch(r"serves   http://localhost:(\d+)/\n", line)
        assert found, line + process.stderr.read()
        assert listening(int(found[1]))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert not listening(int(found[1]))


def test_a_running_job_can_be_watched(tmp_path: Path, logdir: Path) -> None:
    """What a run records while the real server shows it appears there, and nothing is written into the run."""
    run = open_run(tmp_path / "runs")
    run.scalar("train/loss", 2.0, 1)
    command = [sys.executable, "-m", "lewm_evidence.cli", COMMAND, "--logdir", str(tmp_path / "runs"), "--follow"]
    command += ["--port", "0", "--no-browser", "--poll-interval", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[1]
        run.scalar("train/loss", 1.0, 2)
        name = f"results/train-{run.key[:8]}"
        place = f"{url}data/plugin/scalars/scalars?run={name}&tag=train/loss"
        steps: list[int] = []
        end = time.monotonic() + 30
        while steps != [1, 2] and time.monotonic() < end:
            time.sleep(0.2)
            with suppress(urllib.error.HTTPError), urllib.request.urlopen(place) as answer:
                steps = [row[1] for row in json.load(answer)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    run.close()
    assert (steps, process.returncode, errors) == ([1, 2], 0, "")
    assert sorted(path.name for path in run.path.iterdir()) == ["records.jsonl", "spec.json"]


@pytest.mark.parametrize("shown", ["", "bag"])
def test_of_a_bundle_the_runs_have_short_names(shown: str, logdir: Path) -> None:
    """The bundle folder or its bag is given; the real server names the runs as docs/tensorboard.md does."""
    for name in ("results/evaluate", "timing/evaluate"):
        folder = logdir / "bag/data/runs/render_tensorboard/0123456789abcdef0123/views" / name
        EventFileWriter(str(folder)).close()
    command = [sys.executable, "-m", "lewm_evidence.cli", COMMAND, "--logdir", str(logdir / shown)]
    command += ["--port", "0", "--no-browser", "--poll-interval", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().split()[1]
        names: list[str] = []
        end = time.monotonic() + 30
        while len(names) < 2 and time.monotonic() < end:
            time.sleep(0.2)
            with urllib.request.urlopen(f"{url}data/runs") as answer:
                names = json.load(answer)
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert names == ["results/evaluate", "timing/evaluate"]


@pytest.fixture
def foreign() -> Iterator[int]:
    """The port of a server that says it were TensorBoard."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<title>TensorBoard</title><tb-webapp>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_foreign_server_on_the_port_is_no_success(
    foreign: int, logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, with who holds the port; the foreign server goes on."""
    assert main([COMMAND, "--logdir", str(logdir), "--probe", "--no-browser", "--port", str(foreign)]) == 1
    out = capsys.readouterr().out
    assert out.startswith(f"failed   port {foreign} is held by another process")
    assert "\nlogs " in out
    assert listening(foreign)


def test_one_that_takes_too_long_has_status_1(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The limit is told, and where to read on."""
    arguments = ["--ready-timeout", "0.05", "--poll-interval", "0.01", "--port", "0", "--no-browser"]
    assert main([COMMAND, "--logdir", str(logdir), *arguments]) == 1
    assert re.match(r"failed   TensorBoard does not listen on port \d+ after 0.05 s", capsys.readouterr().out)


def test_one_that_ends_is_not_waited_for(
    logdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken TensorBoard is told at once, with its last words."""
    fake = tmp_path / "fake" / "tensorboard"
    fake.mkdir(parents=True)
    (fake / "__init__.py").touch()
    (fake / "main.py").write_text("raise SystemExit('out of order')")
    monkeypatch.setenv("PYTHONPATH", os.fspath(fake.parent))
    assert main([COMMAND, "--logdir", str(logdir), "--port", "0", "--no-browser"]) == 1
    out = capsys.readouterr().out
    assert "TensorBoard ended with status 1" in out and "out of order" in out


def test_a_page_that_is_not_tensorboard_s_fails_the_probe(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its mark is looked for in what the root serves."""
    monkeypatch.setattr("lewm_evidence.probe.tensorboard.Server.get", lambda *_, **__: b"hello")
    monkeypatch.setattr("lewm_evidence.tensorboard_server.Started.wait", lambda *_: None)
    assert main([COMMAND, "--logdir", str(logdir), "--port", "0", "--probe"]) == 1
    assert "is not TensorBoard's" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--logdir", "no-such-folder"], "--logdir no-such-folder is not a folder"),
        (["--ready-timeout", "0"], "--ready-timeout 0 is not a positive number"),
        (["--poll-interval", "-1"], "--poll-interval -1 is not a positive number"),
        (["--shutdown-timeout", "nan"], "--shutdown-timeout nan is not a positive number"),
        (["--port", "65536"], "--port 65536 is not in 0..65535"),
        (["--host", "0.0.0.0"], "--host 0.0.0.0 is not this machine alone"),
    ],
)
def test_bad_input_has_status_2(
    arguments: list[str], sentence: str, logdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is started, and the flag is named."""
    assert main([COMMAND, "--logdir", str(logdir), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_launch_that_fails_has_status_2(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when Python itself cannot be started."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert main([COMMAND, "--logdir", str(logdir), "--port", "0"]) == 2
    assert "/no/such/python" in capsys.readouterr().err


def test_a_missing_tensorboard_has_status_2(
    logdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reviewer's installation has none; what to install is told."""
    monkeypatch.setattr("lewm_evidence.tensorboard_server.find_spec", lambda name: None)
    assert main([COMMAND, "--logdir", str(logdir)]) == 2
    assert "install lewm-evidence[tensorboard]" in capsys.readouterr().err
