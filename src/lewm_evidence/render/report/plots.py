"""The report's figures of results and of the episode; each is one panel, as inline SVG (`render.figures`)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.records import FinishedRun
from lewm_evidence.render.figures import COLOUR, new_figure, plot_style, to_svg

NAMES = {"lewm": "LeWM", "random": "random actions", "noop": "staying still"}
SOURCES = ("scripted", "perturbed", "random", "CEM")
CLASSES = 5  # of cost, cheapest first: the colours c0 to c4
WIDTH = 4.3  # inches, a third of the page

Array = NDArray[Any]
Estimates = Mapping[str, Mapping[str, float]]

_SHADE = (COLOUR["noop"], COLOUR["c2"], COLOUR["random"], COLOUR["lewm"])


def plot_estimates(
    estimates: Estimates,
    name: str,
    title: str,
    *,
    scale: float = 1.0,
    bounds: Mapping[str, float] | None = None,
    height: float = 2.4,
) -> str:
    """Returns means with their intervals, one row a method.

    Args:
        estimates: `mean`, `low` and `high` by method.
        name: of the figure.
        title: what is measured, and its unit.
        scale: factor from record to unit.
        bounds: by method what the interval has to stay below.
        height: in inches.
    """
    with plot_style():
        figure, axis = new_figure(WIDTH, height)
        for row, (method, estimate) in enumerate(estimates.items()):
            low, mean, high = (scale * estimate[key] for key in ("low", "mean", "high"))
            colour = COLOUR[method]
            axis.plot([low, high], [row, row], color=colour, linewidth=4, alpha=0.4, clip_on=False)
            axis.plot([mean], [row], "o", color=colour, markersize=7, clip_on=False)
            axis.annotate(f"{mean:.0f}".replace("-", "−"), (mean, row), (0, 6), textcoords="offset points", ha="center")
            if bounds and method in bounds:
                axis.plot([bounds[method]], [row], "|", color=COLOUR["ink"], markersize=20, markeredgewidth=2)
        left, right = axis.get_xlim()
        axis.set(title=title, xlim=(min(left, 0), max(right, 0) + 0.06 * (right - left)))
        axis.axvline(0, color=COLOUR["muted"], linewidth=0.9)
        axis.set_yticks(range(len(estimates)), [NAMES[method] for method in estimates])
        axis.set_ylim(len(estimates) - 0.5, -0.8)
        axis.grid(visible=False, axis="y")
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0, labelcolor=COLOUR["ink"])
    said = "; ".join(
        f"{NAMES[method]} {scale * e['mean']:.0f}, from {scale * e['low']:.0f} to {scale * e['high']:.0f}"
        for method, e in estimates.items()
    )
    return to_svg(figure, name, f"{title}, mean and 95 percent interval: {said}")


def plot_pairs(errors: Mapping[str, Array]) -> str:
    """Returns the final error of every start, LeWM's over that of random actions."""
    random, lewm = (np.maximum(errors[method], 1.0) for method in ("random", "lewm"))
    largest = 1.3 * max(random.max(), lewm.max())
    with plot_style():
        figure, axis = new_figure(WIDTH, 3.1)
        axis.plot([1, largest], [1, largest], color=COLOUR["muted"], linewidth=1)
        axis.fill_between([1, largest], 1, [1, largest], color=COLOUR["lewm"], alpha=0.08, linewidth=0)
        axis.plot(random, lewm, "o", color=COLOUR["lewm"], markersize=4.5, alpha=0.65, markeredgewidth=0)
        axis.annotate("LeWM closer", (0.97, 0.04), xycoords="axes fraction", ha="right", color=COLOUR["lewm"])
        axis.set(xscale="log", yscale="log", xlim=(1, largest), ylim=(1, largest))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.set(title="Every start: final error, px", xlabel="random actions", ylabel="LeWM")
    closer = int((errors["lewm"] < errors["random"]).sum())
    return to_svg(figure, "pairs", f"Final error per start: LeWM ends closer on {closer} of {len(lewm)} starts")


