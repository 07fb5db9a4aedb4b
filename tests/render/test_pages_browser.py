"""The pages of a sweep and of foreign trainers in a real browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browsing import SCHEMES, SIZES, check_with_axe
from lewm_evidence.render.curves import curves_page, mean_curve
from lewm_evidence.render.sweep import METHODS, METRICS, render_page

pytestmark = pytest.mark.browser


def sweep_page() -> str:
    """Returns the page of a sweep over two checkpoints, one task and three seeds."""
    values = {"mean": 0.4, "low": 0.1, "high": 0.7}
    measured = {method: dict.fromkeys(METRICS, 0.4) for method in METHODS}
    members = [{"seed": seed, "run": f"evaluate/{seed}", "bundle": f"{seed:020x}", **measured} for seed in (1, 2, 3)]
    over_seeds = {method: dict.fromkeys(METRICS, values) for method in METHODS}
    cell = {"task": "reach", "members": members, "over_seeds": over_seeds}
    return render_page({"seeds": [1, 2, 3], "cells": [{"checkpoint": name, **cell} for name in ("pusht", "tworoom")]})


def trainers_page() -> str:
    """Returns the page of two trainers' learning curves."""
    line = [(step, float(step)) for step in range(100, 1100, 100)]
    return curves_page([mean_curve(name, "single episode", [line, line]) for name in ("sb3-ppo", "cleanrl-ppo")])


@pytest.mark.parametrize("make", [sweep_page, trainers_page])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_page_is_for_everybody(
    visit: Callable[..., Any], tmp_path: Path, make: Callable[[], str], scheme: str, size: dict[str, int]
) -> None:
    """axe finds nothing, the theme is the system's, nothing is too wide, and no error or request is heard."""
    place = tmp_path / "page.html"
    place.write_text(make(), encoding="utf-8")
    page = visit(place, color_scheme=scheme, viewport=size)
    check_with_axe(page)
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(20, 23, 27)"
    assert dark == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]


@pytest.mark.parametrize("make", [sweep_page, trainers_page])
def test_no_table_is_cut_off_on_paper(visit: Callable[..., Any], tmp_path: Path, make: Callable[[], str]) -> None:
    """On A4, upright and with usual margins, every table fits; paper does not scroll."""
    place = tmp_path / "page.html"
    place.write_text(make(), encoding="utf-8")
    page = visit(place, viewport={"width": 718, "height": 1000})
    page.emulate_media(media="print")
    tables = page.locator(".wide")
    assert tables.count() == 1
    assert tables.evaluate("it => it.scrollWidth <= it.clientWidth")
