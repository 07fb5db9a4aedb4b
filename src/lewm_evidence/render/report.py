"""The report: one HTML page a person wants to read, and the numbers on it as JSON.

Both are functions of finished runs, given by role: `checkpoint`, `showcase`, `evaluate`, `gate`, the probes
(`probe_<viewer>`) and, where they were made, `tables`. `summarise` holds results only; the page also shows what was
measured on the machine.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun
from lewm_evidence.records.schema import Arrays, Image
from lewm_evidence.render import paper_tables
from lewm_evidence.render import report_pictures as pictures
from lewm_evidence.render import report_plots as plots
from lewm_evidence.render.report_page import PAGE

METHODS = ("lewm", "random", "noop")
LATENCIES = {
    "latency/encode": "encode one picture",
    "latency/cost": "cost of all samples of one CEM iteration",
    "latency/solve": "whole plan, from two pictures",
}
FILM_FRAMES = 8

Runs = Mapping[str, FinishedRun]
Row = dict[str, Any]


def summarise(runs: Runs) -> Row:
    """Returns every result number that the page shows; no timing, so equal runs give an equal summary.

    Raises:
        StageError: when a run lacks a record that the page needs.
    """
    return {
        "schema_version": 1,
        "runs": {role: {"run": run.name, "result_digest": run.manifest.result_digest} for role, run in runs.items()},
        "checkpoint": _checkpoint(runs["checkpoint"]),
        "evaluate": _evaluate(runs["evaluate"]),
        "gate": [event.fields for event in runs["gate"].events("gate/check")],
        "showcase": _showcase(runs["showcase"]),
        "paper": _paper(runs["tables"]) if "tables" in runs else None,
        "probes": {role.removeprefix("probe_"): _probe(runs[role]) for role in runs if role.startswith("probe_")},
    }


def _checkpoint(run: FinishedRun) -> Row:
    files = {
        entry.path.removeprefix("checkpoint/"): {"sha256": entry.sha256, "bytes": entry.size}
        for entry in run.manifest.files
        if entry.path.startswith("checkpoint/")
    }
    config = run.spec.config
    source = "trained" if run.spec.stage == "train" else config.get("source", "of unknown origin")
    origin: Row = {key: config[key] for key in ("name", "repo", "revision") if key in config}
    parameters = run.scalars("checkpoint/parameters")
    return {"source": source, **origin, "files": files, **({"parameters": parameters[0]} if parameters else {})}


def _evaluate(run: FinishedRun) -> Row:
    errors = {m: run.scalars(f"evaluate/{m}/final_error_px") for m in METHODS}
    return {
        "protocol": _event(run, "evaluate/protocol"),
        "methods": {
            m: {
                "final_error_px": _estimate(run, f"evaluate/{m}/mean_final_error_px"),
                "success_rate": _estimate(run, f"evaluate/{m}/success_rate"),
                "successes": sum(run.scalars(f"evaluate/{m}/success").values()),
            }
            for m in METHODS
        },
        "differences": {b: _estimate(run, f"evaluate/lewm_minus_{b}/final_error_px") for b in METHODS if b != "lewm"},
        "starts": len(errors["lewm"]),
        "starts_closer_than": {
            b: sum(error < errors[b][start] for start, error in errors["lewm"].items()) for b in METHODS[1:]
        },
    }


def _estimate(run: FinishedRun, tag: str) -> dict[str, float]:
    return {"mean": run.last(tag), "low": run.last(f"{tag}_low"), "high": run.last(f"{tag}_high")}


def _paper(run: FinishedRun) -> Row:
    """Returns the rows of the paper's tables by section, and what differs from the paper."""
    rows = [dict(event.fields) for event in run.events("tables/row")]
    differs = [event.fields["text"] for event in run.events("tables/differs")]
    return {"sections": paper_tables.by_section(rows), "differs": differs}


def _event(run: FinishedRun, tag: str) -> Row:
    events = run.events(tag)
    if not events:
        raise StageError(f"{run.path} holds no event {tag!r}; was it made by another version?")
    return dict(events[-1].fields)


def _showcase(run: FinishedRun) -> Row:
    series = {
        name: run.scalars(f"showcase/{name}")
        for name in ("cost/best", "cost/mean", "cost/max", "latent_distance", "prediction_error")
    }
    decisions = [
        {**event.fields, **{name: values.get(event.step) for name, values in series.items()}}
        for event in run.events("showcase/decision")
    ]
    return {"outcome": _event(run, "showcase/outcome"), "decisions": decisions, "seed": run.spec.config.get("seed")}


def _probe(run: FinishedRun) -> Row:
    """Returns the last event that a probe recorded under its own name: its totals."""
    viewer = run.spec.stage.removeprefix("probe_")
    events = run.events(f"probe/{viewer}")
    return dict(events[-1].fields) if events else {}


