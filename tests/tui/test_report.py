"""What the terminal report shows of finished runs and bundles, on both sizes, with every key."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

import example_runs
from lewm_evidence import tui
from lewm_evidence.cli import main
from lewm_evidence.errors import EvidenceError
from lewm_evidence.records import Run
from lewm_evidence.tui import PAGES, make_report
from lewm_evidence.tui.widgets import Picture
from terminal import drive, pane, screen, settled, told, until, write_gate

RUNS = Path("runs")


@pytest.mark.parametrize("size", [(140, 45), (80, 24)], ids=["wide", "narrow"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_looks_like_this(
    project: Path, page: str, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    """The letters of every page on a large and on a small terminal."""
    report = make_report(RUNS)
    report.animation_level = "none"

    async def look(pilot: Pilot[int]) -> None:
        await pilot.press(str(PAGES.index(page) + 1))
        assert await settled(pilot, report) == snapshot

    drive(report, look, size)


def test_the_first_page_answers_the_first_questions(project: Path) -> None:
    """What was shown, whether it holds, how much better than the baselines, of which checkpoint."""
    report = make_report(RUNS)

    async def look(pilot: Pilot[int]) -> None:
        hero = pane(report, "hero")
        assert "Push the grey tee onto the green one: 25 steps away" in hero
        assert "✔ IT HOLDS: 2 of 2 checks of the gate passed" in hero
        assert "success 50 [40, 60] %" in hero and "reached the goal after 12 steps, 3 decisions" in hero
        (weights,) = Path("runs").glob("fetch/*/checkpoint/model.safetensors")
        digest = subprocess.run(["sha256sum", weights], capture_output=True, text=True, check=True).stdout.split()[0]
        assert digest in hero and "1,234,567 parameters" in hero

    drive(report, look)


def test_what_does_not_hold_says_so(tmp_path: Path) -> None:
    """A gate that failed a check and never finished is no good news; one that has not run is none yet."""
    runs = example_runs.build(tmp_path / "runs")
    report = make_report(tmp_path / "runs")

    async def undecided(pilot: Pilot[int]) -> None:
        assert "○ NOT DECIDED YET: the gate has not run" in pane(report, "hero")

    drive(report, undecided)
    report = make_report(runs["showcase"].path)

    async def alone(pilot: Pilot[int]) -> None:
        assert "○ NOT JUDGED: one episode shows no more than itself" in pane(report, "hero")

    drive(report, alone)
    gate = example_runs.open_run(tmp_path / "runs", "gate", evaluate=runs["evaluate"].name)
    write_gate(gate, passed=False)
    gate.close()
    report = make_report(tmp_path / "runs")

    async def refused(pilot: Pilot[int]) -> None:
        assert "✘ IT DOES NOT HOLD: error of LeWM minus that of no action = -70" in pane(report, "hero")
        assert "✘ failed  gate" in pane(report, "pipeline")

    drive(report, refused)


def test_a_checkpoint_without_a_simulator_says_so(tmp_path: Path) -> None:
    """It was scored; nothing was shown, and nothing will be."""
    example_runs.finished(tmp_path, "score")
    report = make_report(tmp_path)

    async def look(pilot: Pilot[int]) -> None:
        assert "Scored, not shown: its world has no simulator here." in pane(report, "hero")
        assert "waiting" not in pane(report, "pipeline")

    drive(report, look)


def test_stages_appear_one_after_another(project: Path) -> None:
    """With a delay the pipeline starts empty and ends complete; without one everything is there at once."""
    report = make_report(RUNS, stage_delay=3600.0)

    async def look(pilot: Pilot[int]) -> None:
        seen = [pane(report, "pipeline").count("✔ done")]
        for _ in range(8):
            report._reveal()  # as the timer does
            seen.append(pane(report, "pipeline").count("✔ done"))
        assert seen == list(range(9))

    drive(report, look)
    report = make_report(RUNS)

    async def at_once(pilot: Pilot[int]) -> None:
        assert pane(report, "pipeline").count("✔ done") == 8

    drive(report, at_once)


def test_the_delay_is_the_document_s_and_can_be_switched_off(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.35 s unless another one is given; none without animation."""
    seen: list[tuple[float, bool]] = []
    monkeypatch.setattr(tui, "_run", lambda report, animation: seen.append((report._delay, animation)) or 0)
    assert [tui.show_report(RUNS), tui.show_report(RUNS, stage_delay=1.0), tui.show_report(RUNS, animation=False)] == [
        0
    ] * 3
    assert seen == [(0.35, True), (1.0, True), (0.0, False)]


