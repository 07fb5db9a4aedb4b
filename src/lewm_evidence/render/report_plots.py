"""The report's figures: matplotlib SVG that goes inline into the page and takes its colours from it.

Figures are drawn in stand-in colours, one for each role, which are then replaced by the page's CSS variables, so
that one figure serves light and dark. Equal records give equal SVG.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lewm_evidence.records import FinishedRun

ROLES = ("ink", "muted", "grid", "paper", "lewm", "random", "noop", "win", "goal", "c0", "c1", "c2", "c3", "c4")
COLOUR = {role: f"#{index + 1:02x}fe{index + 1:02x}" for index, role in enumerate(ROLES)}
NAMES = {"lewm": "LeWM", "random": "random", "noop": "no-op"}
SOURCES = ("scripted", "perturbed", "random", "CEM")
CLASSES = 5

Array = NDArray[Any]

_STYLE = {
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.facecolor": "none",
    "axes.formatter.useoffset": False,
    "axes.edgecolor": COLOUR["grid"],
    "axes.labelcolor": COLOUR["muted"],
    "axes.titlecolor": COLOUR["ink"],
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOUR["grid"],
    "grid.linewidth": 0.6,
    "text.color": COLOUR["ink"],
    "xtick.color": COLOUR["grid"],
    "ytick.color": COLOUR["grid"],
    "xtick.labelcolor": COLOUR["muted"],
    "ytick.labelcolor": COLOUR["muted"],
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@contextmanager
def plot_style(salt: str = "") -> Iterator[None]:
    """Draws with this module's settings alone, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": salt})
        yield


def new_figure(width: float, height: float, columns: int, **options: Any) -> tuple[Figure, list[Any]]:
    """Returns a figure of `width` x `height` inches and its row of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False, **options)[0])


def to_svg(figure: Figure, name: str, label: str) -> str:
    """Returns `figure` as an SVG element for inlining, without date, with ids of its own, read out as `label`."""
    buffer = io.StringIO()
    figure.patch.set_visible(False)
    with plot_style(name):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"(-?\d+\.\d\d)\d+", r"\1", text)
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(url\(|href=")#([^")]+)', rf"\1#{name}-\2", text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    for role, colour in COLOUR.items():
        text = text.replace(colour, f"var(--{role})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def plot_estimates(methods: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Returns mean final error and success rate with their intervals, one row a method."""
    with plot_style():
        figure, axes = new_figure(6.4, 1.9, 2, sharey=True)
        for axis, quantity, title, scale in (
            (axes[0], "final_error_px", "Mean final error, px (lower is better)", 1.0),
            (axes[1], "success_rate", "Success, % of starts (higher is better)", 100.0),
        ):
            for row, (method, values) in enumerate(methods.items()):
                _interval(axis, row, values[quantity], scale, COLOUR.get(method, COLOUR["ink"]))
            axis.set_title(title)
            axis.set_xlim(left=0, right=1.12 * max(axis.get_xlim()[1], 1))
            axis.grid(visible=False, axis="y")
            axis.spines["left"].set_visible(False)
            axis.tick_params(axis="y", length=0)
        axes[0].set_yticks(range(len(methods)), [NAMES.get(method, method) for method in methods])
        axes[0].set_ylim(len(methods) - 0.4, -0.6)
    said = "; ".join(
        f"{NAMES.get(m, m)} final error {v['final_error_px']['mean']:.0f} px, success "
        f"{100 * v['success_rate']['mean']:.0f} percent"
        for m, v in methods.items()
    )
    return to_svg(figure, "estimates", f"Means with 95 percent intervals: {said}")


def _interval(axis: Any, row: int, estimate: Mapping[str, float], scale: float, colour: str) -> None:
    low, mean, high = (scale * estimate[key] for key in ("low", "mean", "high"))
    axis.plot([low, high], [row, row], color=colour, linewidth=3, alpha=0.45, clip_on=False)
    axis.plot([mean], [row], "o", color=colour, markersize=7, clip_on=False)
    axis.annotate(f"{mean:.0f}", (mean, row), (0, 7), textcoords="offset points", ha="center", fontsize=9)


