"""What pages are looked at with in a real browser: themes, sizes, and axe-core."""

from typing import Any

import pytest

PHONE = {"width": 390, "height": 844}
SIZES = ({"width": 1280, "height": 900}, PHONE)
SCHEMES = ("light", "dark")


def check_with_axe(page: Any) -> None:
    """Unfolds everything and lets axe-core look at it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")
    page.evaluate("dispatchEvent(new Event('resize'))")
    found = axe.Axe().run(page).response["violations"]
    assert [(rule["id"], [node["html"][:120] for node in rule["nodes"][:3]]) for rule in found] == []
