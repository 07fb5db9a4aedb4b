"""The showcase as the summary that WorldForge's robotics showcase writes, for tools that read that.

Scores and targets are those of the first decision. Places are shares of the table, as in WorldForge's unit world.
`lewm-evidence render --summary` reads it, and so do both bridges (`log_robotics_showcase_summary`).
"""

import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.errors import StageError
from lewm_evidence.events import EventStream, ProviderEvent
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Arrays, Text

PROVIDER = "lewm-evidence"


def showcase_summary(runs: Mapping[str, FinishedRun]) -> dict[str, Any]:
    """Returns the summary of a showcase that the pipeline made, with the views it rendered.

    Args:
        runs: by role: `showcase`, `checkpoint`, and the probes of both viewers.

    Raises:
        StageError: when the showcase lacks a record that the summary needs.
    """
    blocks = {"rerun": _rerun(runs["probe_rerun"]), "tensorboard": _tensorboard(runs["probe_tensorboard"])}
    return summarise_showcase(runs["showcase"], runs["checkpoint"], "runs") | blocks


def summarise_showcase(showcase: FinishedRun, checkpoint: FinishedRun, folder: str) -> dict[str, Any]:
    """Returns the summary as JSON holds it, without what views there are of it.

    Args:
        showcase: the finished episode.
        checkpoint: the run that made or fetched its checkpoint.
        folder: what to call the folder of all runs.

    Raises:
        StageError: when the showcase lacks a record that the summary needs.
    """
    geometry, decisions = _arrays(showcase, "showcase/geometry")[0], _arrays(showcase, "showcase/decision")
    first = decisions[0]
    outcome = showcase.events("showcase/outcome")[-1].fields
    scores = first["candidate_costs"].tolist()
    solve = [1000 * timing.value for timing in showcase.timings() if timing.tag == "decision/solve"]
    wall = [1000 * timing.value for timing in showcase.timings() if timing.tag == "stage/wall_time"]
    task = next((r.text for r in showcase.records("text") if isinstance(r, Text) and r.tag == "showcase/task"), "")
    return {
        "mode": "lewm_cem_in_simulator",
        "task": task,
        "checkpoint": f"{folder}/{checkpoint.name}/checkpoint",
        "checkpoint_display": str(checkpoint.spec.config.get("name") or checkpoint.name),
        "state_dir": f"{folder}/{showcase.name}",
        "inputs": {**showcase.spec.config, "score_action_candidates_shape": list(first["candidate_actions"].shape)},
        "plan": _plan(first, geometry, min(scores)),
        "score_result": {
            **{"scores": scores, "best_index": int(first["winner"]), "best_score": min(scores)},
            "lower_is_better": True,
        },
        "score_stats": _statistics(scores),
        "execution": {**outcome, "final_block_position": _final(showcase, geometry)},
        "worlds": [
            _world("start", 0, first["states"][0], geometry),
            _world("end", int(outcome["env_steps"] or 0), decisions[-1]["states"][-1], geometry),
        ],
        "provider_events": [event.to_dict() for event in _events(showcase, solve)],
        "visualization": _targets(first, geometry),
        "metrics": {"plan_latency_ms": statistics.median(solve), "total_latency_ms": wall[-1]},
    }


def _arrays(run: FinishedRun, tag: str) -> list[dict[str, NDArray[Any]]]:
    found = [r.path for r in run.records("arrays") if isinstance(r, Arrays) and r.tag == tag]
    if not found:
        raise StageError(f"{run.path} holds no arrays {tag!r}; is it a finished showcase?")
    return [run.arrays(path) for path in found]


def _plan(decision: Mapping[str, NDArray[Any]], geometry: Mapping[str, NDArray[Any]], cost: float) -> dict[str, Any]:
    """Returns the chosen actions by where each takes the agent."""
    path = decision["candidate_paths"][int(decision["winner"])][1:]
    actions = [{"type": "move_to", "parameters": {"target": _place(point, geometry)}} for point in path]
    return {"provider": PROVIDER, "planner": "cem", "action_count": len(path), "cost": cost, "actions": actions}