def plot_starts(errors: Mapping[str, Array]) -> str:
    """Returns the final error of every start and method, starts ordered by the error of random actions."""
    with plot_style():
        figure, (axis,) = new_figure(9.6, 2.7, 1)
        order = np.argsort(errors["random"], kind="stable")
        x = np.arange(len(order))
        low, high = (np.minimum, np.maximum)
        ends = errors["lewm"][order], errors["random"][order]
        axis.vlines(x, low(*ends), high(*ends), color=COLOUR["grid"], linewidth=2)
        markers = {"noop": "_", "random": "o", "lewm": "o"}
        for method, marker in markers.items():
            if method in errors:
                axis.plot(
                    x,
                    errors[method][order],
                    marker,
                    color=COLOUR[method],
                    label=NAMES[method],
                    markersize=5,
                    markeredgewidth=1.6,
                )
        axis.set_ylabel("final error, px")
        axis.set_xlabel("start, ordered by the error of random actions")
        axis.set_xticks([])
        axis.set_ylim(bottom=0)
        axis.grid(visible=False, axis="x")
        axis.legend(ncols=3, loc="upper left")
    better = int((errors["lewm"] < errors["random"]).sum())
    return to_svg(figure, "starts", f"Final error per start; LeWM below random on {better} of {len(order)} starts")


def plot_tabletop(decision: int, arrays: Mapping[str, Array], geometry: Mapping[str, Array]) -> str:
    """Returns the table at one decision: candidate paths in five classes of cost, the winner, block and goal."""
    with plot_style():
        figure, (axis,) = new_figure(3.1, 3.1, 1)
        costs, paths = arrays["candidate_costs"], arrays["candidate_paths"]
        ranks = np.argsort(np.argsort(costs, kind="stable"), kind="stable")
        for index in np.argsort(-costs, kind="stable"):
            colour = COLOUR[f"c{ranks[index] * CLASSES // len(costs)}"]
            axis.plot(*paths[index].T, color=colour, linewidth=0.9)
        winner = int(arrays["winner"])
        states = arrays["states"]
        for wall in geometry.get("walls", ()):
            axis.plot(*np.vstack([wall, wall[:1]]).T, color=COLOUR["ink"], linewidth=1.2)
        if "block_outline" in geometry:
            _outline(axis, geometry["block_outline"], states[0], COLOUR["ink"], "-")
            _outline(axis, geometry["block_outline"], geometry["goal_state"], COLOUR["goal"], "--")
        axis.plot(*paths[winner].T, color=COLOUR["win"], linewidth=2.2)
        axis.plot(*states[:, :2].T, color=COLOUR["win"], linewidth=5, alpha=0.35, solid_capstyle="round")
        axis.plot(*states[0, :2], "o", color=COLOUR["ink"], markersize=7)
        axis.plot(
            *geometry["goal_state"][:2], "o", color=COLOUR["goal"], markersize=8, fillstyle="none", markeredgewidth=1.8
        )
        width, height = geometry["space"]
        axis.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xticks=[], yticks=[])
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set_visible(True)
    source = SOURCES[int(arrays["candidate_source"][winner])]
    label = f"Table at decision {decision + 1}: {len(costs)} candidate paths, winner from {source}"
    return to_svg(figure, f"table{decision}", label)


def _outline(axis: Any, outline: Array, state: Array, colour: str, style: str) -> None:
    cos, sin = np.cos(state[4]), np.sin(state[4])
    placed = outline @ np.array([[cos, sin], [-sin, cos]]) + state[2:4]
    axis.plot(*np.vstack([placed, placed[:1]]).T, style, color=colour, linewidth=1.8)


