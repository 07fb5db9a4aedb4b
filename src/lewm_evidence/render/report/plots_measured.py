"""The report's figures of training, of the paper's probes and surprise, and of time; each is one panel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator

from lewm_evidence.records import FinishedRun
from lewm_evidence.render.figures import COLOUR, new_figure, plot_style, to_svg
from lewm_evidence.render.report.plots import WIDTH

Series = Mapping[str, Mapping[int, float]]

LOSSES = {"loss": "loss", "prediction_loss": "prediction", "sigreg": "SIGReg"}
HELD_OUT = {"val_shuffled": "others' actions", "val_copy": "no change", "val_prediction": "its own actions"}
_COLOURS = ("noop", "random", "lewm", "goal", "win")
_STYLES = ("--", "-.", "-", ":", "-")
_CONDITIONS = {
    "expected": ("as it is", "noop", "-"),
    "colour": ("other colour", "lewm", "--"),
    "teleport": ("teleport", "win", "-"),
}
_PROBES = (
    ("untrained", "linear", "noop", "s"),
    ("untrained", "mlp", "noop", "D"),
    ("lewm", "linear", "lewm", "s"),
    ("lewm", "mlp", "lewm", "D"),
)


def training_figures(series: Series) -> dict[str, str]:
    """Returns losses, held-out prediction and, where states are known, what probes read, over optimiser steps."""
    probes = {tag: tag.removeprefix("probe_r2/").replace("_", " ") for tag in series if tag.startswith("probe_r2/")}
    found = {
        "losses": _plot_training(series, "losses", "Losses of a batch", LOSSES, log=True),
        "held_out": _plot_training(series, "held_out", "Held-out prediction error with", HELD_OUT, log=True),
    }
    return (
        {**found, "probes": _plot_training(series, "probes", "Read from latents, R²", probes, log=False)}
        if probes
        else found
    )


def _plot_training(series: Series, name: str, title: str, names: Mapping[str, str], log: bool) -> str:
    """Returns curves over optimiser steps.

    Args:
        series: values by step, by tag.
        name: of the figure.
        title: what is measured.
        names: the tags to draw, with what each is called.
        log: whether values are shown on a logarithmic scale.
    """
    with plot_style():
        figure, axis = new_figure(WIDTH, 2.9)
        for number, (tag, words) in enumerate(names.items()):
            colour, style = COLOUR[_COLOURS[number % len(_COLOURS)]], _STYLES[number % len(_STYLES)]
            axis.plot(list(series[tag]), list(series[tag].values()), style, color=colour, label=words)
        axis.set(title=title, xlabel="optimiser step")
        if log:
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter("{x:g}")
        else:
            axis.set_ylim(min(0.0, axis.get_ylim()[0]), 1.02)
        axis.legend(ncols=1 if len(names) < 4 else 2)
    last = "; ".join(f"{words} {series[tag][max(series[tag])]:.3g}" for tag, words in names.items())
    return to_svg(figure, name, f"{title}, last values: {last}")


def plot_probing(run: FinishedRun) -> str:
    """Returns what can be read from latents, trained and untrained, with its intervals: R² on held-out episodes."""
    values = {record.tag: record.value for record in run.records("scalar") if record.kind == "scalar"}
    head, tail = "probing/lewm/linear/", "/r2"
    found = [tag.removeprefix(head).removesuffix(tail) for tag in values if tag.startswith(head) and tag.endswith(tail)]
    groups = [name for name in found if name in ("agent_position", "block_position", "block_angle")]
    with plot_style():
        figure, axis = new_figure(WIDTH, 1.4 + 0.62 * len(groups))
        for number, (model, probe, colour, marker) in enumerate(_PROBES):
            fill = "none" if probe == "mlp" else "full"
            for row, group in enumerate(groups):
                tag, y = f"probing/{model}/{probe}/{group}{tail}", row + 0.18 * (number - 1.5)
                axis.plot(
                    [values[f"{tag}_low"], values[f"{tag}_high"]],
                    [y, y],
                    color=COLOUR[colour],
                    linewidth=2.5,
                    alpha=0.4,
                )
                axis.plot([values[tag]], [y], marker, color=COLOUR[colour], markersize=6, fillstyle=fill)
            axis.plot(
                [],
                [],
                marker,
                color=COLOUR[colour],
                fillstyle=fill,
                label=f"{'LeWM' if model == 'lewm' else model}, {probe.replace('mlp', 'MLP')}",
            )
        axis.set_yticks(range(len(groups)), [group.replace("_", "\n") for group in groups])
        # Below -1 nothing is read; how far below says no more.
        axis.set(
            title="What latents tell, R²", ylim=(len(groups) - 0.45, -0.55), xlim=(max(axis.get_xlim()[0], -1), 1.02)
        )
        axis.grid(visible=False, axis="y")
        axis.tick_params(axis="y", length=0, labelcolor=COLOUR["ink"])
        figure.legend(loc="outside lower center", ncols=2, handletextpad=0.3)
    said = "; ".join(f"{group.replace('_', ' ')} {values[f'{head}{group}{tail}']:.2f}" for group in groups)
    return to_svg(figure, "probing", f"R squared of probes on held-out episodes, LeWM linear: {said}")


def plot_surprise(run: FinishedRun) -> str:
    """Returns the model's surprise over the blocks of an episode, undisturbed and with what cannot happen."""
    with plot_style():
        figure, axis = new_figure(WIDTH, 3.2)
        for condition, (words, colour, style) in _CONDITIONS.items():
            tag = f"surprise/{condition}/curve"
            mean, low, high = (run.scalars(f"{tag}{end}") for end in ("", "_low", "_high"))
            axis.fill_between(
                list(low), list(low.values()), list(high.values()), color=COLOUR[colour], alpha=0.18, linewidth=0
            )
            axis.plot(
                list(mean), list(mean.values()), style, marker="o", markersize=3.5, color=COLOUR[colour], label=words
            )
        event = run.events("surprise/protocol")[-1].fields["before"]
        axis.axvline(float(event or 0), color=COLOUR["muted"], linewidth=0.9, linestyle=":")
        axis.set(title="Surprise, mean over episodes", xlabel="action block; dotted: the event", ylim=(0, None))
        axis.legend()
    p = {condition: run.last(f"surprise/{condition}/p") for condition in ("teleport", "colour")}
    return to_svg(
        figure, "surprise", "Surprise by block; p of the event: " + ", ".join(f"{n} {v:.1g}" for n, v in p.items())
    )