def _world(label: str, step: int, state: NDArray[Any], geometry: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Returns a snapshot of the tabletop: the agent, and block and goal as boxes around their outlines."""
    objects = {"agent": _object(state[None, :2], geometry)}
    if "block_outline" in geometry:
        for name, pose in (("block", state), ("goal", geometry["goal_state"])):
            c, s = np.cos(pose[4]), np.sin(pose[4])
            outline = geometry["block_outline"] @ np.array([[c, s], [-s, c]]) + pose[2:4]
            objects[name] = _object(outline, geometry, pose[2:4])
    else:
        objects["goal"] = _object(geometry["goal_state"][None, :2], geometry)
    scene = {"objects": {name: {"id": name, "name": name, **held} for name, held in objects.items()}}
    return {"id": "tabletop", "provider": PROVIDER, "label": label, "step": step, "scene": scene}


def _object(
    outline: NDArray[Any], geometry: Mapping[str, NDArray[Any]], place: NDArray[Any] | None = None
) -> dict[str, Any]:
    box = {"min": _place(outline.min(axis=0), geometry), "max": _place(outline.max(axis=0), geometry)}
    return {"pose": {"position": _place(outline[0] if place is None else place, geometry)}, "bbox": box}


def _statistics(scores: list[float]) -> dict[str, float]:
    best, second = sorted(scores)[:2]
    return {
        **{"score_min": best, "score_max": max(scores), "score_mean": statistics.fmean(scores)},
        **{"score_median": statistics.median(scores), "score_range": max(scores) - best},
        **{"runner_up_index": scores.index(second), "runner_up_score": second, "gap_to_runner_up": second - best},
    }


def _place(point: NDArray[Any], geometry: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    x, y = (point / geometry["space"]).tolist()
    return {"x": x, "y": y, "z": 0.0}


def _moved(state: NDArray[Any], geometry: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Returns where the block is, or the agent where there is no block."""
    return state[2:4] if "block_outline" in geometry else state[:2]


def _final(run: FinishedRun, geometry: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    name = "block" if "block_outline" in geometry else "agent"
    return _place(np.array([run.last(f"showcase/{name}_{axis}") for axis in "xy"]), geometry)


def _targets(decision: Mapping[str, NDArray[Any]], geometry: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    ends = decision["candidate_paths"][:, -1]
    return {
        "start": _place(_moved(geometry["start_state"], geometry), geometry),
        "goal": _place(_moved(geometry["goal_state"], geometry), geometry),
        "candidate_targets": [{"index": number, **_place(end, geometry)} for number, end in enumerate(ends)],
        "selected_candidate": int(decision["winner"]),
    }


def _events(run: FinishedRun, solve: list[float]) -> tuple[ProviderEvent, ...]:
    """Returns what happened at each decision, numbered as one stream."""
    stream = EventStream()
    for event, duration in zip(run.events("showcase/decision"), solve, strict=True):
        told = {"decision": event.step, "source": event.fields["winner_source"], "cost": event.fields["winner_cost"]}
        stream(ProviderEvent(PROVIDER, "plan", "success", duration_ms=duration, metadata=told))
        done = {"decision": event.step, "steps": event.fields["executed_steps"]}
        stream(ProviderEvent("simulator", "execute", "success", metadata=done))
    return stream.events


def _tensorboard(probe: FinishedRun) -> dict[str, Any] | None:
    rendered = probe.spec.inputs.get("render")
    named = {"log_dir": f"runs/{rendered}/views", "run_name": "results/showcase"}
    # Written whole from finished records: there is no interval.
    return {**named, "flush_secs": None, "events_written": True} if rendered else None


def _rerun(probe: FinishedRun) -> dict[str, Any] | None:
    runs = probe.path.parents[1]
    paths = sorted((runs / probe.spec.inputs.get("render", "")).glob("views/**/showcase.rrd"))
    if not paths:
        return None
    where = {
        "save_path": f"runs/{paths[0].relative_to(runs).as_posix()}",
        "recording_size_bytes": paths[0].stat().st_size,
    }
    return {**where, "spawn": False, "connect_url": None, "server_uri": None}
