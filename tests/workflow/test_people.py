"""What people look at: Snakemake's own report, and the pictures of the documentation, in a real browser."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from project import ROOT, Project

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `evidence` has run once."""
    project = Project(tmp_path_factory.mktemp("people"), patience=600)
    done = project.snakemake("evidence")
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture
def page() -> Iterator[tuple[Page, list[str]]]:
    """An empty page without network, and what it complains of."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_context(offline=True, viewport={"width": 1300, "height": 850}).new_page()
        wrong: list[str] = []
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
        shown.on("requestfailed", lambda request: wrong.append(request.url))
        yield shown, wrong
        browser.close()


def test_snakemakes_report_shows_every_result_with_its_caption(finished: Project, page: tuple[Page, list[str]]) -> None:
    """One file, opened without network: the introduction, each category, its results and their captions."""
    made = finished.snakemake("--report", "snakemake.html", "--", "evidence")
    assert made.returncode == 0, made.stdout
    shown, wrong = page
    for category, result, caption in (
        ("Evidence", "report", "The same page is sealed in the bundle"),
        ("Evidence", "bundle", "the digest of its results, equal wherever"),
        ("Viewers", "tensorboard", "What tensorboard itself showed of this evidence"),
        ("Viewers", "rerun", "What rerun itself showed of this evidence"),
    ):
        shown.goto((finished.path / "snakemake.html").as_uri())
        shown.get_by_text("and acted in its simulator").wait_for()
        shown.get_by_text(category, exact=True).first.click()
        shown.get_by_role("row", name=result).locator("a").last.click()
        assert caption in " ".join(shown.get_by_text("DESCRIPTION").locator("..").inner_text().split())
    assert wrong == []


def test_pictures_of_the_report_show_it_in_both_themes_and_on_a_phone(finished: Project, tmp_path: Path) -> None:
    """Small palette pictures of the right size, no two alike and none blank; what cannot be made is told."""
    (results,) = (finished.path / "results").iterdir()
    words = [sys.executable, ROOT / "scripts" / "pictures", "--results", results, "--output", tmp_path]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    sizes = {"report": (1280, 860), "report-dark": (1280, 860), "report-phone": (780, 1688)}
    for name, size in sizes.items():
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert (picture.mode, picture.size) == ("P", size)
            assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 16
        assert (tmp_path / f"{name}.png").stat().st_size <= 400_000
    assert len({(tmp_path / f"{name}.png").read_bytes() for name in sizes}) == 3
    # The tests' probes take no picture of the viewers.
    assert made.returncode == 1
    assert f"no picture of rerun: the pipeline could take none; {results}/viewers/rerun.json says why" in made.stderr


def test_pictures_without_evidence_say_what_to_do(tmp_path: Path) -> None:
    """No picture is made of nothing."""
    words = [sys.executable, ROOT / "scripts" / "pictures", "--results", tmp_path / "none", "--output", tmp_path]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    assert made.returncode == 1 and made.stderr.endswith("is not there; run make evidence first\n")
    assert list(tmp_path.iterdir()) == []


def test_the_dag_is_drawn_and_a_missing_graphviz_is_told(tmp_path: Path) -> None:
    """Every rule of the evidence by name, no key and no path; without `dot`, how to get it."""
    drawn = subprocess.run(
        [ROOT / "scripts" / "dag", "evidence", tmp_path / "dag.svg"], capture_output=True, check=True
    )
    assert drawn.returncode == 0
    picture = (tmp_path / "dag.svg").read_text()
    names = re.findall(r"<text [^>]*>([^<]*)</text>", picture)
    assert {"fetch", "evaluate", "probe_tensorboard", "seal", "evidence"} < set(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
    assert 'fill="white"' not in picture and "/" not in re.sub(r"http://\S+|</?\w+|/>", "", picture.split("<svg")[1])
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "env"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    refused = subprocess.run(
        [ROOT / "scripts" / "dag"], capture_output=True, text=True, env={"PATH": str(tools)}, check=False
    )
    assert refused.returncode == 1 and "apt-get install graphviz" in refused.stderr
