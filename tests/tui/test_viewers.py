"""The keys t and o: the real TensorBoard and the real Rerun viewer, started from the report and ended with it."""

import os
import socket
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest
from textual.pilot import Pilot

import example_runs
from lewm_evidence import tensorboard_server, viewer
from lewm_evidence.tui import make_report, viewers
from lewm_evidence.tui.app import Report
from terminal import drive, pane, screen, told, until

RUNS = Path("runs")


class Browser:
    """A browser that keeps what it is asked for, when the page answers."""

    basename = "firefox"

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, url: str) -> bool:
        """Fetches the page."""
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200
        self.opened.append(url)
        return True


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    """The person's browser."""
    browser = Browser()
    monkeypatch.setattr("webbrowser.get", lambda: browser)
    return browser


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free port in the place of 6006, which another test or a person may hold."""
    free = viewer.free_port()
    monkeypatch.setattr(viewers, "PORT", free)
    return free


def group_is_gone(process: int) -> bool:
    """Says whether no process of the group is left."""
    try:
        os.killpg(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_document_s_port_and_times() -> None:
    """6006, every half second, for a minute."""
    assert (viewers.PORT, viewers.POLL_INTERVAL, viewers.READY_LIMIT) == (6006, 0.5, 60.0)


def test_t_starts_tensorboard_then_the_browser(project: Path, browser: Browser, port: int, tmp_path: Path) -> None:
    """On the port, in a process group of its own that ends with the report; pane and notification name the address.

    A second press opens the browser again and starts nothing. Logs lie with the person's state, not with the runs.
    """
    before = sorted(project.rglob("*"))
    report = make_report(RUNS)
    url = f"http://localhost:{port}/"
    groups: list[int] = []

    async def open_it(pilot: Pilot[int]) -> None:
        assert url in pane(report, "tensorboard")
        await pilot.press("t")
        await until(pilot, lambda: browser.opened)
        assert browser.opened == [url]
        assert ("information", f"TensorBoard is at {url}") in told(report)
        assert url in pane(report, "tensorboard") and "serves; its logs: " in pane(report, "tensorboard")
        running = report.viewers._tensorboard
        assert running is not None
        groups.append(running.server.process.pid)
        assert os.getpgid(groups[0]) == groups[0] != os.getpgid(0)
        assert "results/showcase" in running.server.json("data/runs")
        assert {path.name for path in running.logs} == {"tensorboard.stdout.log", "tensorboard.stderr.log"}
        assert all(path.is_file() and path.is_relative_to(tmp_path / "state") for path in running.logs)
        await pilot.press("t")
        await until(pilot, lambda: browser.opened == [url, url])
        assert report.viewers._tensorboard is running

    drive(report, open_it)
    assert group_is_gone(groups[0])
    assert sorted(project.rglob("*")) == before


def test_another_port_is_taken_when_something_holds_it(project: Path, browser: Browser, port: int) -> None:
    """The report says so, and the browser goes to the right one."""
    report = make_report(RUNS)

    async def open_it(pilot: Pilot[int]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: browser.opened)
        assert browser.opened == [report.viewers.url] != [f"http://localhost:{port}/"]
        sentence = f"Port {port} is taken. TensorBoard is at {report.viewers.url}"
        assert ("information", sentence) in told(report)

    with socket.create_server(("127.0.0.1", port)):
        drive(report, open_it)


def test_without_a_browser_the_address_is_told(project: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a warning; a browser that draws in the terminal is none."""
    import webbrowser

    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("lynx"))
    report = make_report(RUNS)
    warning = ("warning", f"No browser was found; visit http://localhost:{port}/ yourself.")

    async def open_it(pilot: Pilot[int]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: warning in told(report))

    drive(report, open_it)


