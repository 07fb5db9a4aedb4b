"""Screenshots of the real viewers: shown when they can be made, told when not, and never part of a result."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import example_runs
from lewm_evidence.errors import ProbeError
from lewm_evidence.probe import browser, rerun_viewer
from lewm_evidence.probe.screenshot import SWITCH, NotHereError, Shot, check_not_blank, keep
from lewm_evidence.probe.tensorboard import expected, front_page, serve
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.render import rerun as rerun_renderer
from lewm_evidence.render.tensorboard import render
from lewm_evidence.stages import probe_rerun, render_rerun


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)


def png(pixels: Any) -> bytes:
    """Returns an RGB picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def colourful() -> bytes:
    """Returns a picture that shows something everywhere."""
    return png(np.random.default_rng(0).integers(0, 255, (60, 80, 3)))


def kept(runs: Path, shoot: Callable[[], Shot]) -> FinishedRun:
    """Returns a run whose only content is a screenshot, or why there is none: one file."""
    run = example_runs.finished(runs, "probe", lambda out: keep(out, shoot))
    assert len(list((run.path / "views").iterdir())) == 1
    return run


def reason_of(run: FinishedRun) -> dict[str, str]:
    """Returns what is said about a screenshot that was not taken."""
    note: dict[str, str] = json.loads((run.path / "views" / "screenshot.json").read_bytes())
    return note


def missing() -> Shot:
    """Is not here."""
    raise NotHereError("there is no browser")


def broken() -> Shot:
    """Fails."""
    raise ProbeError("it shows nothing")


def test_a_picture_is_a_view(tmp_path: Path) -> None:
    """It is kept pixel for pixel, with the name of what drew it, and is no result."""
    run = kept(tmp_path, lambda: Shot(colourful(), "Viewer 1"))
    with Image.open(run.path / "views" / "screenshot.png") as picture:
        assert picture.info["Software"] == "Viewer 1"
        assert (np.asarray(picture) == np.asarray(Image.open(io.BytesIO(colourful())))).all()
    assert {entry.role for entry in run.manifest.files if entry.path == "views/screenshot.png"} == {"view"}


@pytest.mark.parametrize(
    ("shoot", "status", "reason"),
    [
        (missing, "skipped", "there is no browser"),
        (broken, "failed", "it shows nothing"),
        (lambda: Shot(png(np.full((60, 80, 3), 255)), "Viewer 1"), "failed", "blank"),
        (lambda: Shot(b"not a picture", "Viewer 1"), "failed", "no picture"),
    ],
)
def test_without_a_picture_the_reason_is_kept(
    tmp_path: Path, shoot: Callable[[], Shot], status: str, reason: str
) -> None:
    """No picture, no failure of the probe, and the same result as with one."""
    run = kept(tmp_path / "without", shoot)
    assert reason_of(run)["status"] == status and reason in reason_of(run)["reason"]
    taken = kept(tmp_path / "with", lambda: Shot(colourful(), "Viewer 1"))
    assert run.manifest.result_digest == taken.manifest.result_digest


def test_screenshots_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is given as the reason, and no viewer is started."""
    monkeypatch.setenv(SWITCH, "off")
    note = reason_of(kept(tmp_path, broken))
    assert note["status"] == "skipped" and SWITCH in note["reason"]


def test_menus_around_an_empty_middle_are_blank() -> None:
    """A viewer that opened nothing still draws its frame; that is not enough."""
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3))
    pixels[7:53, 10:70] = 240
    with pytest.raises(ProbeError, match="blank"):
        check_not_blank(png(pixels))


def test_without_chromium_or_a_drivable_rerun_it_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says what is not here."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotHereError, match="no Chromium on this machine"):
        browser.shoot("http://127.0.0.1:1/", tmp_path / "log")
    monkeypatch.setitem(__import__("sys").modules, "rerun.experimental", None)
    with pytest.raises(NotHereError, match=r"takes 0\.41"):
        rerun_viewer.shoot(tmp_path / "a.rrd", tmp_path)


@pytest.fixture
def no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A viewer that ends the way Rerun does without a Vulkan driver."""
    program = tmp_path / "rerun"
    program.write_text("#!/bin/sh\necho 'No graphics adapter was found!'; exit 101\n")
    program.chmod(0o755)
    monkeypatch.setattr(rerun_viewer, "binary", lambda: program)
    return


@pytest.mark.usefixtures("no_driver")
def test_without_a_vulkan_driver_it_is_skipped(tmp_path: Path) -> None:
    """The viewer's own last words decide between skipped and failed."""
    with pytest.raises(NotHereError, match="no Vulkan driver"):
        rerun_viewer.shoot(tmp_path / "a.rrd", tmp_path)


def shown(take: Callable[[], Shot]) -> Image.Image:
    """Returns the picture that `take` makes, or skips the test where it cannot be made."""
    try:
        shot = take()
    except NotHereError as error:
        pytest.skip(str(error))
    check_not_blank(shot.png)
    assert any(digit.isdigit() for digit in shot.viewer)
    return Image.open(io.BytesIO(shot.png)).convert("RGB")


@pytest.mark.browser
def test_tensorboard_shows_the_curves(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Chromium draws the page of the real server: its orange bar, and curves in the colour of the run."""
    render(examples.values(), tmp_path / "views")
    with serve(tmp_path / "views", tmp_path / "log") as server:
        page = front_page(server, expected(examples.values()))
        picture = np.asarray(shown(lambda: browser.shoot(page, tmp_path / "chromium.log")))
    assert picture.shape == (1560, 1920, 3)
    assert (picture[5, 5] == [245, 124, 0]).all()
    cards = picture[170:, 400:1650].astype(int)
    assert (cards.max(axis=2) - cards.min(axis=2) > 80).sum() > 5000


@pytest.mark.browser
def test_rerun_shows_the_scene(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """The real viewer opens the recording with its layout: the goal's green stands on the table."""
    rerun_renderer.render(examples["showcase"], tmp_path / "a.rrd")
    picture = np.asarray(shown(lambda: rerun_viewer.shoot(tmp_path / "a.rrd", tmp_path / "logs")))
    assert picture.shape == (1200, 1920, 3)
    green = (np.abs(picture[:, :1000].astype(int) - [60, 170, 90]).sum(axis=2) < 40).sum()
    assert green > 1000


@pytest.mark.browser
def test_the_same_spec_gives_the_same_result_with_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that took a picture and one that did not have the same result digest."""
    digests = {}
    for setting in ("on", "off"):
        monkeypatch.setenv(SWITCH, setting)
        runs = tmp_path / setting
        showcase = example_runs.build(runs)["showcase"].name
        rendered = example_runs.finished(runs, "render_rerun", render_rerun.run, showcase=showcase)
        probe: Callable[[Run], None] = probe_rerun.run
        run = example_runs.finished(runs, "probe_rerun", probe, render=rendered.name, showcase=showcase)
        digests[run.manifest.result_digest] = setting
        assert len(list((run.path / "views").iterdir())) == 1
    assert len(digests) == 1
