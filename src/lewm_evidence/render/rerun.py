"""The showcase as a Rerun recording: tabletop, frames, candidate plans and their costs.

Every record finds its place by its tag: the entity path is the tag without its first part, so the scalar
`showcase/cost/best` is `/cost/best`. The arrays of decisions and geometry are drawn below `/tabletop`, in
simulator pixels, y down. Timelines: `step` (environment step), `decision`, and `iteration` (of CEM, counted
through all decisions); rows carry each index that makes sense for them.

`digest` is the identity of what a recording says, also after Rerun's tools have rewritten the file.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.errors import StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Arrays, Event, Histogram, Image, Record, Scalar, Text
from lewm_evidence.render import rrd
from lewm_evidence.render.chunks import Chunk, RrdReader

APPLICATION = "lewm_evidence_showcase"
# The recording of a run, by its stage.
FILES = {"showcase": "showcase.rrd", "train": "training.rrd"}

# Which timeline the step of a record counts; everything else counts decisions.
PER_STEP = ("frame", "error_px", "agent_", "block_")  # beginnings of names
PER_ITERATION = {"cem/elite_cost_mean", "cem/elite_cost_min", "cem/elite_costs", "cem/costs"}
# True at all times.
STATIC = {"goal", "task", "checkpoint", "outcome", "pictures"}
# Measured when a decision has been carried out, not when it is made.
AFTER_DECISION = {"prediction_error", "retrieved"}

RADIUS = 15 / 512  # of the agent, as a share of the table's width
GOAL, BLOCK, AGENT = (60, 170, 90), (119, 136, 153), (65, 105, 225)
# The worst plans fade into the light table.
BEST, WORST, WINNER, EDGE = (245, 150, 20), (216, 210, 228), (220, 30, 60), (190, 190, 190)
# Plotted series: name in the legend and colour.
SERIES = {
    "/error_px": ("to the goal", AGENT),
    "/cost/best": ("best", BEST),
    "/cost/mean": ("mean", (170, 120, 190)),
    "/cost/max": ("worst", (110, 80, 200)),
    "/latent_distance": ("to the goal", BEST),
    "/prediction_error": ("predicted to reached", (90, 190, 200)),
    "/cem/elite_cost_mean": ("mean of the elites", (170, 120, 190)),
    "/cem/elite_cost_min": ("best", BEST),
}
_LOG_TIMELINES = {"log_time", "log_tick"}


def entity(tag: str) -> str:
    """Returns the entity path of a record's tag: the tag without the stage."""
    return "/" + tag.partition("/")[2]


