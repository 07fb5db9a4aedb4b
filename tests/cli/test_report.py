"""`lewm-evidence report`: which page is found, and how it is shown."""

import os
import shutil
import sys
import webbrowser
from pathlib import Path
from types import ModuleType

import pytest

import example_runs
from lewm_evidence.cli import main
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.seal.bundle import write_bundle

KEY = "0123456789abcdef0123"
PAGE = Path("views") / "report" / "index.html"


def report(runs: Path, text: str) -> FinishedRun:
    """Makes a finished report whose page holds `text`."""

    def write(run: Run) -> None:
        (run.path / PAGE).parent.mkdir(parents=True)
        (run.path / PAGE).write_text(text)

    return example_runs.finished(runs, "report", write, {"text": text})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, FinishedRun]:
    """The working directory: two reports, the older of which is in a bundle that lies here and in the store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("LEWM_EVIDENCE_STORE", raising=False)
    made = {text: report(tmp_path / "runs", text) for text in ("old", "new")}
    os.utime(made["old"].path / "manifest.json", (1, 1))
    write_bundle(tmp_path / "evidence" / KEY, {"report": made["old"]}, {})
    return made


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> Path:
    """Returns the one path that is told."""
    assert main(["report", "--no-browser", *arguments]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return Path(line)


def test_the_newest_page_is_found(
    project: dict[str, FinishedRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a folder of runs the newest, of a run its own, of a bundle folder or bag the one inside."""
    assert found(capsys) == project["new"].path / PAGE
    assert found(capsys, str(project["old"].path)) == project["old"].path / PAGE
    for place in (f"evidence/{KEY}", f"evidence/{KEY}/bag"):
        assert found(capsys, place).read_text() == "old"


def test_the_page_of_an_archive_or_of_the_store_is_kept_for_the_browser(
    project: dict[str, FinishedRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It outlives the command, below the person's state, and is one file for one bundle."""
    assert main(["store", "add", f"evidence/{KEY}"]) == 0
    address = capsys.readouterr().out.split()[1]
    pages = {found(capsys, f"evidence/{KEY}/{KEY}.tar"), found(capsys, address.removeprefix("sha256:"))}
    (page,) = pages
    assert page.is_relative_to(tmp_path / "state") and page.read_text() == "old"


def test_it_is_opened_in_the_browser(
    project: dict[str, FinishedRun], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is told too; where there is no browser, that is said and is no failure."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or len(opened) == 1)
    assert main(["report"]) == main(["report"]) == 0
    page = project["new"].path / PAGE
    assert opened == [page.as_uri()] * 2
    assert capsys.readouterr().out == f"{page}\n{page}\nno browser was found; open that page yourself\n"


def test_a_changed_bundle_is_refused(project: dict[str, FinishedRun], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 and the file, before a browser sees the page."""
    (page,) = Path("evidence").rglob("index.html")
    page.write_text("changed")
    assert main(["report", f"evidence/{KEY}"]) == 1
    assert "index.html" in capsys.readouterr().out


def test_what_holds_no_report_is_a_sentence(
    project: dict[str, FinishedRun], examples: dict[str, FinishedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2: nothing there, no report in it, another run."""
    for place, sentence in (
        ("nowhere", "nowhere does not exist"),
        ("evidence", "evidence holds no finished report; `make evidence` makes one"),
        (str(examples["fetch"].path), "holds no report; it holds fetch"),
    ):
        assert main(["report", place]) == 2
        assert sentence in capsys.readouterr().err
    shutil.rmtree("runs")
    assert main(["report"]) == 2


def test_the_terminal_gets_folders_and_unpacked_archives(
    project: dict[str, FinishedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder as it is; an archive as the folder of runs inside, while it is shown."""
    shown: list[tuple[Path, list[str]]] = []

    def show_report(place: Path) -> int:
        shown.append((place, sorted(path.name for path in place.iterdir())))
        return 0

    stand_in = ModuleType("lewm_evidence.tui")
    stand_in.show_report = show_report  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lewm_evidence.tui", stand_in)
    assert main(["report", "--terminal"]) == main(["report", "--terminal", f"evidence/{KEY}"]) == 0
    assert main(["report", "--terminal", f"evidence/{KEY}/{KEY}.tar"]) == 0
    assert [place for place, _ in shown[:2]] == [Path("runs"), Path("evidence") / KEY]
    assert shown[2][1] == ["report"] and not shown[2][0].exists()


def test_in_the_wrong_folder_one_is_told_where_to_call_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same sentence for the page and for the terminal."""
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--terminal"]):
        assert main(["report", *more]) == 2
        told = capsys.readouterr().err
        assert told.startswith(
            "lewm-evidence: runs does not exist; call this where `make evidence` was called, or name"
        )