def measure(runs: Runs) -> Row:
    """Returns what the page says about the machine: latencies, wall times and memory, from timing alone."""
    showcase = list(runs["showcase"].timings())
    latencies = []
    for tag, label in LATENCIES.items():
        values = {timing.step: timing.value for timing in showcase if timing.tag == tag}
        warm = [value for step, value in values.items() if step > 0]
        if warm:
            p50, p95 = np.percentile(warm, [50, 95])
            latencies.append({"label": label, "cold": values.get(0), "p50": p50, "p95": p95, "repeats": len(warm)})
    stages = []
    for role, run in runs.items():
        found = {timing.tag: timing.value for timing in run.timings() if timing.tag.startswith("stage/")}
        stages.append({"role": role, "wall": found.get("stage/wall_time"), "peak": found.get("stage/peak_memory")})
    environment = runs["showcase"].manifest.environment
    return {"latencies": latencies, "stages": stages, "environment": environment}


def render_page(runs: Runs) -> str:
    """Returns the page: one HTML document that needs no other file and no network.

    Raises:
        StageError: when a run lacks a record that the page needs.
    """
    summary = summarise(runs)
    showcase = runs["showcase"]
    decisions = [showcase.arrays(path) for path in _paths(showcase, "arrays", "showcase/decision").values()]
    geometry = showcase.arrays(_paths(showcase, "arrays", "showcase/geometry")[0])
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(
        paper_cells=paper_tables.cells, px=_px, number=_number, percent=_percent, ms=_ms, size=_size
    )
    return environment.from_string(PAGE).render(
        **summary,
        measured=measure(runs),
        headline=_headline(summary),
        figures=_figures(runs, summary, decisions, geometry),
        tables=[Markup(plots.plot_tabletop(d, arrays, geometry)) for d, arrays in enumerate(decisions)],
        block="block_outline" in geometry,
        images=_images(showcase, geometry),
        screenshots=_screenshots(runs),
        names=plots.NAMES,
        roles=plots.ROLES,
    )


def _headline(summary: Row) -> Row:
    difference = summary["evaluate"]["differences"]["random"]["mean"]
    holds = all(check["passed"] for check in summary["gate"])
    return {"holds": holds, "closer": difference < 0, "px": abs(difference)}


def _figures(runs: Runs, summary: Row, decisions: list[Any], geometry: Mapping[str, Any]) -> dict[str, Markup]:
    errors: dict[str, NDArray[np.float64]] = {
        method: np.array(list(runs["evaluate"].scalars(f"evaluate/{method}/final_error_px").values()))
        for method in METHODS
    }
    svg = {
        "estimates": plots.plot_estimates(summary["evaluate"]["methods"]),
        "starts": plots.plot_starts(errors),
        "progress": plots.plot_progress(runs["showcase"], decisions),
        "latents": plots.plot_latents(decisions),
    }
    # Safe: made by matplotlib from numbers and from words that stand in the code.
    return {name: Markup(text) for name, text in svg.items()}


def _images(showcase: FinishedRun, geometry: Mapping[str, Any]) -> Row:
    frames = _paths(showcase, "image", "showcase/frame")
    steps = np.unique(np.linspace(0, max(frames), min(FILM_FRAMES, len(frames))).round().astype(int))
    observation = _paths(showcase, "image", "showcase/observation")[0]
    where = {step: showcase.path / path for step, path in frames.items()}
    goal = _paths(showcase, "image", "showcase/goal")[0]
    return {
        "film": [{"step": int(step), "uri": pictures.picture_uri(where[int(step)])} for step in steps],
        "goal": pictures.picture_uri(showcase.path / goal),
        "observation": pictures.picture_uri(showcase.path / observation),
        "still": pictures.picture_uri(where[max(where)]),
        "animation": pictures.animation_uri(list(where.values()), geometry),
    }


def _screenshots(runs: Runs) -> list[Row]:
    """Returns a row per probe: its screenshot and what drew it, or why there is none."""
    rows: list[Row] = []
    for role, run in runs.items():
        picture, note = (run.path / "views" / f"screenshot.{kind}" for kind in ("png", "json"))
        if role.startswith("probe_") and picture.exists():
            drawn = pictures.drawn_by(picture)
            rows.append({"name": role.removeprefix("probe_"), "uri": pictures.picture_uri(picture), "viewer": drawn})
        elif role.startswith("probe_") and note.exists():
            rows.append({"name": role.removeprefix("probe_"), "uri": None, **json.loads(note.read_bytes())})
    return rows


def _paths(run: FinishedRun, kind: str, tag: str) -> dict[int, str]:
    records: Iterable[Any] = run.records(kind)
    found = {r.step: r.path for r in records if isinstance(r, Image | Arrays) and r.tag == tag}
    if not found:
        raise StageError(f"{run.path} holds no {kind} {tag!r}; was it made by another version?")
    return found


def _px(value: float) -> str:
    return f"{_number(value, 0)} px"


def _number(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    text = text.removeprefix("-") if not float(text.replace(",", "")) else text
    return text.replace("-", "−")


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _size(count: float | None) -> str:
    if count is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} B"