class Clock:
    """Knows at which environment step each decision begins and ends.

    Attributes:
        starts: first environment step of each decision, and after the last one the number of steps.
        iterations: CEM iterations per decision.
    """

    def __init__(self, run: FinishedRun) -> None:
        executed = [int(event.fields["executed_steps"] or 0) for event in run.events("showcase/decision")]
        if not executed:
            raise StageError(f"{run.path} records no event 'showcase/decision'; is it a finished showcase?")
        self.starts = [0, *np.cumsum(executed).tolist()]
        rows = len(run.scalars("showcase/cem/elite_cost_mean"))
        self.iterations = max(1, rows // len(executed))

    def columns(self, name: str, steps: Sequence[int]) -> list[rr.TimeColumn]:
        """Returns the index columns for records of one name (tag without stage) at `steps`; none when static."""
        if name in STATIC:
            return []
        if name.startswith(PER_STEP):
            return _times(step=steps, decision=[self._decision(step) for step in steps])
        if name in PER_ITERATION:
            return _times(iteration=steps, decision=[step // self.iterations for step in steps])
        offset = 1 if name in AFTER_DECISION else 0
        return _times(decision=steps, step=[self.starts[min(d + offset, len(self.starts) - 1)] for d in steps])

    def _decision(self, step: int) -> int:
        # The last state belongs to the last decision; a state in between to the decision it starts or follows.
        return int(np.searchsorted(self.starts[1:-1], step, side="right"))


def _times(**indexes: Sequence[int]) -> list[rr.TimeColumn]:
    return [rr.TimeColumn(name, sequence=values) for name, values in indexes.items()]


def chunks(run: FinishedRun) -> list[Chunk]:
    """Returns the showcase as chunks in a fixed order.

    Raises:
        StageError: when the run is not a finished showcase.
    """
    rr.set_strict_mode(True)  # else the SDK warns and leaves out what it cannot encode
    clock = Clock(run)
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in run.records():
        # Bar charts cannot be batched: one chunk for each of them.
        step = str(record.step) if record.kind == "histogram" else ""
        groups[record.kind, record.tag + step].append(record)
    made = [_chunk(run, clock, records) for (kind, _), records in groups.items() if kind != "arrays"]
    tags = {entity(tag) for kind, tag in groups if kind == "scalar"}
    return [*made, *_series_styles(tags), *_tabletop(run, clock)]


def _series_styles(entities: set[str]) -> Iterator[Chunk]:
    for path, (name, color) in SERIES.items():
        if path in entities:
            yield Chunk.from_columns(path, [], rr.SeriesLines.columns(names=[name], colors=[color], widths=[2.0]))


def _chunk(run: FinishedRun, clock: Clock, records: Sequence[Record]) -> Chunk:
    path = entity(records[0].tag)
    times = clock.columns(path[1:], [record.step for record in records])
    return Chunk.from_columns(path, times, _columns(run, records))


def _columns(run: FinishedRun, records: Sequence[Record]) -> Any:
    first = records[0]
    if isinstance(first, Scalar):
        return rr.Scalars.columns(scalars=[r.value for r in records if isinstance(r, Scalar)])
    if isinstance(first, Histogram):
        return rr.BarChart.columns(values=np.sort(first.values), color=[BEST])
    if isinstance(first, Image):
        blobs = [(run.path / r.path).read_bytes() for r in records if isinstance(r, Image)]
        return rr.EncodedImage.columns(blob=blobs, media_type=["image/png"] * len(blobs))
    if isinstance(first, Text):
        texts = [r.text for r in records if isinstance(r, Text)]
    else:
        texts = [event_text(r) for r in records if isinstance(r, Event)]
    return rr.TextDocument.columns(text=texts, media_type=["text/markdown"] * len(texts))


def event_text(event: Event) -> str:
    """Returns an event as a markdown table."""
    rows = "".join(f"\n| {name.replace('_', ' ')} | {_plain(value)} |" for name, value in event.fields.items())
    return f"| field | value |\n|---|---|{rows}"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).replace("|", "\\|").split())


def _arrays(run: FinishedRun, tag: str) -> list[dict[str, NDArray[Any]]]:
    paths = [record.path for record in run.records("arrays") if isinstance(record, Arrays) and record.tag == tag]
    return [run.arrays(path) for path in paths]


def _tabletop(run: FinishedRun, clock: Clock) -> Iterator[Chunk]:
    (geometry,) = _arrays(run, "showcase/geometry")
    decisions = _arrays(run, "showcase/decision")
    yield from _table(geometry)
    yield from _motion(decisions, geometry, clock)
    yield from _plans(decisions, clock)


def _table(geometry: dict[str, NDArray[Any]]) -> Iterator[Chunk]:
    width, height = geometry["space"]
    edge = [[[0, 0], [width, 0], [width, height], [0, height], [0, 0]]]
    yield _lines("/tabletop/edge", [], [edge], EDGE, 2.0, 0)
    if "walls" in geometry:
        walls = [np.concatenate([wall, wall[:1]]) for wall in geometry["walls"]]
        yield _lines("/tabletop/walls", [], [walls], EDGE, 1.5, 0)
    if "block_outline" in geometry:
        goal = placed(geometry["block_outline"], geometry["goal_state"])
    else:
        goal = _circle(geometry["goal_state"][:2], RADIUS * width)
    yield _lines("/tabletop/goal", [], [[goal]], GOAL, width / 100, 10)


def _circle(centre: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 25)
    return centre + radius * np.column_stack([np.cos(angle), np.sin(angle)])


def _motion(
    decisions: list[dict[str, NDArray[Any]]], geometry: dict[str, NDArray[Any]], clock: Clock
) -> Iterator[Chunk]:
    # Each decision records the state it starts from and those it reaches; the seams are recorded twice.
    states = np.concatenate([decisions[0]["states"][:1], *(d["states"][1:] for d in decisions)])
    steps = range(len(states))
    times = clock.columns("frame", steps)
    if "block_outline" in geometry:
        placements = [[placed(geometry["block_outline"], state)] for state in states]
        yield _lines("/tabletop/block", times, placements, BLOCK, 3.0, 30)
    trail = [[states[: step + 1, :2]] if step else [states[[0, 0], :2]] for step in steps]
    yield _lines("/tabletop/trail", times, trail, AGENT, 1.5, 35)
    agent = rr.Points2D.columns(
        positions=states[:, :2],
        radii=np.full(len(states), RADIUS * geometry["space"][0]),
        colors=[AGENT] * len(states),
        draw_order=np.full(len(states), 50.0),
    )
    yield Chunk.from_columns("/tabletop/agent", times, agent)


def _plans(decisions: list[dict[str, NDArray[Any]]], clock: Clock) -> Iterator[Chunk]:
    times = clock.columns("cost", range(len(decisions)))
    # Worst first, so that the best are drawn over them.
    order = [np.argsort(-d["candidate_costs"], kind="stable") for d in decisions]
    paths = [list(d["candidate_paths"][o]) for d, o in zip(decisions, order, strict=True)]
    colors = [cost_colors(d["candidate_costs"][o]) for d, o in zip(decisions, order, strict=True)]
    yield _lines("/tabletop/candidates", times, paths, colors, 0.8, 20)
    winners = [[d["candidate_paths"][d["winner"].item()]] for d in decisions]
    yield _lines("/tabletop/winner", times, winners, WINNER, 3.0, 40)
    elites = [[path for iteration in d["elite_paths"] for path in iteration] for d in decisions]
    shades = [_by_iteration(*d["elite_paths"].shape[:2]) for d in decisions]
    yield _lines("/tabletop/elites", times, elites, shades, 0.8, 25)


def placed(outline: NDArray[np.float64], state: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the block outline (P, 2) at a state, in simulator pixels, closed: (P + 1, 2)."""
    c, s = np.cos(state[4]), np.sin(state[4])
    corners = outline @ np.array([[c, s], [-s, c]]) + state[2:4]
    return np.concatenate([corners, corners[:1]])


def cost_colors(costs: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Returns RGB (N, 3) from worst (pale) to best (orange), by rank: costs often differ by magnitudes."""
    rank = np.argsort(np.argsort(costs, kind="stable"), kind="stable")
    return _mix(1 - rank / max(1, len(costs) - 1))


def _by_iteration(iterations: int, elites: int) -> NDArray[np.uint8]:
    return _mix(np.repeat(np.arange(iterations), elites) / max(1, iterations - 1))


def _mix(share: NDArray[np.float64]) -> NDArray[np.uint8]:
    mixed = np.outer(1 - share, WORST) + np.outer(share, BEST)
    return np.rint(mixed).astype(np.uint8)


def _lines(
    path: str, times: list[rr.TimeColumn], rows: Sequence[Sequence[Any]], color: Any, radius: float, order: float
) -> Chunk:
    """Returns line strips: a row is a list of strips (n, 2); `color` is one colour or an array (strips, 3) per row."""
    sizes = [len(row) for row in rows]
    strips = [np.asarray(strip, dtype=np.float32) for row in rows for strip in row]
    colors = [color] * len(strips) if isinstance(color, tuple) else np.concatenate(color)
    shapes = rr.LineStrips2D.columns(strips=strips, colors=colors).partition(sizes)
    style = rr.LineStrips2D.columns(radii=np.full(len(rows), radius), draw_order=np.full(len(rows), order))
    return Chunk.from_columns(path, times, [*shapes, *style])


def blueprint(space: Sequence[float] = (512.0, 512.0), note: str = "") -> rrb.Blueprint:
    """Returns the layout the viewer opens with: the tabletop and the frames first, then costs and words.

    Args:
        space: width and height of the tabletop.
        note: what to know of the simulator's pictures.
    """
    (right, bottom), margin = space, 24 / 512 * space[0]
    bounds = rrb.VisualBounds2D(x_range=[-margin, right + margin], y_range=[-margin, bottom + margin])
    legend = rrb.PlotLegend(corner=rrb.Corner2D.RightTop)
    costs = ["/cost/best", "/cost/mean", "/cost/max"]
    latents = ["/latent_distance", "/prediction_error"]
    scene = ["+ /tabletop/**", "- /tabletop/elites"]
    cem = ["+ /tabletop/**", "- /tabletop/candidates", "- /tabletop/winner"]
    paper = {"visual_bounds": bounds, "background": [250, 250, 250]}
    top = rrb.Horizontal(
        rrb.Tabs(
            rrb.Spatial2DView(
                name="Plans: pale to orange = worst to best, red = chosen; green = goal",
                origin="/tabletop",
                contents=scene,
                **paper,
            ),
            rrb.Spatial2DView(
                name="CEM elites: pale to orange = first to last iteration", origin="/tabletop", contents=cem, **paper
            ),
        ),
        rrb.Vertical(
            rrb.Spatial2DView(name=f"What the model sees{note}", origin="/frame"),
            rrb.Spatial2DView(name="The goal it is given", origin="/goal"),
        ),
        rrb.Vertical(
            rrb.Tabs(
                rrb.TextDocumentView(name="Outcome", origin="/outcome"),
                rrb.TextDocumentView(name="Decision", origin="/decision"),
                rrb.TextDocumentView(name="Task", origin="/task"),
                rrb.TextDocumentView(name="Checkpoint", origin="/checkpoint"),
            ),
            rrb.Tabs(
                rrb.Spatial2DView(name="Reached, and real pictures nearest to it", origin="/retrieved"),
                rrb.Spatial2DView(name="Those pictures", origin="/pictures"),
            ),
        ),
        column_shares=[6, 3, 3],
    )
    plots = rrb.Horizontal(
        rrb.TimeSeriesView(name="Distance to the goal (px)", origin="/error_px", plot_legend=legend),
        rrb.TimeSeriesView(name="Cost of the shown candidates", contents=costs, plot_legend=legend),
        rrb.TimeSeriesView(name="Squared latent distance", contents=latents, plot_legend=legend),
        rrb.Tabs(
            rrb.BarChartView(name="Cost of each candidate, sorted", origin="/cost/candidates"),
            rrb.BarChartView(name="Cost of each CEM sample, sorted", origin="/cem/costs"),
        ),
    )
    return rrb.Blueprint(
        rrb.Vertical(top, plots, row_shares=[5, 2]),
        rrb.TimePanel(state="collapsed", timeline="step", fps=8, play_state="playing", loop_mode="all"),
        rrb.SelectionPanel(state="hidden"),
        rrb.BlueprintPanel(state="collapsed"),
    )


def render(run: FinishedRun, path: Path) -> bool:
    """Writes the recording of a finished showcase, with its layout, to `path`.

    Returns:
        Whether its bytes depend on the records alone, see `rrd.write`.

    Raises:
        StageError: when the run is not a finished showcase.
    """
    made = chunks(run)
    (geometry,) = _arrays(run, "showcase/geometry")
    note = " (its green tee is paint)" if "block_outline" in geometry else ""
    return rrd.write(path, APPLICATION, run.manifest.key, made, blueprint(geometry["space"].tolist(), note))


def digest(path: Path) -> dict[str, Any]:
    """Returns what the recording at `path` says, as digests: equal for equal content, whatever the file's bytes.

    Per entity, sha256 over every cell with its component, its type and its index values, in sorted order. Row and
    chunk ids, the split into chunks, log time and the layout do not count.

    Returns:
        `entities`, digest by entity path, and `total`, the digest of them all.
    """
    cells: dict[str, list[list[Any]]] = defaultdict(list)
    for chunk in RrdReader(path).stream().to_chunks():
        cells[chunk.entity_path] += _cells(chunk)
    entities = {name: sha256_bytes(canonical_json(sorted(rows, key=repr))) for name, rows in sorted(cells.items())}
    return {"entities": entities, "total": sha256_bytes(canonical_json(entities))}


def _cells(chunk: Chunk) -> Iterable[list[Any]]:
    batch = chunk.to_record_batch()
    kinds = [(field.metadata or {}).get(b"rerun:kind", b"") for field in batch.schema]
    names = batch.schema.names
    clock = [name for name, kind in zip(names, kinds, strict=True) if kind == b"index"]
    times = {name: batch.column(name).cast("int64").to_pylist() for name in clock if name not in _LOG_TIMELINES}
    for name, kind in zip(names, kinds, strict=True):
        if kind == b"data":
            column = batch.column(name)
            for row, cell in enumerate(column.to_pylist()):
                when = {index: values[row] for index, values in sorted(times.items())}
                # Floats print so that they read back exactly; bytes come as lists of numbers.
                yield [name, str(column.type), when, sha256_bytes(json.dumps(cell, default=_hex).encode())]


def _hex(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"cannot digest {type(value).__name__}")
