"""The report in a real browser, from the disk and without network: what a person does with it, in both themes."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import example_runs
from browsing import PHONE, SCHEMES, SIZES, check_with_axe
from lewm_evidence.records import Run
from report_runs import (
    HOSTILE,
    HOSTILE_WRITERS,
    build,
    build_scored,
    make,
    page_of,
    write_probing,
    write_surprise,
    write_tables,
)

pytestmark = pytest.mark.browser

UNFOLDED = "document.querySelectorAll('details[open]').length"
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"


def write_probe(viewer: str) -> Callable[[Run], None]:
    """Returns what writes a probe with a screenshot as large as a real one."""

    def write(out: Run) -> None:
        out.event(f"probe/{viewer}", tags=12, points=345)
        (out.path / "views").mkdir()
        noise = np.random.default_rng(1).integers(0, 255, (195, 240, 3), np.uint8)
        picture = Image.fromarray(noise).resize((1920, 1560), Image.Resampling.BICUBIC)
        picture.save(out.path / "views" / "screenshot.png")

    return write


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything on it, where it lies in a bundle whose folder has an awkward name."""
    runs = tmp_path_factory.mktemp("runs")
    probes = {f"probe_{viewer}": write_probe(viewer) for viewer in ("tensorboard", "rerun")}
    inputs = build(runs, tables=write_tables, probing=write_probing, surprise=write_surprise, **probes)
    return in_bundle(make(runs, inputs)[2].path, tmp_path_factory.mktemp("o'brien & co"))


def in_bundle(run: Path, bundle: Path) -> Path:
    """Copies the page of the report `run` to its place in a bundle's folder."""
    place = bundle / "bag" / "data" / "runs" / "report" / run.name / "views" / "report" / "index.html"
    place.parent.mkdir(parents=True)
    place.write_bytes((run / "views" / "report" / "index.html").read_bytes())
    return place


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page about a checkpoint whose world has no simulator."""
    runs = tmp_path_factory.mktemp("scored")
    return page_of(make(runs, build_scored(runs, probe_tensorboard=write_probe("tensorboard")))[2])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("script", [True, False])
def test_page_opens_in_silence_in_both_themes(
    visit: Callable[..., Any], report: Path, scheme: str, script: bool
) -> None:
    """The theme is the system's, also without script, and `visit` hears neither an error nor a request."""
    page = visit(report, color_scheme=scheme, java_script_enabled=script)
    shot = page.screenshot(clip={"x": 2, "y": 300, "width": 4, "height": 4})
    corner = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
    assert (corner.mean() > 128) == (scheme == "light")
    assert page.locator("h1").is_visible() and page.locator("#provenance").count() == 1
    assert page.locator(".controls").first.is_visible() == script
    assert page.locator("noscript p").is_visible() != script


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(visit: Callable[..., Any], report: Path, scheme: str, size: dict[str, int]) -> None:
    """No violation of any rule of axe-core, with everything unfolded."""
    check_with_axe(visit(report, color_scheme=scheme, viewport=size))