def test_the_keys_of_the_replay(project: Path) -> None:
    """Play to the end, pause, single steps, decisions and speed; the pane names step, error and decision."""
    report = make_report(RUNS)

    async def steps(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        for keys, shown in (
            (["right"], "step 1 of 12"),
            (["right", "right", "left"], "step 2 of 12"),
            (["left"] * 5, "step 0 of 12"),
            (["right_square_bracket"], "step 4 of 12"),
            (["right_square_bracket"] * 3, "step 8 of 12"),
            (["left_square_bracket"], "step 4 of 12"),
        ):
            await pilot.press(*keys)
            assert shown in pane(report, "tabletop")
        assert "decision  2 at step 4: " in pane(report, "tabletop") and "px to the goal" in pane(report, "tabletop")
        assert "▶2" in pane(report, "costs")
        await pilot.press("minus", "minus", "space")
        assert "▶ plays at 0.25×" in pane(report, "tabletop")
        await pilot.press("space")
        assert "space plays at 0.25×" in pane(report, "tabletop")
        await pilot.press("space", *["plus"] * 5)
        await until(pilot, lambda: "step 12 of 12  space plays at 4×" in pane(report, "tabletop"))
        await pilot.press("minus", "minus", "minus", "minus", "space")
        assert "step 0 of 12  ▶ plays at 0.25×" in pane(report, "tabletop")

    drive(report, steps)


def test_the_chosen_candidate_is_the_recorded_one(project: Path) -> None:
    """The table ranks what the records hold by cost and marks the winner in words."""
    report = make_report(RUNS)
    decisions = report.runs.stage("showcase").arrays("showcase/decision")

    async def look(pilot: Pilot[int]) -> None:
        await pilot.press("2", "right_square_bracket")
        row = next(line for line in pane(report, "candidates").splitlines() if "◀ chosen" in line)
        assert row.split()[:2] == ["1", f"#{int(decisions[1]['winner'])}"]
        assert row.split()[3] == f"{decisions[1]['candidate_costs'].min():.3g}"

    drive(report, look)


def test_the_picture_shows_the_frame_the_path_and_the_goal(project: Path) -> None:
    """Half blocks in the frame's colours, with the chosen path and the goal in theirs, and new ones at another step."""
    report = make_report(RUNS)

    async def look(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await pilot.pause()
        picture = report.query_one(Picture)
        first = [picture.render_line(y) for y in range(picture.size.height)]
        assert {letter for row in first for letter in row.text} == {"▀"}
        colours = {segment.style.color.triplet for row in first for segment in row if segment.style}
        for wanted in ((255, 255, 255), (200, 30, 140), (200, 60, 20)):
            assert min(sum(abs(a - b) for a, b in zip(wanted, colour, strict=True)) for colour in colours) < 60
        await pilot.press("right_square_bracket")
        await pilot.pause()
        assert [picture.render_line(y) for y in range(picture.size.height)] != first

    drive(report, look)


def test_help_opens_and_closes(project: Path) -> None:
    """? shows the keys; Esc, q and ? close them again without quitting."""
    report = make_report(RUNS)

    async def look(pilot: Pilot[int]) -> None:
        for key in ("escape", "q", "question_mark"):
            await pilot.press("question_mark")
            assert "start TensorBoard and open it in the browser" in await settled(pilot, report)
            await pilot.press(key)
            await until(pilot, lambda: "What was shown" in screen(report))
            assert "start TensorBoard and" not in screen(report) and report.is_running

    drive(report, look)


def test_every_page_scrolls_with_the_keys(project: Path) -> None:
    """On a small terminal what lies below is reached without a mouse, page after page."""
    report = make_report(RUNS)

    async def look(pilot: Pilot[int]) -> None:
        for page in "1235":
            await pilot.press(page, "end")
            await until(pilot, lambda: report.focused is not None and report.focused.scroll_y > 0)

    drive(report, look, (80, 16))


def test_the_theme_changes(project: Path) -> None:
    """ctrl+t goes from dark to light and back."""
    report = make_report(RUNS)

    async def look(pilot: Pilot[int]) -> None:
        dark = [report.current_theme.dark]
        for _ in range(2):
            await pilot.press("ctrl+t")
            dark.append(report.current_theme.dark)
        assert dark == [True, False, True]

    drive(report, look)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_quitting(project: Path, key: str) -> None:
    """q and Ctrl-C end it with status 0."""
    report = make_report(RUNS)

    async def leave(pilot: Pilot[int]) -> None:
        await pilot.press(key)

    drive(report, leave)
    assert not report.is_running and (report.return_code or 0) == 0


def test_the_footer_shows_the_keys(project: Path) -> None:
    """Rerun and TensorBoard stand in the footer, with the other keys, also on a small terminal."""
    report = make_report(RUNS)

    async def look(pilot: Pilot[int]) -> None:
        footer = screen(report).splitlines()[-1]
        for shown in ("q quit", "? help", "o Rerun", "t TensorBoard", "v verify", "space play", "^t theme"):
            assert shown in footer

    drive(report, look, (80, 24))


def test_a_bundle_is_accepted(project: Path) -> None:
    """v reads every file beside the report and tells the address, who signed, and how to do it again."""
    (bundle,) = Path("evidence").iterdir()
    report = make_report(bundle)

    async def verify(pilot: Pilot[int]) -> None:
        assert "○ NOT VERIFIED HERE YET" in pane(report, "verified")
        await pilot.press("v")
        await until(pilot, lambda: "✔ ACCEPTED" in pane(report, "verified"))
        shown = pane(report, "verified")
        assert json.loads((bundle / "bundle.json").read_text())["address"] in shown and "(self-signed)" in shown
        assert f"lewm-evidence verify {bundle}" in shown and f"lewm-evidence reproduce {bundle}" in shown
        assert "✔ IT HOLDS" in pane(report, "hero") and pane(report, "pipeline").count("✔ done") == 7

    drive(report, verify)


def test_an_altered_bundle_is_refused(project: Path, tmp_path: Path) -> None:
    """The reason stands in the pane; the button does what the key does."""
    (sealed,) = Path("evidence").iterdir()
    bundle = Path(shutil.copytree(sealed, tmp_path / "bundle"))
    (record,) = bundle.glob("bag/data/runs/evaluate/*/records.jsonl")
    record.write_bytes(record.read_bytes().replace(b'"value":0.5', b'"value":0.9'))
    report = make_report(bundle)

    async def verify(pilot: Pilot[int]) -> None:
        await pilot.press("5")
        await pilot.click("#do-verify")
        await until(pilot, lambda: "✘ REFUSED" in pane(report, "verified"))
        assert "records.jsonl" in pane(report, "verified")

    drive(report, verify)


def test_the_way_to_check_with_other_tools_works(project: Path) -> None:
    """The command that the pane shows is run as it stands there."""
    report = make_report(RUNS)

    async def run(pilot: Pilot[int]) -> None:
        shown = next(line for line in pane(report, "verified").splitlines() if "sha256sum" in line)
        command = shown[shown.index("(") :]
        assert subprocess.run(command, shell=True, check=False).returncode == 0

    drive(report, run)


def test_without_a_bundle_there_is_nothing_to_verify(tmp_path: Path) -> None:
    """The pane says how to make one, the button is off and the key warns."""
    example_runs.build(tmp_path / "runs")
    report = make_report(tmp_path / "runs")

    async def verify(pilot: Pilot[int]) -> None:
        assert "Nothing has been sealed of this yet" in pane(report, "verified")
        await pilot.press("v")
        assert ("warning", "Nothing has been sealed of this, so there is nothing to verify.") in told(report)

    drive(report, verify)


def test_one_showcase_can_be_named(tmp_path: Path) -> None:
    """Of two showcases, the one that is named is shown with what belongs to it; without a name it is the last."""
    runs = example_runs.build(tmp_path / "runs")
    other = example_runs.finished(
        tmp_path / "runs", "showcase", example_runs.write_showcase, {"seed": 12}, checkpoint=runs["fetch"].name
    )
    named = make_report(runs["showcase"].path).runs
    assert named.stage("showcase").name == runs["showcase"].name
    assert [run.spec.stage for run in named.chosen] == ["fetch", "showcase", "evaluate"]
    assert make_report(tmp_path / "runs").runs.stage("showcase").name == other.name


HOSTILE = "[bold red]no[/] \x1b[2J\x1b]0;title\x07 [link=file:///etc/passwd]x[/link] \u202eevil $error"


def hostile(run: Run) -> None:
    """Writes a showcase whose texts would be obeyed by a careless reader."""
    example_runs.write_showcase(run)
    run.text("showcase/task", HOSTILE)
    run.event("showcase/note", text=HOSTILE)


def test_text_from_records_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    """Markup is shown as it is written; what a terminal would obey is replaced."""
    example_runs.finished(tmp_path / "runs", "showcase", hostile)
    report = make_report(tmp_path / "runs")

    async def look(pilot: Pilot[int]) -> None:
        for name in ("hero", "happened"):
            assert "[bold red]no[/] �[2J�]0;title� [link=file:///etc/passwd]x[/link] �evil $error" in pane(report, name)
        await pilot.press("4")
        letters = await settled(pilot, report)
        assert not set("\x1b\x07\u202e") & set(letters) and letters.count("[bold red]no[/]") == 1
        report._say(HOSTILE, "warning")
        await until(pilot, lambda: screen(report).count("[bold red]no[/]") == 2)
        assert not set("\x1b\x07\u202e") & set(screen(report))

    drive(report, look)


def outside(run: Run) -> None:
    """Writes a showcase whose frames are said to lie outside of the run."""
    example_runs.write_showcase(run)
    records = run.path / "records.jsonl"
    records.write_text(records.read_text().replace("frames/showcase/frame/", "../../../frames/"))


def shapeless(run: Run) -> None:
    """Writes a showcase one of whose arrays are those of something else."""
    example_runs.write_showcase(run)
    run.arrays("showcase/decision", {"winner": np.zeros(3)}, 3)


def lines_of_another(run: Run) -> None:
    """Writes a line that is no record."""
    example_runs.write_showcase(run)
    with (run.path / "records.jsonl").open("a") as file:
        file.write('{"kind":"scalar","value":"many"}\n')


@pytest.mark.parametrize(
    ("write", "name", "sentence"),
    [
        (outside, "tabletop", "✘ This cannot be drawn: StageError: showcase/"),
        (shapeless, "costs", "✘ This cannot be shown: StageError: showcase/"),
        (lines_of_another, "pipeline", "holds a line that is no record"),
    ],
)
def test_damaged_runs_give_a_sentence_in_their_pane(tmp_path: Path, write: object, name: str, sentence: str) -> None:
    """The rest is shown all the same."""
    example_runs.finished(tmp_path / "runs", "showcase", write)
    report = make_report(tmp_path / "runs")

    async def look(pilot: Pilot[int]) -> None:
        assert sentence in pane(report, name)
        assert "25 steps away" in pane(report, "hero")

    drive(report, look)


def test_what_cannot_be_shown_is_told_before_anything_is_drawn(tmp_path: Path) -> None:
    """A missing folder, a file, a folder without runs, a run of nothing known, and a summary that is none."""
    empty, foreign, archive = tmp_path / "empty", tmp_path / "runs" / "x" / "y", tmp_path / "x.tar"
    empty.mkdir()
    foreign.mkdir(parents=True)
    (foreign / "spec.json").write_text("{}")
    archive.touch()
    for place, sentence in (
        (tmp_path / "nowhere", "is not there; give a folder of runs"),
        (archive, "is a file \\(unpack an archive first\\)"),
        (empty, "holds no run that can be shown"),
        (tmp_path / "runs", "spec.json is not a spec"),
        (foreign, "spec.json is not a spec"),
    ):
        with pytest.raises(EvidenceError, match=sentence):
            make_report(place)
    example_runs.finished(tmp_path / "good", "showcase", example_runs.write_showcase)
    for text, sentence in (("{", "cannot be read as JSON"), ("[]", "holds no JSON object")):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(EvidenceError, match=sentence):
            make_report(tmp_path / "good", summary=tmp_path / "summary.json")


def test_it_needs_a_terminal(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe the sentence names what works there; watch has the same status 2."""
    with pytest.raises(EvidenceError, match="needs a terminal; `lewm-evidence summary`"):
        tui.show_report(RUNS)
    assert main(["watch", "runs"]) == 2
    assert "needs a terminal" in capsys.readouterr().err


def test_without_textual_the_extra_is_named(tmp_path: Path) -> None:
    """What to install, as one sentence."""
    code = (
        "import sys; sys.modules['textual'] = None\nfrom lewm_evidence.cli import main; sys.exit(main(['watch', '.']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "the terminal report needs the package 'textual'; install lewm-evidence[tui]" in done.stderr


def test_a_reviewer_needs_no_more_than_the_extra(project: Path, tmp_path: Path) -> None:
    """Without all that makes and opens evidence, a bundle is shown and a picture made of it."""
    (bundle,) = Path("evidence").iterdir()
    missing = ["torch", "snakemake", "tensorboard", "rerun", "rerun_cli", "pyarrow", "pymunk", "pygame", "cv2"]
    missing += ["matplotlib", "jinja2", "scipy", "huggingface_hub", "tqdm"]
    code = f"""
import sys
sys.modules.update(dict.fromkeys({missing}))
sys.argv = ["picture", {str(bundle)!r}, {str(tmp_path / "out.svg")!r}, "--page", "replay"]
from lewm_evidence.tui.picture import main
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    svg = (tmp_path / "out.svg").read_text()
    assert "Candidates" in svg and "url(" not in svg.replace("url(#", "")
