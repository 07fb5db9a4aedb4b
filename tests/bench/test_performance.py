"""docs/performance.md says what bench/results holds, and plots show it."""

import json
import statistics

import pytest

from bench.performance import NAMES, RESULTS, ROOT, digest, page

PLANNER = ["planner", "planner-gpu"]
FAST = NAMES["FastFp32"]


def test_the_page_is_made_from_the_results() -> None:
    """`python bench/performance.py` writes exactly the page that is committed."""
    assert (ROOT / "docs" / "performance.md").read_text() == page(), "run python bench/performance.py"


@pytest.mark.parametrize("name", PLANNER)
def test_a_plot_shows_the_results(name: str) -> None:
    """A plot names the digest of the figures it was drawn from; results without a plot, or the reverse, are refused."""
    results, plot = RESULTS / f"{name}.json", ROOT / "docs" / "images" / f"{name}.svg"
    assert results.exists() == plot.exists()
    if results.exists():
        assert digest(json.loads(results.read_text())) in plot.read_text()


def test_ratios_and_medians_are_those_of_the_measured_times() -> None:
    """Every median and every ratio in the results can be recomputed from the times beside it, and the page shows it."""
    data = json.loads((RESULTS / "planner.json").read_text())
    clock, solve = data["clock"], data["quantities"]["solve"]
    for subjects in data["quantities"].values():
        for row in subjects.values():
            assert row[clock]["median"] == pytest.approx(statistics.median(row[clock]["values"]), rel=1e-3)
    for slow, ratio in data["ratios"]["solve"]["FastFp32"].items():
        pairs = zip(solve[slow][clock]["values"], solve["FastFp32"][clock]["values"], strict=False)
        assert ratio == pytest.approx(statistics.median(a / b for a, b in pairs), rel=1e-3)
        assert f"{ratio:.2f}" in next(line for line in page().splitlines() if line.startswith(f"| one solve | {FAST}"))


def test_the_results_hold_their_own_bounds() -> None:
    """What is committed was measured under equality: plans within 1e-5, costs within 1e-5 and 1e-2 relative."""
    equality = json.loads((RESULTS / "planner.json").read_text())["equality"]
    assert max(equality["solve, largest difference of actions"].values()) <= 1e-5
    costs = equality["costs, largest relative difference"]
    assert costs["FastFp32"] <= 1e-5
    assert costs["FastBf16"] <= 1e-2
    assert equality["costs, smallest Spearman correlation"]["FastBf16"] >= 0.999


def test_results_name_no_host() -> None:
    """A measured machine is its processor and its cores."""
    for path in RESULTS.glob("planner*.json"):
        assert set(json.loads(path.read_text())["machine"]) <= {"cpu", "cores", "instructions", "system", "gpu", "cuda"}
