"""The report's page: finished runs drawn and written into the template.

It needs no other file and no network. What records say is escaped; the only script is a constant, which the page's
content policy knows by its digest, so that nothing else can run.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from lewm_evidence.records import FinishedRun
from lewm_evidence.render import page_style, paper_tables
from lewm_evidence.render.report import pictures, plots, plots_measured, scene
from lewm_evidence.render.report.numbers import (
    METHODS,
    Row,
    Runs,
    decision_arrays,
    executed_actions,
    measure,
    paths,
    score_arrays,
    subject,
    summarise,
    training_run,
    training_series,
)
from lewm_evidence.render.report.script import SCRIPTS
from lewm_evidence.render.report.style import STYLE
from lewm_evidence.render.report.template import PAGES

FILM_FRAMES = 8
_VIEWERS = {"tensorboard": "TensorBoard", "rerun": "Rerun"}


def render_page(runs: Runs) -> str:
    """Returns the page: one HTML document.

    Raises:
        StageError: when a run lacks a record that the page needs.
    """
    about, summary, measured = subject(runs), summarise(runs), measure(runs)
    contents, figures = _scored(runs, summary) if about == "score" else _acted(runs, summary)
    script = SCRIPTS[about]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        paper_cells=paper_tables.cells, px=_px, number=_number, percent=_percent, ms=_ms, size=_size, json=_json
    )
    return environment.from_string(PAGES[about]).render(
        **summary,
        **contents,
        about=about,
        measured=measured,
        figures=_safe(figures | _measured_figures(runs, measured)),
        screenshots=_screenshots(runs),
        looks=_looks(runs),
        manifests={role: run.manifest for role, run in runs.items()},
        specs={role: run.spec for role, run in runs.items()},
        names=plots.NAMES,
        viewers=_VIEWERS,
        style=Markup(page_style.STYLE + STYLE),
        script=Markup(script),
        policy=f"{page_style.CONTENT_POLICY}; script-src 'sha256-{_digest(script)}'",
    )


def _acted(runs: Runs, summary: Row) -> tuple[Row, dict[str, str]]:
    """Returns what only a page with an episode has, and its figures."""
    showcase = runs["showcase"]
    decisions = decision_arrays(showcase)
    geometry = showcase.arrays(paths(showcase, "arrays", "showcase/geometry")[0])
    contents = {
        "title": f"{summary['evaluate']['protocol'].get('world', 'pusht')}, LeWM against its baselines",
        "headline": _headline(summary),
        "landscapes": _landscapes(showcase, decisions),
        "scene": _scene(decisions, geometry),
        "images": _images(showcase),
        "again": ["evaluate", "gate"],
    }
    return contents, _result_figures(runs, summary) | _episode_figures(showcase, summary, decisions)


def _scored(runs: Runs, summary: Row) -> tuple[Row, dict[str, str]]:
    """Returns what only the page of a checkpoint without simulator has, and its figures."""
    score, arrays = summary["score"], score_arrays(runs["score"])
    contents = {
        "title": f"{score['world']}, a checkpoint scored",
        "pictures": [pictures.pixels_uri(pixels) for pixels in arrays["pictures"]],
        "again": ["score"],
    }
    return contents, {
        "scored": plots.plot_scored(arrays["costs"], score["search"]["lowest"]),
        "cem": plots.plot_cem(runs["score"], "iteration"),
    }


def _headline(summary: Row) -> Row:
    difference = summary["evaluate"]["differences"]["random"]["mean"]
    failed = [check["name"] for check in summary["gate"] if not check["passed"]]
    return {"failed": failed, "closer": difference < 0, "px": abs(difference)}


def _safe(figures: Mapping[str, str]) -> dict[str, Markup]:
    # Safe: made by matplotlib, which escapes the words it writes.
    return {name: Markup(text) for name, text in figures.items()}


def _result_figures(runs: Runs, summary: Row) -> dict[str, str]:
    errors = {m: np.array(list(runs["evaluate"].scalars(f"evaluate/{m}/final_error_px").values())) for m in METHODS}
    methods = summary["evaluate"]["methods"]
    wanted = runs["gate"].spec.config
    bounds = {m: wanted[f"lewm_minus_{m}_px"] for m in METHODS if f"lewm_minus_{m}_px" in wanted}
    rates, ends = ({m: values[name] for m, values in methods.items()} for name in ("success_rate", "final_error_px"))
    return {
        "success": plots.plot_estimates(rates, "success", "Goal reached, % of starts", scale=100.0),
        "error": plots.plot_estimates(ends, "error", "Final error, px"),
        "differences": plots.plot_estimates(
            summary["evaluate"]["differences"], "differences", "LeWM minus baseline, px", bounds=bounds, height=3.1
        ),
        "pairs": plots.plot_pairs(errors),
        "shares": plots.plot_shares(errors),
    }


def _episode_figures(showcase: FinishedRun, summary: Row, decisions: list[dict[str, NDArray[Any]]]) -> dict[str, str]:
    predicted, reached = (
        np.concatenate([arrays[f"{name}_latents"] for arrays in decisions]).astype(np.float64)
        for name in ("predicted", "reached")
    )
    goal = decisions[0]["goal_latent"].astype(np.float64)
    found = {
        "progress": plots.plot_progress(
            showcase.scalars("showcase/error_px"), [row["step"] for row in summary["showcase"]["decisions"]]
        ),
        "costs": plots.plot_costs(decisions),
        "cem": plots.plot_cem(showcase),
    }
    if len(reached):  # at least one block was executed whole
        found |= {
            "projection": plots.plot_projection(predicted, reached, goal),
            "distances": plots.plot_distances(predicted, reached, goal),
        }
    return found


def _measured_figures(runs: Runs, measured: Row) -> dict[str, str]:
    repeated = [row for row in measured["latencies"] if row["warm"]]
    found = {"latencies": plots_measured.plot_latencies(repeated)}
    if (training := training_run(runs)) is not None:
        found |= plots_measured.training_figures(training_series(training))
    if "probing" in runs:
        found["probing"] = plots_measured.plot_probing(runs["probing"])
    if "surprise" in runs:
        found["surprise"] = plots_measured.plot_surprise(runs["surprise"])
    return found


def _landscapes(showcase: FinishedRun, decisions: list[dict[str, NDArray[Any]]]) -> list[Markup]:
    """Returns a map a decision; none in a world whose actions have other than two numbers."""
    if decisions[0]["candidate_actions"].shape[-1] != 2:
        return []
    found = [showcase.arrays(path) for path in paths(showcase, "arrays", "showcase/landscape").values()]
    return [
        Markup(plots.plot_landscape(number, landscape, executed_actions(arrays)))
        for number, (landscape, arrays) in enumerate(zip(found, decisions, strict=True))
    ]


def _scene(decisions: list[dict[str, NDArray[Any]]], geometry: Mapping[str, NDArray[Any]]) -> Row:
    width, height = geometry["space"].tolist()
    return {
        "width": width,
        "height": height,
        "has_block": "block_outline" in geometry,
        "background": scene.background(geometry),
        "plans": [scene.plans(arrays) for arrays in decisions],
        "bodies": [scene.bodies(arrays, geometry) for arrays in decisions],
        "agents": scene.agents(decisions),
    }


def _images(showcase: FinishedRun) -> Row:
    frames = {step: showcase.path / path for step, path in paths(showcase, "image", "showcase/frame").items()}
    steps = np.unique(np.linspace(0, max(frames), min(FILM_FRAMES, len(frames))).round().astype(int)).tolist()
    observation, goal = (paths(showcase, "image", f"showcase/{name}")[0] for name in ("observation", "goal"))
    return {
        "strip": [{"step": step, "uri": pictures.picture_uri(frames[step])} for step in steps],
        "goal": pictures.picture_uri(showcase.path / goal),
        "observation": pictures.picture_uri(showcase.path / observation),
        "film": pictures.film(list(frames.values())),
    }


def _screenshots(runs: Runs) -> list[Row]:
    """Returns a row per probe: its screenshot and what drew it, or why there is none."""
    rows: list[Row] = []
    for role, run in runs.items():
        picture, note = (run.path / "views" / f"screenshot.{kind}" for kind in ("png", "json"))
        if role.startswith("probe_") and picture.exists():
            uri, drawn_by = pictures.screenshot_uri(picture)
            rows.append({"name": role.removeprefix("probe_"), "uri": uri, "drawn_by": drawn_by})
        elif role.startswith("probe_") and note.exists():
            rows.append({"name": role.removeprefix("probe_"), "uri": None, **json.loads(note.read_bytes())})
    return rows


def _looks(runs: Runs) -> list[tuple[str, str]]:
    """Returns a command for each viewer, for the bundle's folder, and what it does."""
    rendered = {
        role: f"bag/data/runs/{run.spec.inputs['render']}/views"
        for role, run in runs.items()
        if "render" in run.spec.inputs
    }
    commands = {
        "probe_tensorboard": "tensorboard --host 127.0.0.1 --samples_per_plugin images=1000 --logdir {}",
        "probe_rerun": "rerun {}/results/*.rrd",
    }
    return [
        (command.format(rendered[role]), f"open {_VIEWERS[role.removeprefix('probe_')]}")
        for role, command in commands.items()
        if role in rendered
    ]


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)


def _px(value: float) -> str:
    return f"{_number(value, 0)}\N{NO-BREAK SPACE}px"


def _number(value: float | None, digits: int = 1) -> str:
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    text = text.removeprefix("-") if not float(text.replace(",", "")) else text
    return text.replace("-", "−")


def _percent(value: float) -> str:
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _size(count: float | None) -> str:
    if count is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} B"
