"""The report: a page that stands on its own, and its numbers as a result."""

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import example_runs
import stage_runs
from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.stages import evaluate, report, showcase

VOID = {"meta", "img", "br", "source", "link", "input", "hr"}


def write_gate(out: Run) -> None:
    """Records one check that passed."""
    out.event("gate/check", 0, name="margin over random", value=-131.5, bound=-50.0, passed=True)


def build(runs: Path, **writers: Callable[[Run], None]) -> dict[str, FinishedRun]:
    """Returns everything a report is made from, made up; `writers` replace what single stages write."""
    made: dict[str, FinishedRun] = {}
    defaults: dict[str, Callable[[Run], None]] = {
        "fetch": example_runs.write_fetch,
        "showcase": example_runs.write_showcase,
        "evaluate": example_runs.write_evaluate,
        "gate": write_gate,
        "probe_tensorboard": lambda out: out.event("probe/tensorboard", tags=12, points=345),
        "probe_rerun": lambda out: out.event("probe/rerun", entities=9),
    }
    for stage, write in (defaults | writers).items():
        made["checkpoint" if stage == "fetch" else stage] = stage_runs.run_stage(
            runs, stage, write, {"source": "embedded", "name": "pusht"} if stage == "fetch" else {"seed": 11}
        )
    return made


def make(runs: Path, inputs: dict[str, FinishedRun]) -> tuple[str, dict[str, Any], FinishedRun]:
    """Returns the page, the summary and the run of a report on `inputs`."""
    done = stage_runs.run_stage(runs, "report", report.run, {}, **inputs)
    page = (done.path / "views" / "report" / "index.html").read_text(encoding="utf-8")
    raw = (done.path / "views" / "results" / "summary.json").read_bytes()
    assert raw == canonical_json(json.loads(raw))
    return page, json.loads(raw), done


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], FinishedRun]:
    """A report on made-up runs."""
    runs = tmp_path_factory.mktemp("runs")
    return make(runs, build(runs))