def plot_latencies(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns every repeat of each measured call, its first call, p50 and p95, in milliseconds."""
    with plot_style():
        figure, axis = new_figure(WIDTH, 1.5 + 0.5 * len(rows))
        for y, row in enumerate(rows):
            spread = 0.16 * np.cos(2.4 * np.arange(len(row["warm"])))
            axis.plot(
                1000 * np.array(row["warm"]),
                y + spread,
                "o",
                color=COLOUR["lewm"],
                alpha=0.35,
                markersize=4,
                markeredgewidth=0,
            )
            for name, colour in (("p50", "ink"), ("p95", "win")):
                axis.plot([1000 * row[name]], [y], "|", color=COLOUR[colour], markersize=22, markeredgewidth=2)
            if row["cold"] is not None:
                axis.plot([1000 * row["cold"]], [y], "D", color=COLOUR["random"], fillstyle="none", markersize=7)
        for marker, colour, words in (
            ("o", "lewm", "repeat"),
            ("|", "ink", "p50"),
            ("|", "win", "p95"),
            ("D", "random", "first call"),
        ):
            axis.plot([], [], marker, color=COLOUR[colour], fillstyle="none" if marker == "D" else "full", label=words)
        axis.set_yticks(range(len(rows)), [row["short"] for row in rows])
        axis.set(title="Time of a call, ms", xscale="log", ylim=(len(rows) - 0.5, -0.5))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("")
        axis.tick_params(axis="y", length=0, labelcolor=COLOUR["ink"])
        figure.legend(loc="outside lower center", ncols=4, handletextpad=0.2, columnspacing=1)
    said = "; ".join(f"{row['short']} {1000 * row['p50']:.1f} and {1000 * row['p95']:.1f}" for row in rows)
    return to_svg(figure, "latencies", f"Milliseconds of each call, p50 and p95: {said}")
