"""The page about foreign trainers: means over seeds, and nothing that is not inside it."""

import re

import pytest

from lewm_evidence.render.curves import curves_page, mean_curve

LINE = [(step, float(step)) for step in range(100, 1100, 100)]


def test_mean_and_interval_are_over_seeds() -> None:
    """Two seeds 20 apart have their mean in the middle and Student's interval with one degree of freedom."""
    curve = mean_curve("sb3-ppo", "single episode", [LINE, [(step, value + 20) for step, value in LINE]])
    assert curve.steps == [step for step, _ in LINE]
    assert curve.mean == pytest.approx([value + 10 for _, value in LINE])
    assert curve.high[0] - curve.mean[0] == pytest.approx(12.7062 * 20 / 2**0.5 / 2**0.5, rel=1e-4)


def test_page_shows_every_curve_and_escapes_its_name() -> None:
    """Names and words come out as text; the last value, its interval and the number of seeds stand in the table."""
    two = mean_curve("<b>sb3</b>", "single <i>episode</i>", [LINE, LINE])
    page = curves_page([two, mean_curve("cleanrl", "single episode", [LINE])])
    assert "<b>" not in page and "<i>" not in page and page.count("&lt;b&gt;sb3&lt;/b&gt;") >= 2
    assert "1000.0 to 1000.0" in page and "one seed, so no interval" in page
    assert not re.search(r"<script|<link|@import|https?://(?!www\.w3\.org/)", page)
    assert "default-src 'none'" in page.replace("&#39;", "'")