def fake_tensorboard(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a program in TensorBoard's place."""
    package = folder / "fake" / "tensorboard"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "main.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.fspath(package.parent))


@pytest.mark.parametrize(
    ("code", "reason"),
    [("import time; time.sleep(600)", "does not listen on port"), ("raise SystemExit('out of order')", "out of order")],
    ids=["silent", "dead"],
)
def test_a_server_that_never_comes_up_is_an_error(
    project: Path, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser, code: str, reason: str
) -> None:
    """It names the log of its error output, in notification and pane; the child is gone and no browser opens."""
    fake_tensorboard(tmp_path, code, monkeypatch)
    monkeypatch.setattr(viewers, "READY_LIMIT", 1.0)
    report = make_report(RUNS)

    async def open_it(pilot: Pilot[int]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: [severity for severity, _ in told(report)] == ["error"])
        ((_, message),) = told(report)
        running = report.viewers._tensorboard
        assert running is not None and reason in message
        assert str(running.logs.errors) in message and running.logs.errors.name == "tensorboard.stderr.log"
        assert "did not start; see" in pane(report, "tensorboard")
        assert group_is_gone(running.server.process.pid)

    drive(report, open_it)
    assert browser.opened == []


def summary(folder: Path, **blocks: object) -> Path:
    """Returns a summary with these blocks, as a file."""
    import json

    path = folder / "real-run.json"
    path.write_text(json.dumps(blocks))
    return path


def nothing_is_started(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presses t on a report without a TensorBoard block."""
    monkeypatch.setattr(viewers, "started", lambda *_, **__: pytest.fail("a child was started"))
    monkeypatch.setattr(viewers, "browse", lambda url: pytest.fail("a browser was opened"))

    async def open_it(pilot: Pilot[int]) -> None:
        assert not report.query_one("#tensorboard").display
        await pilot.press("t")
        await pilot.pause()
        assert told(report) == [("warning", "No TensorBoard was recorded for this, so there is nothing to start.")]

    drive(report, open_it)


def test_a_summary_without_the_block_has_no_pane(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pane, no child, no browser, and a warning on the key, although views were rendered."""
    nothing_is_started(make_report(RUNS, summary=summary(tmp_path, tensorboard=None)), monkeypatch)


def test_runs_without_rendered_views_have_no_pane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where there is no summary and nothing was rendered."""
    example_runs.build(tmp_path / "runs")
    nothing_is_started(make_report(tmp_path / "runs"), monkeypatch)


def test_the_block_says_what_is_opened(project: Path, tmp_path: Path) -> None:
    """Paths as the summary writes them start where runs/ lies; one that is gone is an error on the key."""
    (rendered,) = Path("runs/render_tensorboard").iterdir()
    blocks = {"tensorboard": {"log_dir": f"{rendered}/views"}, "rerun": {"save_path": str(tmp_path / "gone.rrd")}}
    report = make_report(RUNS, summary=summary(tmp_path, **blocks))
    assert report._views.tensorboard == (project / rendered / "views") and report._views.rerun == tmp_path / "gone.rrd"
    report = make_report(RUNS, summary=summary(tmp_path, tensorboard={"log_dir": "gone"}))

    async def open_it(pilot: Pilot[int]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: told(report))
        assert told(report) == [("error", f"{project / 'gone'} is not there any more; record it again.")]

    drive(report, open_it)


def test_a_missing_tensorboard_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reviewer may not have it; the sentence says what to install."""
    monkeypatch.setattr(tensorboard_server, "find_spec", lambda name: None)
    report = make_report(RUNS)

    async def open_it(pilot: Pilot[int]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: told(report))
        assert told(report) == [("error", "TensorBoard is not installed; install lewm-evidence[tensorboard]")]

    drive(report, open_it)


def test_logs_that_cannot_be_written_are_an_error(
    project: Path, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report goes on."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    report = make_report(RUNS)

    async def open_it(pilot: Pilot[int]) -> None:
        await pilot.press("t")
        await until(pilot, lambda: told(report))
        ((severity, message),) = told(report)
        assert severity == "error" and str(tmp_path / "file") in message and report.is_running

    drive(report, open_it)


def test_o_opens_the_recording_in_the_browser(project: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no display, the real viewer serves it on loopback and ends with the report."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    report = make_report(RUNS)

    async def open_it(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "o Rerun t TensorBoard" in screen(report))
        assert "showcase.rrd" in pane(report, "rerun")
        await pilot.press("o")
        await until(pilot, lambda: browser.opened)
        assert browser.opened[0] in pane(report, "rerun")

    drive(report, open_it)
    page = int(browser.opened[0].split(":")[2].split("/")[0])
    assert not viewer.answers(page)


@pytest.mark.parametrize("works", [True, False])
def test_o_opens_a_window_where_there_is_a_display(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    """The viewer gets the recording; one that cannot open its window is an error that says what to do."""
    stand_in, arguments = tmp_path / "rerun", tmp_path / "arguments"
    stand_in.write_text(f'#!/bin/sh\necho "$@" > {arguments}\n{"exec sleep 600" if works else "exit 1"}\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(viewer, "program", lambda: stand_in)
    monkeypatch.setattr(viewers, "_WINDOW_SECONDS", 1.0)
    monkeypatch.setenv("DISPLAY", ":0")
    report = make_report(RUNS)

    async def open_it(pilot: Pilot[int]) -> None:
        await pilot.press("o")
        if works:
            await until(pilot, lambda: "starting" in pane(report, "rerun"))
            await pilot.press("o")  # again before it is there: the first one ends, and is no error
            await until(pilot, lambda: "shown in its own window" in pane(report, "rerun"))
            await until(pilot, lambda: arguments.exists() and arguments.read_text().endswith("\n"))
            assert not told(report)
        else:
            await until(pilot, lambda: told(report))
            assert told(report)[0][0] == "error" and "--web` says more" in told(report)[0][1]
        assert arguments.read_text().split()[:2] == ["--bind", "127.0.0.1"]
        assert arguments.read_text().split()[2].endswith("views/results/showcase.rrd")

    drive(report, open_it)


def test_without_a_recording_o_warns(tmp_path: Path) -> None:
    """Nothing is started."""
    example_runs.build(tmp_path / "runs")
    report = make_report(tmp_path / "runs")

    async def open_it(pilot: Pilot[int]) -> None:
        assert "No recording has been made" in pane(report, "rerun")
        await pilot.press("o")
        await pilot.pause()
        assert told(report) == [("warning", "No Rerun recording was made of this, so there is nothing to open.")]

    drive(report, open_it)


def test_the_poll_is_not_faster_than_it_says(project: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The background worker looks about every half second, and the keys work meanwhile."""
    looks: list[float] = []
    monkeypatch.setattr(viewers.Started, "ready", lambda self: bool(looks.append(time.monotonic())))
    report = make_report(RUNS)

    async def open_it(pilot: Pilot[int]) -> None:
        await pilot.press("t")
        await pilot.press("2", "right")
        assert "step 1 of 12" in pane(report, "tabletop")
        await until(pilot, lambda: len(looks) >= 4)
        gaps = [b - a for a, b in pairwise(looks)]
        assert min(gaps) > 0.45

    drive(report, open_it)