def test_phone_shows_all_without_scrolling_sideways(visit: Callable[..., Any], report: Path) -> None:
    """At 390 px nothing is wider than the page; tables that are scroll by themselves and can be reached by keyboard."""
    page = visit(report, viewport=PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")
    page.evaluate("dispatchEvent(new Event('resize'))")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    wide = "[...document.querySelectorAll('.wide')].filter(it => it.scrollWidth > it.clientWidth)"
    assert page.evaluate(f"{wide}.length") > 0
    assert page.evaluate(f"{wide}.every(it => it.tabIndex === 0)")
    heights = page.evaluate("[...document.querySelectorAll('svg text')].map(it => it.getBoundingClientRect().height)")
    assert min(height for height in heights if height) > 9


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Waits until `holds`; playwright's own way is code as text, which the page's policy refuses."""
    for _ in range(200):
        if holds():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not happen within ten seconds")


def step_of(page: Any) -> int:
    """Returns the step that the player shows, after checking that its parts agree on it."""
    step = int(page.locator(".player input[type=range]").input_value())
    assert page.locator(".now").inner_text().startswith(f"step {step} of {example_runs.ENV_STEPS}, ")
    columns = int(page.locator(".player").get_attribute("data-columns"))
    frame = page.locator(".player .frame").get_attribute("viewBox")
    assert frame == f"{step % columns} {step // columns} 1 1"
    decision = min(step // example_runs.STEPS_PER_DECISION, example_runs.DECISIONS - 1)
    assert page.locator(".player .plans").get_attribute("href") == f"#plans-{decision}"
    assert f"Decision {decision + 1} of {example_runs.DECISIONS}" in page.locator(".why").inner_text()
    assert page.locator(".jump [aria-current=step]").inner_text() == str(decision + 1)
    return step


def test_player_by_keyboard(visit: Callable[..., Any], report: Path) -> None:
    """Arrows, Home and End move the slider, Enter on the button plays to the end and Space stops; labels are spoken."""
    page = visit(report)
    slider, play = page.get_by_role("slider", name="Step of the episode"), page.locator(".play")
    assert step_of(page) == 0
    slider.focus()
    for key, step in (("ArrowRight", 1), ("ArrowRight", 2), ("End", 12), ("ArrowLeft", 11), ("Home", 0)):
        page.keyboard.press(key)
        assert step_of(page) == step
    assert slider.get_attribute("aria-valuetext").endswith("px to the goal, decision 1")
    play.focus()
    page.keyboard.press("Enter")
    assert play.inner_text() == "Pause"
    until(page, lambda: int(slider.input_value()) > 1)
    page.keyboard.press("Space")
    assert play.inner_text() == "Play" and step_of(page) >= 2
    page.keyboard.press("Space")
    until(page, lambda: play.inner_text() == "Play")
    assert step_of(page) == example_runs.ENV_STEPS


def test_player_by_pointer(visit: Callable[..., Any], report: Path) -> None:
    """A decision's button shows its start, the box hides the candidates, the slider can be clicked."""
    page = visit(report)
    page.get_by_role("button", name="Decision 3").click()
    assert step_of(page) == 8
    with_candidates = page.locator(".player > svg").screenshot()
    page.get_by_label("candidates").uncheck()
    assert page.locator(".player > svg").screenshot() != with_candidates
    box = page.locator(".player input[type=range]").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert step_of(page) == 6


def test_motion_starts_by_itself_only_where_it_is_wanted(visit: Callable[..., Any], report: Path) -> None:
    """It plays once, and stays still for who asked the system for less motion."""
    moving = visit(report, reduced_motion="no-preference")
    until(moving, lambda: moving.locator(".now").inner_text()[:6] != "step 0")
    still = visit(report)
    still.wait_for_timeout(1500)
    assert step_of(still) == 0


def test_commands_are_copied_and_said(visit: Callable[..., Any], report: Path) -> None:
    """Every copy button copies its command, by pointer and by keyboard, and tells who cannot see."""
    page = visit(report, permissions=["clipboard-read", "clipboard-write"])
    buttons = page.locator(".copy")
    assert buttons.count() >= 5
    for number in range(buttons.count()):
        button = buttons.nth(number)
        command = button.locator("xpath=..").locator("code").inner_text()
        if number % 2:
            button.focus()
            page.keyboard.press("Enter")
        else:
            button.click()
        until(page, lambda said=f"Copied: {command}": page.locator("#said").text_content() == said)
        assert page.evaluate("navigator.clipboard.readText()") == command
        assert button.inner_text() == "Copied"


def test_the_commands_know_where_the_bundle_lies(visit: Callable[..., Any], report: Path, tmp_path: Path) -> None:
    """In a bundle the page says how to go to its folder, quoted for a shell; elsewhere which folder is meant."""
    bundle = report.parents[7]
    quoted = str(bundle).replace("'", "'\\''")
    assert "'" in str(bundle)
    assert visit(report).locator("#place").inner_text() == f"cd '{quoted}'"
    elsewhere = tmp_path / "page.html"
    elsewhere.write_bytes(report.read_bytes())
    assert visit(elsewhere).locator("#place").inner_text() == "cd FOLDER-THAT-HOLDS-bag"


def test_theme_can_be_switched(visit: Callable[..., Any], report: Path) -> None:
    """The button goes from the system's theme to light, to dark and back."""
    page = visit(report, color_scheme="dark")
    button, shades = page.locator(".theme"), []
    for _ in range(3):
        button.click()
        shades.append(
            (button.inner_text(), page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        )
    assert [name for name, _ in shades] == ["Theme: light", "Theme: dark", "Theme: system"]
    assert shades[0][1] != shades[1][1] == shades[2][1]


def test_prints_whole_and_in_light(visit: Callable[..., Any], report: Path, tmp_path: Path) -> None:
    """The PDF has a sane number of pages, what is folded is printed, and the controls are not."""
    page = visit(report, color_scheme="dark")
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.unfolded = {UNFOLDED}; }})")
    page.pdf(path=tmp_path / "report.pdf", format="A4", print_background=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes()))
    assert 5 <= pages <= 16
    assert page.evaluate("window.unfolded") == page.locator("details").count() > 0
    assert page.evaluate(UNFOLDED) == 0
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator(".controls").first.is_visible() and not page.locator("nav").is_visible()
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"


def test_hostile_words_stay_words(visit: Callable[..., Any], tmp_path: Path) -> None:
    """Markup in records neither runs nor breaks the page, and the player reads it out as it is."""
    page = visit(page_of(make(tmp_path, build(tmp_path, HOSTILE, **HOSTILE_WRITERS))[2]))
    page.wait_for_timeout(200)
    assert page.title() != "broken"
    assert HOSTILE in page.locator(".why").inner_text()
    assert page.locator("img[src=x]").count() == 0 and page.locator("script").count() == 1
    assert page.locator("footer").is_visible()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_a_page_without_episode_is_as_good(
    visit: Callable[..., Any], scored: Path, scheme: str, size: dict[str, int]
) -> None:
    """axe finds nothing, the script runs without a player, nothing is too wide, and commands can be copied."""
    page = visit(scored, color_scheme=scheme, viewport=size, permissions=["clipboard-read", "clipboard-write"])
    check_with_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    button = page.locator(".copy").nth(1)
    button.click()
    until(page, lambda: button.inner_text() == "Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "lewm-evidence verify ."
    assert page.locator("h1").inner_text().endswith("how well it plans was not measured")


def test_page_stays_small(report: Path) -> None:
    """With screenshots of real size and everything that can be on it, under 5 MB."""
    assert report.stat().st_size < 5_000_000
