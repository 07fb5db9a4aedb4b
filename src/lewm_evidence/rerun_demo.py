"""A small recording of everything the Rerun bridge writes: an own world, an own plan, an own benchmark."""

import statistics
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.checkpoint.embedded import ROOT
from lewm_evidence.errors import InputError
from lewm_evidence.events import EventStream, ProviderEvent
from lewm_evidence.planning import CEM, Plan
from lewm_evidence.rerun import RerunArtifactLogger, RerunEventSink, RerunSession

PROVIDER = "lewm-evidence"
_SEED = 7
T = TypeVar("T")


def record(session: RerunSession, iterations: int = 3) -> dict[str, Any]:
    """Plans once in PushT with the embedded checkpoint, carries the plan out, and times the planner.

    Args:
        session: takes the recording; stays open.
        iterations: repeats of what is timed.

    Returns:
        What was recorded, as JSON holds it.

    Raises:
        InputError: when there are no iterations.
    """
    if iterations < 1:
        raise InputError(f"iterations must be at least 1, got {iterations}")
    stream = EventStream([RerunEventSink(session)])
    artifacts = RerunArtifactLogger(session)
    model = load_checkpoint(ROOT / "pusht")
    planner = CEM(model, num_samples=32, iterations=3, elites=8, horizon=2)
    size = model.config.image_size
    world = worlds.make("pusht")
    start = world.reset(_SEED)
    goal = world.draw(worlds.scripted_episode(worlds.make("pusht"), _SEED, 10).states[-1], size)
    world.set_state(start)

    def solve() -> Plan:
        return planner.solve(world.draw(start, size), goal, torch.Generator().manual_seed(_SEED))

    artifacts.log_world(world, label="start", step=0)
    plan, duration = _timed(solve)
    stream(ProviderEvent(PROVIDER, "plan", "success", duration_ms=duration, metadata={"planner": "cem"}))
    normalization = model.normalization
    actions = normalization.denormalize(normalization.from_blocks(plan.actions.numpy()))
    path = _carry_out(world, actions, stream, artifacts)
    artifacts.log_plan(plan, label="towards the goal", targets=path)
    times = [_timed(solve)[1] for _ in range(iterations)]
    report = {"results": [_result("plan", times)]}
    artifacts.log_benchmark_report(report)
    return {
        "world": world.name,
        "plan": {"provider": PROVIDER, "planner": "cem", "action_count": len(plan.actions), "cost": plan.cost},
        "events": len(stream.events),
        "benchmark": report,
    }


def _carry_out(
    world: worlds.World, actions: NDArray[np.float32], stream: EventStream, artifacts: RerunArtifactLogger
) -> NDArray[np.float64]:
    """Returns where the agent was after each step, (N, 2)."""
    places = []
    for step, action in enumerate(actions, 1):
        state, duration = _timed(lambda action=action: world.step(action))  # type: ignore[misc]
        stream(ProviderEvent(world.name, "step", "success", duration_ms=duration, metadata={"step": step}))
        artifacts.log_world(world, step=step)
        places.append(state[:2])
    return np.array(places)


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return action(), (time.perf_counter() - start) * 1000


def _result(operation: str, times: list[float]) -> dict[str, Any]:
    return {
        "provider": PROVIDER,
        "operation": operation,
        "iterations": len(times),
        "success_count": len(times),
        "error_count": 0,
        "retry_count": 0,
        "average_latency_ms": statistics.fmean(times),
        "p50_latency_ms": float(np.percentile(times, 50)),
        "p95_latency_ms": float(np.percentile(times, 95)),
        "throughput_per_second": 1000 / statistics.fmean(times),
    }