def plot_shares(errors: Mapping[str, Array]) -> str:
    """Returns for every distance the share of starts that end within it."""
    with plot_style():
        figure, axis = new_figure(WIDTH, 3.1)
        for method, style in (("noop", "--"), ("random", "-."), ("lewm", "-")):
            ends = np.sort(np.maximum(errors[method], 1.0))
            share = 100 * np.arange(1, len(ends) + 1) / len(ends)
            axis.step([1, *ends], [0, *share], style, where="post", color=COLOUR[method], label=NAMES[method])
        axis.set(xscale="log", xlim=(1, None), ylim=(0, 103))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set(title="Share of starts within a distance, %", xlabel="final error, px")
        axis.legend(loc="upper left")
    within = ", ".join(f"{NAMES[m]} {100 * (e <= 50).mean():.0f} percent" for m, e in errors.items())
    return to_svg(figure, "shares", f"Share of starts that end within a distance; within 50 px: {within}")


def plot_progress(errors: Mapping[int, float], starts: Sequence[int]) -> str:
    """Returns the distance to the goal after every environment step, with the steps at which a decision is made."""
    with plot_style():
        figure, axis = new_figure(WIDTH, 2.7)
        for start in starts:
            axis.axvline(start, color=COLOUR["muted"], linewidth=0.9, linestyle=":")
        axis.plot(list(errors), list(errors.values()), color=COLOUR["lewm"], linewidth=1.8)
        axis.set(title="Distance to the goal, px", xlabel="environment step", ylim=(0, None))
    first, last = errors[min(errors)], errors[max(errors)]
    return to_svg(figure, "progress", f"Distance to the goal after each step, from {first:.0f} to {last:.0f} px")


def plot_costs(decisions: Sequence[Mapping[str, Array]]) -> str:
    """Returns the predicted cost of every candidate by source, the winner ringed."""
    with plot_style():
        figure, axis = new_figure(WIDTH, 2.7)
        for d, arrays in enumerate(decisions):
            costs, source, winner = arrays["candidate_costs"], arrays["candidate_source"], int(arrays["winner"])
            for kind in range(len(SOURCES)):
                mine = costs[source == kind]
                axis.plot(np.full(len(mine), d + 1 + 0.17 * (kind - 1.5)), mine, "o", markersize=3, color=_SHADE[kind])
            at = d + 1 + 0.17 * (source[winner] - 1.5)
            axis.plot([at], [costs[winner]], "o", markersize=9, fillstyle="none", color=COLOUR["win"])
        for kind, name in enumerate(SOURCES):
            axis.plot([], [], "o", markersize=5, color=_SHADE[kind], label=name)
        axis.set(title="Predicted cost of candidates", xlabel="decision", xticks=range(1, len(decisions) + 1))
        axis.set_ylim(0, 1.4 * max(float(arrays["candidate_costs"].max()) for arrays in decisions))
        axis.legend(loc="upper center", ncols=2, handletextpad=0.1, columnspacing=0.8)
    return to_svg(
        figure, "costs", "Predicted cost of every candidate at each decision, by source; the winner is ringed"
    )


def plot_cem(run: FinishedRun, steps: str = "iteration, over all decisions") -> str:
    """Returns what CEM's elites cost over its iterations; `steps` says which those are."""
    with plot_style():
        figure, axis = new_figure(WIDTH, 2.7)
        for name, style in (("mean", "-"), ("min", "--")):
            values = run.scalars(f"{run.spec.stage}/cem/elite_cost_{name}")
            axis.plot(list(values), list(values.values()), style, color=COLOUR["lewm"], label=f"elites, {name}")
        axis.set(title="CEM: cost of the elites", xlabel=steps, ylim=(0, None))
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend()
    return to_svg(figure, "cem", "Mean and lowest cost of CEM's elites over its iterations")


