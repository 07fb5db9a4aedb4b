"""A training run as a Rerun recording: its curves, and where its latents lie, over the steps.

Scalars lie at their tag without its first part, such as `/val_prediction`, on the timeline `step` (optimiser steps).
`/latents` are the same held-out pictures at every record, on the two principal axes of the last one; the colour of a
picture is where in the plane the block was, or the agent where there is no block: red from left to right, blue from
top to bottom. Latents that collapse run together; latents that learn keep those colours apart.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from lewm_evidence.errors import StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Arrays, Event, Scalar, Text
from lewm_evidence.render import rrd
from lewm_evidence.render.chunks import Chunk
from lewm_evidence.render.rerun import entity, event_text

APPLICATION = "lewm_evidence_training"
_SECONDS = 12  # to play the whole training
_COLOURS = {
    "/loss": (245, 150, 20),
    "/prediction_loss": (65, 105, 225),
    "/sigreg": (170, 120, 190),
    "/val_prediction": (245, 150, 20),
    "/val_copy": (150, 150, 150),
    "/val_shuffled": (110, 80, 200),
}
# Title of a plot and the scalars in it; a plot of which nothing was recorded is left out.
_PLOTS = {
    "Loss": ["/loss", "/prediction_loss", "/sigreg"],
    "Held out: prediction, no change, wrong actions": ["/val_prediction", "/val_copy", "/val_shuffled"],
    "Probe of positions, worst R²": ["/probe_r2_min"],
    "Spread of the latents": ["/embedding_std"],
    "Effective rank": ["/effective_rank"],
    "Learning rate": ["/learning_rate"],
}


def render(run: FinishedRun, path: Path) -> bool:
    """Writes the recording of a finished training, with its layout, to `path`.

    Returns:
        Whether its bytes depend on the records alone, see `rrd.write`.

    Raises:
        StageError: when the run recorded no scalars.
    """
    rr.set_strict_mode(True)
    curves = _curves(run)
    if not curves:
        raise StageError(f"{run.path} records no scalars; is it a finished training?")
    latents = latents_by_step(run)
    chunks = [*_curve_chunks(curves), *_words(run), *_latent_chunks(latents)]
    steps = max(step for values in curves.values() for step in values)
    return rrd.write(path, APPLICATION, run.manifest.key, chunks, _layout(set(curves), steps, bool(latents)))


def _curves(run: FinishedRun) -> dict[str, dict[int, float]]:
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for record in run.records("scalar"):
        if isinstance(record, Scalar):
            curves[entity(record.tag)][record.step] = record.value
    return dict(curves)


def _curve_chunks(curves: dict[str, dict[int, float]]) -> Iterator[Chunk]:
    for path, values in curves.items():
        yield Chunk.from_columns(path, _steps(values), rr.Scalars.columns(scalars=list(values.values())))
        colors = [_COLOURS[path]] if path in _COLOURS else None  # the viewer chooses
        style = rr.SeriesLines.columns(names=[path[1:].replace("_", " ")], colors=colors, widths=[2.0])
        yield Chunk.from_columns(path, [], style)


def _steps(values: Any) -> list[rr.TimeColumn]:
    return [rr.TimeColumn("step", sequence=list(values))]


def _words(run: FinishedRun) -> Iterator[Chunk]:
    for record in run.records():
        if isinstance(record, Text | Event):
            text = record.text if isinstance(record, Text) else event_text(record)
            column = rr.TextDocument.columns(text=[text], media_type=["text/markdown"])
            yield Chunk.from_columns(entity(record.tag), [], column)


def latents_by_step(run: FinishedRun) -> dict[int, tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Returns positions (N, 2) and colours (N, 3) of the recorded latents by step; empty when there are none."""
    paths = {r.step: r.path for r in run.records("arrays") if isinstance(r, Arrays) and r.tag == "train/latents"}
    if not paths:
        return {}
    found = {step: run.arrays(path) for step, path in sorted(paths.items())}
    last = found[max(found)]["latents"].astype(np.float64)
    axes = np.linalg.svd(last - last.mean(axis=0), full_matrices=False)[2][:2]
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]  # a direction has no sign of its own
    return {
        step: (((a["latents"] - a["latents"].mean(axis=0)) @ axes.T).astype(np.float32), _colours(a["places"]))
        for step, a in found.items()
    }


def _colours(places: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns RGB (N, 3) of places (N, 2), each number a share of the plane."""
    share = np.clip(places, 0, 1) * 220 + 20
    green = np.full(len(places), 80.0)
    return np.column_stack([share[:, 0], green, share[:, 1]]).astype(np.uint8)


def _latent_chunks(latents: dict[int, tuple[NDArray[np.float32], NDArray[np.uint8]]]) -> Iterator[Chunk]:
    if latents:
        positions = np.concatenate([place for place, _ in latents.values()])
        colors = np.concatenate([colour for _, colour in latents.values()])
        sizes = [len(place) for place, _ in latents.values()]
        points = rr.Points2D.columns(positions=positions, colors=colors).partition(sizes)
        radius = float(np.abs(positions).max()) / 60 or 1.0
        radii = rr.Points2D.columns(radii=np.full(len(sizes), radius))
        yield Chunk.from_columns("/latents", _steps(latents), [*points, *radii])


def _layout(entities: set[str], steps: int, with_latents: bool) -> rrb.Blueprint:
    legend = rrb.PlotLegend(corner=rrb.Corner2D.RightTop)
    shown = {title: [path for path in paths if path in entities] for title, paths in _PLOTS.items()}
    probes = sorted(path for path in entities if path.startswith("/probe_r2/"))
    if probes:
        shown["Probe of each quantity, R²"] = probes
    plots = [
        rrb.TimeSeriesView(name=title, contents=paths, plot_legend=legend) for title, paths in shown.items() if paths
    ]
    words = rrb.TextDocumentView(name="What was trained", origin="/model")
    space = rrb.Spatial2DView(
        name="Latents of held-out pictures; colour = place", origin="/latents", background=[250, 250, 250]
    )
    side = rrb.Vertical(space, words, row_shares=[4, 1]) if with_latents else words
    return rrb.Blueprint(
        rrb.Horizontal(rrb.Grid(*plots, grid_columns=2), side, column_shares=[3, 2 if with_latents else 1]),
        rrb.TimePanel(state="collapsed", timeline="step", fps=steps / _SECONDS, play_state="playing", loop_mode="all"),
        rrb.SelectionPanel(state="hidden"),
        rrb.BlueprintPanel(state="collapsed"),
    )
