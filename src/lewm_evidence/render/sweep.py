"""The page about a sweep: one row for each checkpoint and task, means over seeds with their intervals.

A seed chooses starts, goals and the planner's draws, so an interval over seeds says how far another choice of them
would move the mean. It is Student's: with the few seeds of a sweep, resampling them would make it too narrow.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from lewm_evidence.errors import StageError
from lewm_evidence.intervals import t_half_width
from lewm_evidence.records import FinishedRun
from lewm_evidence.render import page_style
from lewm_evidence.render.sweep_page import PAGE, STYLE

METHODS = ("lewm", "random", "noop")
# The largest value possible.
LARGEST = {"success_rate": 1.0, "final_error_px": math.inf}
METRICS = {"success_rate": "success_rate", "final_error_px": "mean_final_error_px"}

Row = dict[str, Any]
_LIMITS = ("mean", "low", "high")


def summarise(config: Mapping[str, Any], runs: Mapping[str, FinishedRun]) -> Row:
    """Returns what every member measured, and means over seeds with 95 % intervals.

    Args:
        config: `checkpoints`, `tasks` and `seeds` in the order wanted; `bundles`, a seal key for each member.
        runs: the `evaluate` run of each member by `<checkpoint>/<task>/<seed>`.

    Raises:
        StageError: when a run lacks a record that is needed.
    """
    cells = [
        _cell(checkpoint, task, [(seed, f"{checkpoint}/{task}/{seed}") for seed in config["seeds"]], config, runs)
        for task in config["tasks"]
        for checkpoint in config["checkpoints"]
    ]
    return {"schema_version": 1, "seeds": config["seeds"], "cells": cells}


def _cell(
    checkpoint: str,
    task: str,
    members: Sequence[tuple[int, str]],
    config: Mapping[str, Any],
    runs: Mapping[str, FinishedRun],
) -> Row:
    rows: list[Row] = []
    for seed, name in members:
        run = runs[name]
        rows.append({"seed": seed, "run": run.name, "bundle": config["bundles"][name], **_measured(run)})
    over_seeds = {
        method: {metric: _over([row[method][metric] for row in rows], LARGEST[metric]) for metric in METRICS}
        for method in METHODS
    }
    return {"checkpoint": checkpoint, "task": task, "members": rows, "over_seeds": over_seeds}


def _measured(run: FinishedRun) -> Row:
    # One pass over the records: a sweep has thousands of runs.
    last = {record.tag: record.value for record in run.records("scalar") if record.kind == "scalar"}
    try:
        return {
            method: {metric: last[f"evaluate/{method}/{tag}"] for metric, tag in METRICS.items()} for method in METHODS
        }
    except KeyError as error:
        raise StageError(f"{run.path} holds no scalar {error}; was it made by another version?") from error


def _over(values: Sequence[float], largest: float) -> Row:
    """Returns mean and limits of the 95 % interval, cut to 0..`largest`; one value has no interval."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(t_half_width(np.asarray(values, dtype=np.float64)))
    return {"mean": mean, "low": max(mean - half, 0.0), "high": min(mean + half, largest)}


def table(summary: Row) -> str:
    """Returns one line a member as CSV, for a spreadsheet or a data frame."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [(method, metric) for method in METHODS for metric in METRICS]
    writer.writerow(
        ["checkpoint", "task", "seed", *(f"{method}_{metric}" for method, metric in columns), "run", "bundle"]
    )
    for cell in summary["cells"]:
        for row in cell["members"]:
            values = [row[method][metric] for method, metric in columns]
            writer.writerow([cell["checkpoint"], cell["task"], row["seed"], *values, row["run"], row["bundle"]])
    return text.getvalue()


def render_page(summary: Row) -> str:
    """Returns the page: one HTML document with links to `runs/` and `evidence/` around it, no script, no network."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(estimate=_estimate, place=_place)
    largest = max(
        row[method]["final_error_px"] for cell in summary["cells"] for row in cell["members"] for method in METHODS
    )
    scales = {"success_rate": 1.0, "final_error_px": largest or 1.0}
    tasks = {
        task: [cell for cell in summary["cells"] if cell["task"] == task]
        for task in dict.fromkeys(cell["task"] for cell in summary["cells"])
    }
    return environment.from_string(PAGE).render(
        tasks=tasks,
        seeds=summary["seeds"],
        scales=scales,
        members=sum(len(cell["members"]) for cell in summary["cells"]),
        style=Markup(page_style.STYLE + STYLE),
        policy=page_style.CONTENT_POLICY,
    )


def _estimate(value: Mapping[str, float | None], scale: float = 1.0) -> str:
    mean, low, high = ("" if value[key] is None else f"{scale * float(value[key] or 0):.0f}" for key in _LIMITS)
    return (f"{mean} ({low} to {high})" if low else mean).replace("-", "−")


def _place(value: float | None, scale: float) -> float:
    """Returns where a value lies on a plot of 100 units, kept inside it."""
    return round(100 * min(max((value or 0.0) / scale, 0.0), 1.0), 1)
