"""The numbers of the report: results as `summary.json` holds them, and apart what was measured on the machine.

Runs come by role: `checkpoint`, `showcase`, `evaluate`, `gate`, the probes (`probe_<viewer>`) and, where there are
such, `smoke_train`, `tables`, `probing` and `surprise`. Where no simulator is, `score` instead of what needs one.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun
from lewm_evidence.records.schema import Arrays, Image
from lewm_evidence.render import paper_tables

METHODS = ("lewm", "random", "noop")
_COST = ("cost", "cost of all samples of one CEM iteration")
LATENCIES = {
    "showcase": {
        "latency/encode": ("encode", "encode one picture"),
        "latency/cost": _COST,
        "latency/solve": ("plan", "whole plan, from two pictures"),
    },
    "score": {
        "latency/encode": ("encode", "encode two pictures"),
        "latency/cost": _COST,
        "latency/solve": ("plan", "whole plan, from two latents"),
    },
}

Runs = Mapping[str, FinishedRun]
Row = dict[str, Any]


def subject(runs: Runs) -> Literal["showcase", "score"]:
    """Returns the role of the run that the page is about."""
    return "showcase" if "showcase" in runs else "score"


def summarise(runs: Runs) -> Row:
    """Returns every result number that the page shows; no timing, so equal runs give an equal summary.

    Raises:
        StageError: when a run lacks a record that the page needs.
    """
    return {
        "schema_version": 1,
        "runs": {role: {"run": run.name, "result_digest": run.manifest.result_digest} for role, run in runs.items()},
        "checkpoint": _checkpoint(runs["checkpoint"]),
        **({"score": _score(runs)} if subject(runs) == "score" else _acted(runs)),
        "training": _training(runs),
        "paper": _paper(runs["tables"]) if "tables" in runs else None,
        "probes": {role.removeprefix("probe_"): _probe(runs[role]) for role in runs if role.startswith("probe_")},
    }


def _acted(runs: Runs) -> Row:
    return {
        "evaluate": _evaluate(runs["evaluate"]),
        "gate": [event.fields for event in runs["gate"].events("gate/check")],
        "showcase": _showcase(runs["showcase"]),
    }


def _score(runs: Runs) -> Row:
    run, checkpoint = runs["score"], runs["checkpoint"]
    arrays = score_arrays(run)
    costs = arrays["costs"].astype(np.float64)
    cheapest = run.scalars("score/cem/elite_cost_min").values()
    return {
        "world": checkpoint.spec.config.get("world"),
        "tensors": checkpoint.last("checkpoint/tensors"),
        "seed": run.spec.config.get("seed"),
        "path": _event(run, "score/planner")["path"],
        "latent_norms": list(run.scalars("score/latent_norm").values()),
        "candidates": len(costs),
        "horizon": arrays["candidates"].shape[1],
        "costs": {"lowest": costs.min(), "median": float(np.median(costs)), "highest": costs.max()},
        "search": {"iterations": len(cheapest), "lowest": min(cheapest)},
        "repeats": _event(run, "score/repeats"),
        "skipped": [event.fields for event in run.events("score/skipped")],
    }


def score_arrays(score: FinishedRun) -> dict[str, NDArray[Any]]:
    """Returns the arrays of the stage score: pictures, latents, candidates, costs, plan."""
    return score.arrays(paths(score, "arrays", "score/model")[0])


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
    counted = parameters[0] if parameters else next((e.fields["parameters"] for e in run.events("train/model")), None)
    return {"source": source, **origin, "files": files, **({"parameters": counted} if counted else {})}


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


def _training(runs: Runs) -> Row | None:
    """Returns the last measures of the checkpoint's own training, else of the smoke training beside it."""
    run = training_run(runs)
    if run is None:
        return None
    last = {tag: values[max(values)] for tag, values in training_series(run).items()}
    return {"own": run is runs["checkpoint"], "run": run.name, "model": _event(run, "train/model"), "last": last}


def training_run(runs: Runs) -> FinishedRun | None:
    """Returns the training whose curves are shown, if there is one."""
    return runs["checkpoint"] if runs["checkpoint"].spec.stage == "train" else runs.get("smoke_train")


def training_series(run: FinishedRun) -> dict[str, dict[int, float]]:
    """Returns what a training recorded by step, by tag without `train/`."""
    series: dict[str, dict[int, float]] = {}
    for record in run.records("scalar"):
        if record.kind == "scalar" and record.tag.startswith("train/"):
            series.setdefault(record.tag.removeprefix("train/"), {})[record.step] = record.value
    return series


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
    outcome = _event(run, "showcase/outcome")
    series = {
        name: run.scalars(f"showcase/{name}")
        for name in ("cost/best", "cost/mean", "cost/max", "latent_distance", "prediction_error", "error_px")
    }
    decisions, step = [], 0
    for event, arrays in zip(run.events("showcase/decision"), decision_arrays(run), strict=True):
        values = {name: found.get(event.step) for name, found in series.items() if name != "error_px"}
        executed = executed_actions(arrays)
        decisions.append({**event.fields, **values, "step": step, "mean_action": executed.mean(axis=0).tolist()})
        step += len(executed)
    errors = list(series["error_px"].values())
    return {"outcome": outcome, "decisions": decisions, "errors_px": errors, "seed": run.spec.config.get("seed")}


def decision_arrays(showcase: FinishedRun) -> list[dict[str, NDArray[Any]]]:
    """Returns the arrays of every decision."""
    return [showcase.arrays(path) for path in paths(showcase, "arrays", "showcase/decision").values()]


def executed_actions(decision: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Returns the actions (N, A) that were executed of a decision's winner."""
    actions = decision["candidate_actions"][int(decision["winner"])][: len(decision["states"]) - 1]
    return np.asarray(actions, dtype=np.float64)


def _probe(run: FinishedRun) -> Row:
    """Returns the last event that a probe recorded under its own name: its totals."""
    viewer = run.spec.stage.removeprefix("probe_")
    events = run.events(f"probe/{viewer}")
    return dict(events[-1].fields) if events else {}


def measure(runs: Runs) -> Row:
    """Returns what the page says about the machine: latencies, wall times and memory, from timing alone."""
    about = subject(runs)
    timings = list(runs[about].timings())
    latencies = []
    for tag, (short, label) in LATENCIES[about].items():
        values = {timing.step: timing.value for timing in timings if timing.tag == tag}
        if not values:
            continue
        warm = [value for step, value in values.items() if step > 0]
        p50, p95, slowest = np.percentile(warm, [50, 95, 100]).tolist() if warm else (None, None, None)
        row = {"short": short, "label": label, "cold": values.get(0), "warm": warm}
        latencies.append({**row, "p50": p50, "p95": p95, "slowest": slowest})
    stages = []
    for role, run in runs.items():
        found = {timing.tag: timing.value for timing in run.timings() if timing.tag.startswith("stage/")}
        stages.append({"role": role, "wall": found.get("stage/wall_time"), "peak": found.get("stage/peak_memory")})
    return {"latencies": latencies, "stages": stages}


def paths(run: FinishedRun, kind: str, tag: str) -> dict[int, str]:
    """Returns where the pictures or arrays of one tag are, by step; raises `StageError` when there are none."""
    records: Iterable[Any] = run.records(kind)
    found = {r.step: r.path for r in records if isinstance(r, Image | Arrays) and r.tag == tag}
    if not found:
        raise StageError(f"{run.path} holds no {kind} {tag!r}; was it made by another version?")
    return found
