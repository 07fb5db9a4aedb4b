"""Learning curves of foreign trainers: means over seeds with their intervals, and one page that shows them.

What one point of a curve is differs between trainers (a single episode, a mean over the last 100), so the page names
it beside each curve and draws each trainer in a picture of its own.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lewm_evidence.intervals import t_half_width
from lewm_evidence.render.report_plots import COLOUR, new_figure, plot_style, to_svg

BINS = 20
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Learning curves</title><style>
:root {{ color-scheme: light dark; --ink: light-dark(#1b1f24, #e8eaed); --muted: light-dark(#57606a, #9aa4ae);
--grid: light-dark(#d8dee4, #3a4048); --paper: light-dark(#fff, #15181c); --lewm: light-dark(#0b62c4, #6cb0ff); }}
body {{ background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
max-width: 62rem; padding: 0 1rem; }}
figure {{ margin: 0; }} figcaption {{ color: var(--muted); font-size: .9rem; }}
main {{ display: grid; gap: 2rem; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }}
svg {{ height: auto; width: 100%; }}
</style></head><body><h1>Learning curves</h1>
<p>Episodic return over environment steps; the line is the mean over seeds, the band its 95 % interval (Student's t).
What one value is differs between trainers and stands below each curve: do not compare heights across them.</p>
<main>
{figures}
</main></body></html>
"""


@dataclass(frozen=True)
class Curve:
    """A mean over seeds.

    Attributes:
        name: of the trainer.
        estimator: what one value of a seed is.
        seeds: how many were averaged.
        steps: environment steps.
        mean: of the seeds, at each step.
        low: lower limit of its 95 % interval; the mean itself for one seed.
        high: upper limit.
    """

    name: str
    estimator: str
    seeds: int
    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


def mean_curve(name: str, estimator: str, seeds: Sequence[Sequence[tuple[int, float]]]) -> Curve:
    """Returns the mean of several seeds' points with its interval.

    Points are averaged within at most `BINS` equal stretches of steps, first those of one seed, then the seeds'. A
    stretch in which a seed has no point is left out, so that every mean is over the same seeds.

    Args:
        name: of the trainer.
        estimator: what one value is.
        seeds: (step, value) of each seed.
    """
    last = max(step for points in seeds for step, _ in points)
    count = min(BINS, *(len(points) for points in seeds))
    edges = np.linspace(0, last, count + 1)
    rows = np.full((len(seeds), count), np.nan)
    for row, points in zip(rows, seeds, strict=True):
        steps, values = np.array(points, dtype=float).T
        places = np.searchsorted(edges[1:-1], steps)
        for place in np.unique(places):
            row[place] = values[places == place].mean()
    whole = ~np.isnan(rows).any(axis=0)
    rows, ends = rows[:, whole], edges[1:][whole]
    mean = rows.mean(axis=0)
    half = t_half_width(rows) if len(seeds) > 1 else np.zeros_like(mean)
    return Curve(
        name,
        estimator,
        len(seeds),
        [round(end) for end in ends],
        *(values.tolist() for values in (mean, mean - half, mean + half)),
    )


def curves_page(curves: Sequence[Curve]) -> str:
    """Returns a page with a picture of every curve; self-contained, light and dark."""
    return _PAGE.format(figures="\n".join(_figure(number, curve) for number, curve in enumerate(curves)))


def _figure(number: int, curve: Curve) -> str:
    with plot_style():
        drawing, (axis,) = new_figure(4.2, 2.4, 1)
        axis.fill_between(curve.steps, curve.low, curve.high, color=COLOUR["lewm"], alpha=0.2, linewidth=0)
        axis.plot(curve.steps, curve.mean, "o-", color=COLOUR["lewm"], markersize=3)
        axis.set_title(curve.name)
        axis.set_xlabel("environment steps")
        axis.set_ylabel("episodic return")
    label = f"{curve.name}: return from {curve.mean[0]:.1f} to {curve.mean[-1]:.1f}"
    seeds = f"{curve.seeds} seeds" if curve.seeds > 1 else "one seed, so no interval"
    words = html.escape(f"{curve.name}: {curve.estimator}; {seeds}")
    return f"<figure>{to_svg(drawing, f'curve{number}', label)}<figcaption>{words}</figcaption></figure>"
