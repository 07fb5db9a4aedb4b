"""The page about a sweep: means over seeds with Student's interval, and links to every run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import example_runs
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.stages import aggregate

SUCCESS = {("a", 1): 0.2, ("a", 2): 0.4, ("a", 3): 0.6, ("b<i>", 1): 0.5, ("b<i>", 2): 0.5, ("b<i>", 3): 0.5}


def build(runs: Path, seeds: list[int], skip: str = "") -> FinishedRun:
    """Returns the aggregate of made-up members: two checkpoints, one task, `seeds`."""

    def write(success: float) -> Any:
        def record(out: Run) -> None:
            for method, share in (("lewm", success), ("random", 0.0), ("noop", 0.1)):
                for tag, value in (("success_rate", share), ("mean_final_error_px", 200 * (1 - share))):
                    if tag != skip:
                        out.scalar(f"evaluate/{method}/{tag}", value)

        return record

    members = {
        f"{checkpoint}/reach/{seed}": example_runs.finished(
            runs, "evaluate", write(SUCCESS[checkpoint, seed]), {"seed": seed, "of": checkpoint}
        )
        for checkpoint in ("a", "b<i>")
        for seed in seeds
    }
    config = {"checkpoints": ["a", "b<i>"], "tasks": ["reach"], "seeds": seeds}
    config["bundles"] = {name: f"{at:020x}" for at, name in enumerate(members)}
    return example_runs.finished(
        runs, "aggregate", aggregate.run, config, **{name: run.name for name, run in members.items()}
    )


def test_means_and_intervals_are_over_seeds(tmp_path: Path) -> None:
    """0.2, 0.4 and 0.6 have the mean 0.4 and a t interval of 4.303 standard errors; equal values have no width."""
    made = build(tmp_path / "runs", [1, 2, 3])
    assert made.scalars("aggregate/lewm/success_rate") == pytest.approx({0: 0.4, 1: 0.5})
    half = 4.3027 * 0.2 / 3**0.5
    assert made.scalars("aggregate/lewm/success_rate_high") == pytest.approx({0: 0.4 + half, 1: 0.5}, abs=1e-4)
    error = made.scalars("aggregate/lewm/final_error_px_low")
    assert error == pytest.approx({0: 120 - 200 * half, 1: 100}, abs=1e-2)
    # No share is below nothing.
    assert made.scalars("aggregate/lewm/success_rate_low") == pytest.approx({0: 0.0, 1: 0.5})
    summary = json.loads((made.path / "views/results/summary.json").read_text())
    assert [member["lewm"]["success_rate"] for member in summary["cells"][0]["members"]] == [0.2, 0.4, 0.6]


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    """The page says so instead of showing a width of zero."""
    made = build(tmp_path / "runs", [2])
    assert made.scalars("aggregate/lewm/success_rate_low") == {}
    assert "One seed has no interval" in (made.path / "views/results/index.html").read_text()


def test_the_page_links_every_run_and_bundle_and_needs_nothing_else(tmp_path: Path) -> None:
    """Links lead to the folders that are there; names are escaped; no script, no network."""
    made = build(tmp_path / "runs", [1, 2, 3])
    page = made.path / "views" / "results" / "index.html"
    text = page.read_text()
    links = re.findall(r'href="([^"]+)"', text)
    places = [(page.parent / link).resolve() for link in links]
    assert sum(place.is_dir() for place in places) == 6
    assert sum(place.parent == (tmp_path / "evidence").resolve() for place in places) == 6
    assert "b&lt;i&gt;" in text and "b<i>" not in text
    assert "<script" not in text and "://" not in text and "default-src &#39;none&#39;" in text
    assert len((page.parent / "table.csv").read_text().splitlines()) == 7


def test_a_run_without_a_measurement_is_named(tmp_path: Path) -> None:
    """A run of another version is refused, not shown as zero."""
    with pytest.raises(StageError, match=r"evaluate/\w+ holds no scalar 'evaluate/lewm/success_rate'"):
        build(tmp_path / "runs", [1], skip="success_rate")