def plot_scored(costs: Array, found: float) -> str:
    """Returns how the costs (N,) of random candidates lie, and the lowest cost that the search `found`."""
    with plot_style():
        figure, axis = new_figure(WIDTH, 2.9)
        axis.hist(costs, bins=min(30, max(6, len(costs) // 8)), color=COLOUR["lewm"], alpha=0.75)
        axis.axvline(found, color=COLOUR["win"], linewidth=2, linestyle="--", label="lowest that CEM found")
        axis.set(title="Predicted cost of random candidates", xlabel="cost", ylabel="candidates")
        axis.yaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside lower center")
    said = f"{len(costs)} candidates cost {costs.min():.3g} to {costs.max():.3g}, median {np.median(costs):.3g}"
    return to_svg(figure, "scored", f"{said}; the search found {found:.3g}")


def plot_landscape(decision: int, landscape: Mapping[str, Array], executed: Array) -> str:
    """Returns the map of what the model expects of constant actions, in fifths from cheap to dear.

    Args:
        decision: its number from 0.
        landscape: `axis` (K,) and `costs` (K, K), a row for each value of the action's second number.
        executed: the actions (N, 2) that were executed.
    """
    values, costs = landscape["axis"], landscape["costs"]
    levels = np.unique(np.quantile(costs, np.linspace(0, 1, CLASSES + 1)))
    row, column = np.unravel_index(costs.argmin(), costs.shape)
    mean = executed.mean(axis=0)
    edge = {"markeredgecolor": COLOUR["card"], "clip_on": False}
    with plot_style():
        figure, axis = new_figure(2.75, 2.75)
        if len(levels) == CLASSES + 1:
            axis.contourf(values, values, costs, levels, colors=[COLOUR[f"c{number}"] for number in range(CLASSES)])
        axis.plot(*executed.T, "o", color=COLOUR["win"], markersize=4.5, markeredgewidth=0.7, **edge)
        axis.plot([values[column]], [values[row]], "D", color=COLOUR["goal"], markersize=8, markeredgewidth=1.2, **edge)
        axis.plot([0, mean[0]], [0, mean[1]], color=COLOUR["win"], linewidth=2)
        axis.plot([mean[0]], [mean[1]], "o", color=COLOUR["win"], markersize=10, markeredgewidth=1.5, **edge)
        axis.set(xlim=(-1, 1), ylim=(1, -1), aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        axis.set(xlabel="action, across", ylabel="action, down")
        axis.grid(visible=False)
    label = (
        f"Decision {decision + 1}: cheapest constant action {values[column]:.1f} across, {values[row]:.1f} down; "
        f"executed on average {mean[0]:.1f} and {mean[1]:.1f}"
    )
    return to_svg(figure, f"landscape{decision}", label)


def plot_projection(predicted: Array, reached: Array, goal: Array) -> str:
    """Returns latents (N, D) predicted and reached, and the goal (D,), in the main directions of what was reached."""
    points = np.vstack([reached, goal])
    centre = points.mean(axis=0)
    directions = np.linalg.svd(points - centre, full_matrices=False)[2][:2]
    # The sign of a singular vector is arbitrary; the largest entry is made positive.
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    p, r, g = ((values - centre) @ directions.T for values in (predicted, reached, goal[None]))
    with plot_style():
        figure, axis = new_figure(WIDTH, 3.2)
        for a, b in zip(p, r, strict=True):
            axis.plot(*np.stack([a, b]).T, color=COLOUR["muted"], linewidth=0.8)
        axis.plot(*r.T, "o-", color=COLOUR["lewm"], linewidth=1, markersize=5, label="reached")
        axis.plot(*p.T, "o", color=COLOUR["win"], fillstyle="none", markersize=6, label="predicted")
        axis.plot(*g.T, "*", color=COLOUR["goal"], markersize=14, label="goal")
        axis.margins(y=0.2)
        axis.set(title="Latents in two main directions", xlabel="first", ylabel="second")
        axis.legend(ncols=3, loc="upper center", columnspacing=0.9, handletextpad=0.3)
    return to_svg(figure, "projection", "Predicted and reached latents and the goal in two directions")


def plot_distances(predicted: Array, reached: Array, goal: Array) -> str:
    """Returns how far off predictions were at each executed block, beside how far the goal still was."""
    x = np.arange(1, len(reached) + 1)
    series = (
        ("reached to goal", reached - goal, "goal", "s--"),
        ("predicted to reached", predicted - reached, "win", "o-"),
    )
    with plot_style():
        figure, axis = new_figure(WIDTH, 3.2)
        for name, gap, colour, style in series:
            axis.plot(x, (gap**2).sum(axis=1), style, color=COLOUR[colour], label=name, markersize=4.5)
        axis.set(title="Squared distance of latents", xlabel="executed block", ylim=(0, None))
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend()
    error, left = (float((gap**2).sum(axis=1).mean()) for gap in (predicted - reached, reached - goal))
    return to_svg(
        figure, "distances", f"Mean squared distance: predicted to reached {error:.1f}, to the goal {left:.1f}"
    )