class Reader(HTMLParser):
    """Collects elements, and complains about a tag that is closed without being open."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element and that it is open."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes an element without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Closes the innermost element, which must be of this name."""
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    """Returns the elements of a page whose tags are balanced."""
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_page_needs_nothing_else(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Everything the page shows is inside it: no script, no address, and less than 2 MB."""
    page = made[0]
    elements = read(page).elements
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in elements}
    for tag, attributes in elements:
        for name in ("src", "srcset", "href", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    assert not re.search(r"@import|url\((?!#)", page)
    assert len(page) < 2_000_000


def test_page_can_be_heard(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Every picture and figure has a text, headings are in order, and ids are unique."""
    elements = read(made[0]).elements
    assert all(attributes.get("alt") for tag, attributes in elements if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in elements if tag == "svg")
    assert [tag for tag, _ in elements if tag == "h1"] == ["h1"]
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_figures_follow_light_and_dark(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Inline figures take their colours from the page; no stand-in colour is left."""
    page = made[0]
    assert "prefers-color-scheme: dark" in page
    assert "var(--lewm)" in page
    assert not re.search(r"#([0-9a-f]{2})fe\1", page)


def test_numbers_are_those_of_the_records(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Summary and page hold the estimates, the verdict and the digests that the runs recorded."""
    page, summary, done = made
    runs = {role: FinishedRun(done.path.parents[1] / name) for role, name in done.spec.inputs.items()}
    lewm = summary["evaluate"]["methods"]["lewm"]
    assert lewm["final_error_px"]["mean"] == runs["evaluate"].last("evaluate/lewm/mean_final_error_px")
    assert f"{lewm['final_error_px']['mean']:.1f} px" in page
    assert summary["gate"][0]["value"] == -131.5
    assert "−131.5 px" in page
    for name, file in summary["checkpoint"]["files"].items():
        assert name in page
        assert file["sha256"] in page
    for role, run in runs.items():
        assert summary["runs"][role]["result_digest"] == run.manifest.result_digest
        assert run.manifest.result_digest in page
    assert "✓ it holds" in page


def test_starts_are_counted_as_pairs(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """`starts_closer_than` counts the starts on which LeWM ends closer than the baseline."""
    _, summary, done = made
    run = FinishedRun(done.path.parents[1] / done.spec.inputs["evaluate"])
    lewm, random = (run.scalars(f"evaluate/{method}/final_error_px") for method in ("lewm", "random"))
    closer = sum(lewm[start] < random[start] for start in lewm)
    assert summary["evaluate"]["starts_closer_than"]["random"] == closer
    assert summary["evaluate"]["starts"] == len(lewm)


def test_timing_changes_the_page_only(made: tuple[str, dict[str, Any], FinishedRun], tmp_path: Path) -> None:
    """Another latency is shown on the page and leaves the result as it is."""

    def slower(out: Run) -> None:
        example_runs.write_showcase(out)
        out.timing("latency/solve", 7.25, 0)

    page, summary, done = make(tmp_path, build(tmp_path, showcase=slower))
    assert page != made[0]
    assert "7.2 s" in page
    assert summary == made[1]
    assert done.manifest.result_digest == made[2].manifest.result_digest


def test_same_runs_give_the_same_page(made: tuple[str, dict[str, Any], FinishedRun], tmp_path: Path) -> None:
    """Records and timings decide every byte: no date, no random id, no path."""
    assert make(tmp_path, build(tmp_path))[0] == made[0]


def test_failed_check_is_said(tmp_path: Path) -> None:
    """A failed check turns the verdict."""

    def failed(out: Run) -> None:
        out.event("gate/check", 0, name="margin over random", value=3.0, bound=-50.0, passed=False)

    page, summary, _ = make(tmp_path, build(tmp_path, gate=failed))
    assert "✗ it does not hold" in page
    assert "✓ it holds" not in page
    assert summary["gate"][0]["passed"] is False


def test_text_from_records_is_escaped(tmp_path: Path) -> None:
    """What a record says cannot become markup."""

    def hostile(out: Run) -> None:
        example_runs.write_evaluate(out)
        out.event("evaluate/protocol", n=6, seed=1, world="<script>alert(1)</script>")

    page = make(tmp_path, build(tmp_path, evaluate=hostile))[0]
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_missing_record_is_named(tmp_path: Path) -> None:
    """A showcase without an outcome is refused with the tag that is missing."""

    def silent(out: Run) -> None:
        out.text("showcase/task", "nothing")

    with pytest.raises(StageError, match="showcase/outcome"):
        make(tmp_path, build(tmp_path, showcase=silent))


def test_screenshots_are_shown_or_explained(tmp_path: Path) -> None:
    """The page shows the picture of a probe that took one, and the reason of one that did not; the result is equal."""

    note = PngInfo()
    note.add_text("Software", "Viewer 1")
    Image.new("RGB", (8, 6), "green").save(tmp_path / "shot.png", pnginfo=note)
    picture = (tmp_path / "shot.png").read_bytes()
    reason = canonical_json({"status": "skipped", "reason": "there is no driver"})

    def probe(name: str, content: bytes) -> Callable[[Run], None]:
        def write(out: Run) -> None:
            out.event("probe/rerun", entities=9)
            (out.path / "views").mkdir()
            (out.path / "views" / name).write_bytes(content)

        return write

    taken = build(tmp_path / "a", probe_rerun=probe("screenshot.png", picture))
    skipped = build(tmp_path / "b", probe_rerun=probe("screenshot.json", reason))
    with_picture, without = make(tmp_path / "a", taken), make(tmp_path / "b", skipped)
    assert base64.b64encode(picture).decode() in with_picture[0]
    assert "drawn by Viewer 1" in with_picture[0]
    assert "No screenshot of Rerun, skipped: there is no driver." in without[0]
    assert with_picture[1] == without[1]
    read(with_picture[0])


def test_reads_what_the_stages_write(tmp_path: Path) -> None:
    """A report on a real showcase and evaluation shows all decisions and starts."""
    fetched = stage_runs.checkpoint(tmp_path)
    shown = stage_runs.run_stage(tmp_path, "showcase", showcase.run, stage_runs.SHOWCASE, checkpoint=fetched)
    tried = stage_runs.run_stage(tmp_path, "evaluate", evaluate.run, stage_runs.EVALUATE, checkpoint=fetched)
    inputs = build(tmp_path) | {"checkpoint": fetched, "showcase": shown, "evaluate": tried}
    page, summary, _ = make(tmp_path, inputs)
    assert [decision["executed_steps"] for decision in summary["showcase"]["decisions"]] == [5, 5, 2]
    assert summary["evaluate"]["starts"] == 6
    assert page.count("Decision ") >= 3


def test_without_the_papers_tables_there_is_no_section(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Neither on the page nor in its numbers."""
    assert "Beside the paper" not in made[0] and made[1]["paper"] is None


def test_a_row_of_the_papers_tables_is_shown_in_full(tmp_path: Path) -> None:
    """What was measured, its interval, n, p, the paper's number and where it stands."""
    row = {"row": "success/lewm", "label": "success, LeWM", "value": 80.0, "low": 49.0, "high": 94.3, "unit": "%"}
    row |= {"n": 10, "interval": "Wilson", "p": None, "paper": "96.0 ± 2.83", "where": "Table 5"}

    def write(out: Run) -> None:
        out.event("tables/row", 0, **row)
        out.event("tables/differs", 0, text="10 starts instead of 50.")

    page, summary, _ = make(tmp_path, build(tmp_path, tables=write))
    for words in ("Beside the paper", "success, LeWM", "80 %", "49 to 94", "96.0 ± 2.83", "10 starts instead of 50."):
        assert words in page
    assert summary["paper"]["sections"]["Planning"] == [row]
