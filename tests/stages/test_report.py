"""The report: a page that stands on its own, and its numbers as a result."""

import base64
import hashlib
import io
import itertools
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
from lewm_evidence.config import Config
from lewm_evidence.errors import StageError
from lewm_evidence.plan import plan
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.stages import evaluate, showcase
from report_runs import (
    HOSTILE,
    HOSTILE_WRITERS,
    build,
    build_scored,
    make,
    write_hostile_score,
    write_probing,
    write_surprise,
    write_tables,
)

VOID = {"meta", "img", "br", "source", "link", "input", "hr"}


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
    """Everything the page shows is inside it, and its policy lets nothing else in."""
    page = made[0]
    elements = read(page).elements
    assert not {"link", "iframe", "object", "base"} & {tag for tag, _ in elements}
    for tag, attributes in elements:
        for name in ("src", "srcset", "href", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, attributes)
    assert not re.search(r"@import|url\((?!#)", page)
    (policy,) = [a["content"] or "" for _, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "http" not in policy and "*" not in policy


def test_only_the_pages_own_script_may_run(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """There is one script, a constant; the policy names its digest, so that no other runs, and no handler either."""
    page = made[0]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    elements = read(page).elements
    (policy,) = [a["content"] or "" for _, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.endswith(f"; script-src 'sha256-{digest}'")
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]


def test_page_can_be_heard(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Every picture and figure has a text, headings go down one step at a time, and ids are unique."""
    elements = read(made[0]).elements
    assert all(attributes.get("alt") for tag, attributes in elements if tag == "img")
    assert all(
        attributes.get("aria-label") or "aria-hidden" in attributes for tag, attributes in elements if tag == "svg"
    )
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_figures_follow_light_and_dark(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Inline figures take their colours from the page; no stand-in colour is left."""
    page = made[0]
    assert "--lewm: light-dark(" in page
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
    """What a record says cannot become markup, wherever it stands: names, words, the player's data, reasons."""
    page = make(tmp_path, build(tmp_path, HOSTILE, **HOSTILE_WRITERS))[0]
    assert page.count("<script") == page.count("</script") == page.count("</style") == 1
    assert "<img src=x" not in page
    notes = [a["data-note"] or "" for _, a in read(page).elements if "data-note" in a]
    assert notes and all(HOSTILE in note for note in notes)


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
    (uri,) = re.findall(r"data:image/webp;base64,([^\"]+)", with_picture[0])
    with Image.open(io.BytesIO(base64.b64decode(uri))) as shown:
        assert shown.size == (8, 6)
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


def test_without_the_papers_tables_it_says_how_to_get_them(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Probing and surprise are not silently absent: the command that makes them is there."""
    assert made[1]["paper"] is None
    assert "tables={sealed: true}" in made[0]
    assert "Surprise, mean over episodes" not in made[0]


def test_the_papers_tables_are_shown_in_full(tmp_path: Path) -> None:
    """What was measured, its interval, n, p, the paper's number and its place; probing and surprise as figures."""
    inputs = build(tmp_path, tables=write_tables, probing=write_probing, surprise=write_surprise)
    page, summary, _ = make(tmp_path, inputs)
    for words in ("Beside the paper", "success, LeWM", "80 %", "49 to 94", "96.0 ± 2.83", "10 starts instead of 50."):
        assert words in page
    assert [row["label"] for row in summary["paper"]["sections"]["Planning"]] == ["success, LeWM"]
    assert "LeWM linear: agent position 0.95; block position 0.95; block angle 0.95" in page
    assert "p of the event: teleport 1e-05, colour 1e-05" in page


def test_a_training_beside_the_checkpoint_is_called_that(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Its curves are shown and its last values counted, and nobody can take them for the checkpoint's own."""
    page, summary, _ = made
    assert summary["training"]["own"] is False
    assert summary["training"]["last"]["loss"] == pytest.approx(1 / 100 + 4 / 100)
    assert "Not the training of this checkpoint" in page
    assert "Losses of a batch" in page


def test_a_checkpoints_own_training_is_shown_as_such(tmp_path: Path) -> None:
    """Where the checkpoint is a run of train, its curves are the ones shown, and the source says so."""

    def train(out: Run) -> None:
        example_runs.write_fetch(out)
        example_runs.write_train(out)

    inputs = build(tmp_path)
    trained = stage_runs.run_stage(tmp_path, "train", train, {"seed": 5})
    page, summary, _ = make(tmp_path, inputs | {"checkpoint": trained})
    assert (summary["training"]["own"], summary["training"]["run"]) == (True, trained.name)
    assert "This is the training that made the checkpoint" in page and "Not the training" not in page


def test_without_a_training_it_says_so(tmp_path: Path) -> None:
    """`smoke: null` leaves a sentence, not a hole."""
    inputs = build(tmp_path)
    del inputs["smoke_train"]
    page, summary, _ = make(tmp_path, inputs)
    assert summary["training"] is None and "No training belongs to these runs" in page


def test_player_has_every_step_and_decision(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """One distance and one place of the agent a step, one frame each in the film, and a plan for every decision."""
    page, summary, _ = made
    elements = read(page).elements
    (player,) = [attributes for _, attributes in elements if "data-agents" in attributes]
    steps = summary["showcase"]["outcome"]["env_steps"] + 1
    assert len((player["data-errors"] or "").split()) == len((player["data-agents"] or "").split()) == steps
    assert (player["data-starts"] or "").split() == ["0", "4", "8"]
    ids = {attributes.get("id") for _, attributes in elements}
    assert {"plans-0", "plans-1", "plans-2"} <= ids and "plans-3" not in ids
    (film,) = [
        attributes
        for tag, attributes in elements
        if tag == "image" and attributes.get("width") == player["data-columns"]
    ]
    with Image.open(io.BytesIO(base64.b64decode((film["href"] or "").partition(",")[2]))) as picture:
        across, down = (length // example_runs.SIZE for length in picture.size)
    assert (across, down) == (int(film["width"] or 0), int(film["height"] or 0)) and across * down >= steps


def test_cheapest_constant_action_is_told(made: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Each decision's landscape names its lowest place, across before down."""
    assert made[0].count("cheapest constant action 0.3 across, -0.5 down") == example_runs.DECISIONS


def test_plan_gives_the_report_what_it_draws() -> None:
    """The smoke training where there is one, probing and surprise where tables are sealed; never a worker."""
    always = {"checkpoint", "showcase", "evaluate", "gate", "probe_tensorboard", "probe_rerun"}
    assert set(plan(Config())["report"].spec.inputs) == always | {"smoke_train"}
    sealed = Config.model_validate({"smoke": None, "tables": {"sealed": True}})
    assert set(plan(sealed)["report"].spec.inputs) == always | {"tables", "probing", "surprise"}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], FinishedRun]:
    """A report on a checkpoint of a world that has no simulator."""
    runs = tmp_path_factory.mktemp("scored")
    return make(runs, build_scored(runs))


def test_a_scored_checkpoint_has_a_page_that_claims_no_planning(
    scored: tuple[str, dict[str, Any], FinishedRun],
) -> None:
    """It says what was shown and what not, draws no episode and no verdict, and leaves out `showcase.json`."""
    page, summary, done = scored
    assert "how well it plans was not measured" in page and "no simulator of reacher here" in page
    assert "it holds" not in page and "data-agents" not in page and "TensorBoard showed" in page
    assert "reproduce . --only score" in page
    assert not {"evaluate", "gate", "showcase"} & summary.keys()
    assert not (done.path / "views" / "showcase.json").exists()


def test_a_scored_page_has_the_numbers_of_its_run(scored: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Costs, search, repeats and every skipped stage with its reason are those that the stage score recorded."""
    page, summary, done = scored
    run = FinishedRun(done.path.parents[1] / done.spec.inputs["score"])
    costs = run.arrays("arrays/score/model/00000.safetensors")["costs"]
    told = summary["score"]
    assert (told["costs"]["lowest"], told["costs"]["highest"]) == pytest.approx((costs.min(), costs.max()))
    assert told["candidates"] == len(costs) == stage_runs.PLANNER["num_samples"]
    cheapest = run.scalars("score/cem/elite_cost_min").values()
    assert told["search"] == {"iterations": stage_runs.PLANNER["iterations"], "lowest": min(cheapest)}
    assert told["repeats"] == {"repeats": 5, "equal": True} and "the same to the bit" in page
    skipped = [event.fields for event in run.events("score/skipped")]
    assert told["skipped"] == skipped and len(skipped) == 5
    for row in skipped:
        assert f'<th scope="row">{row["stage"]}</th><td>{row["reason"]}</td>' in page


def test_a_scored_page_stands_on_its_own(scored: tuple[str, dict[str, Any], FinishedRun]) -> None:
    """Its contents lead to sections that are there, everything is inside it, and its policy knows its script."""
    test_page_needs_nothing_else(scored)
    test_only_the_pages_own_script_may_run(scored)
    test_page_can_be_heard(scored)
    elements = read(scored[0]).elements
    ids = {attributes.get("id") for _, attributes in elements}
    links = [(attributes["href"] or "")[1:] for tag, attributes in elements if tag == "a" and "href" in attributes]
    assert len(links) > 6 and set(links) <= ids


def test_scores_that_differ_are_said_and_words_stay_words(tmp_path: Path) -> None:
    """A model that answers differently each time is not called equal; markup in a reason is escaped."""
    page, _, _ = make(tmp_path, build_scored(tmp_path, score=write_hostile_score))
    assert "✗ scores differ" in page and "the same to the bit" not in page
    assert page.count("<script") == page.count("</script") == page.count("</style") == 1
    assert "<img src=x" not in page
