"""Learning curves of foreign trainers: means over seeds with their intervals, and one page that shows them.

What one point of a curve is differs between trainers (a single episode, a mean over the last 100), so the page names
it beside each curve and draws each trainer in a picture of its own.
"""

# ruff: noqa: E501 - lines of HTML follow the page, not the column

from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
import numpy as np
from markupsafe import Markup

from lewm_evidence.intervals import t_half_width
from lewm_evidence.render import page_style
from lewm_evidence.render.figures import COLOUR, new_figure, plot_style, to_svg

BINS = 20
_PAGE = (
    page_style.head("Learning curves of {{ curves | length }} foreign trainers")
    + """\
<main>
<header>
<p class="kicker">Evidence about foreign trainers</p>
<h1>Learning curves</h1>
<p>Episodic return over environment steps; the line is the mean over seeds, the band its 95 % interval (Student’s t).
What one value is differs between trainers and stands below each curve: do not compare heights across them.</p>
</header>
<div class="panels">
{% for curve in curves %}
<figure class="card">{{ figures[loop.index0] }}
<figcaption>{{ curve.name }}: {{ curve.estimator }}; {{ seeds_of(curve) }}</figcaption></figure>
{% endfor %}
</div>
<div class="wide" tabindex="0" role="group" aria-label="Last values"><table><caption>Last values</caption>
<thead><tr><th scope="col">trainer</th><th scope="col" class="n">return</th><th scope="col" class="n">95 % interval</th><th scope="col" class="n">at step</th><th scope="col" class="n">seeds</th></tr></thead>
<tbody>{% for curve in curves %}
<tr><th scope="row">{{ curve.name }}</th><td class="n">{{ "%.1f" | format(curve.mean[-1]) }}</td>
<td class="n">{% if curve.seeds > 1 %}{{ "%.1f" | format(curve.low[-1]) }} to {{ "%.1f" | format(curve.high[-1]) }}{% else %}–{% endif %}</td>
<td class="n">{{ curve.steps[-1] }}</td><td class="n">{{ curve.seeds }}</td></tr>{% endfor %}
</tbody></table></div>
</main>
<footer class="note">The same numbers are in <code>records.jsonl</code> of the run this page lies in, and <code>spec.json</code> names the
trainers’ runs. In the folder that holds <code>bag/</code>, <code>lewm-evidence verify .</code> says whether this is exactly what was sealed.</footer>
</body>
</html>
"""
)


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
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_PAGE).render(
        curves=curves,
        figures=[Markup(_figure(number, curve)) for number, curve in enumerate(curves)],  # matplotlib escapes
        seeds_of=_seeds,
        style=Markup(page_style.STYLE),
        policy=page_style.CONTENT_POLICY,
    )


def _seeds(curve: Curve) -> str:
    return f"{curve.seeds} seeds" if curve.seeds > 1 else "one seed, so no interval"


def _figure(number: int, curve: Curve) -> str:
    with plot_style():
        drawing, axis = new_figure(4.2, 2.6)
        axis.fill_between(curve.steps, curve.low, curve.high, color=COLOUR["lewm"], alpha=0.2, linewidth=0)
        axis.plot(curve.steps, curve.mean, "o-", color=COLOUR["lewm"], markersize=3)
        axis.set(title=curve.name, xlabel="environment steps", ylabel="episodic return")
    return to_svg(drawing, f"curve{number}", f"{curve.name}: return from {curve.mean[0]:.1f} to {curve.mean[-1]:.1f}")