def plot_progress(showcase: FinishedRun, decisions: Sequence[Mapping[str, Array]]) -> str:
    """Returns the distance to the goal over environment steps, and costs over decisions and CEM iterations."""
    with plot_style():
        figure, axes = new_figure(9.6, 2.7, 3)
        error = showcase.scalars("showcase/error_px")
        starts = np.cumsum([0, *(len(d["states"]) - 1 for d in decisions[:-1])])
        for start in starts:
            axes[0].axvline(start, color=COLOUR["grid"], linewidth=1, linestyle=":")
        axes[0].plot(list(error), list(error.values()), color=COLOUR["lewm"])
        axes[0].set(title="Distance to the goal, px", xlabel="environment step", ylim=(0, None))
        _plot_costs(axes[1], decisions)
        for name, style in (("mean", "-"), ("min", "--")):
            values = showcase.scalars(f"showcase/cem/elite_cost_{name}")
            axes[2].plot(list(values), list(values.values()), style, color=COLOUR["lewm"], label=f"elites, {name}")
        axes[2].set(title="CEM cost", xlabel="iteration, over all decisions")
        axes[2].legend()
    return to_svg(figure, "progress", "Distance to the goal over steps, candidate costs per decision, CEM costs")


def _plot_costs(axis: Any, decisions: Sequence[Mapping[str, Array]]) -> None:
    for d, arrays in enumerate(decisions):
        costs, source, winner = arrays["candidate_costs"], arrays["candidate_source"], int(arrays["winner"])
        for kind in range(len(SOURCES)):
            mine = costs[source == kind]
            axis.plot(np.full(len(mine), d + 1 + 0.17 * (kind - 1.5)), mine, "o", markersize=3, color=_SHADE[kind])
        at = d + 1 + 0.17 * (source[winner] - 1.5)
        axis.plot([at], [costs[winner]], "o", markersize=8, fillstyle="none", color=COLOUR["win"])
    for kind, name in enumerate(SOURCES):
        axis.plot([], [], "o", markersize=4, color=_SHADE[kind], label=name)
    axis.set(title="Predicted cost of candidates", xlabel="decision", xticks=range(1, len(decisions) + 1))
    axis.set_ylim(0, 1.35 * max(float(arrays["candidate_costs"].max()) for arrays in decisions))
    axis.legend(loc="upper center", ncols=2, handletextpad=0.1, columnspacing=0.8)


_SHADE = (COLOUR["noop"], COLOUR["c2"], COLOUR["random"], COLOUR["lewm"])


def plot_latents(decisions: Sequence[Mapping[str, Array]]) -> str:
    """Returns what the model predicted beside what it saw: the two main directions, and the distances."""
    predicted = np.concatenate([arrays["predicted_latents"] for arrays in decisions]).astype(np.float64)
    reached = np.concatenate([arrays["reached_latents"] for arrays in decisions]).astype(np.float64)
    goal = decisions[0]["goal_latent"].astype(np.float64)
    with plot_style():
        figure, axes = new_figure(9.6, 3.0, 2)
        if len(reached):
            _plot_projection(axes[0], predicted, reached, goal)
        axes[0].set(title="Latents, two main directions of what was reached", xlabel="first", ylabel="second")
        x = np.arange(1, len(reached) + 1)
        series = (
            ("predicted to reached", predicted - reached, "win"),
            ("reached to goal", reached - goal, "goal"),
        )
        for name, gap, colour in series:
            axes[1].plot(x, (gap**2).sum(axis=1), "o-", color=COLOUR[colour], label=name, markersize=4)
        axes[1].set(title="Squared distance", xlabel="executed block", ylim=(0, None), xticks=x)
        axes[1].legend()
    return to_svg(figure, "latents", "Predicted and reached latents in two directions, and their distances")


def _plot_projection(axis: Any, predicted: Array, reached: Array, goal: Array) -> None:
    points = np.vstack([reached, goal])
    centre = points.mean(axis=0)
    directions = np.linalg.svd(points - centre, full_matrices=False)[2][:2]
    # The sign of a singular vector is arbitrary; the largest entry is made positive.
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    p, r, g = ((values - centre) @ directions.T for values in (predicted, reached, goal[None]))
    for a, b in zip(p, r, strict=True):
        axis.plot(*np.stack([a, b]).T, color=COLOUR["grid"], linewidth=1.2)
    axis.plot(*r.T, "o-", color=COLOUR["lewm"], linewidth=1, markersize=5, label="reached")
    axis.plot(*p.T, "o", color=COLOUR["win"], fillstyle="none", markersize=6, label="predicted")
    axis.plot(*g.T, "*", color=COLOUR["goal"], markersize=12, label="goal")
    axis.legend()
