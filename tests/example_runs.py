"""Small finished runs with the tags and shapes of the real ones, for tests of what reads records.

The motion is made up: a pusher walks to a block and shoves it onto the goal, 3 decisions of 4 steps.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from safetensors.numpy import save_file

from lewm_evidence.records import FinishedRun, Run, Spec

DECISIONS, EXECUTED, FRAMESKIP, HORIZON = 3, 2, 2, 5
STEPS_PER_DECISION = EXECUTED * FRAMESKIP
ENV_STEPS = DECISIONS * STEPS_PER_DECISION
ITERATIONS, ELITES, PER_SOURCE, LATENT = 4, 5, 4, 8
EPISODES = 6
LIBRARY = 13
TEE = np.array([[-60, 0], [60, 0], [60, 30], [15, 30], [15, 120], [-15, 120], [-15, 30], [-60, 30]], dtype=np.float64)
SIZE = 224
METHODS = {"lewm": 60.0, "random": 190.0, "noop": 170.0}


def open_run(runs: Path, stage: str = "train", config: dict[str, Any] | None = None, **inputs: str) -> Run:
    """Returns a run of `stage` that records nothing yet."""
    packages = {"numpy": "2.4.0"}
    spec = Spec(
        stage=stage, config=config or {}, code="0" * 64, packages=packages, device=None, precision=None, inputs=inputs
    )
    return Run(runs, spec)


def finished(
    runs: Path, stage: str, write: Any = None, config: dict[str, Any] | None = None, **inputs: str
) -> FinishedRun:
    """Returns a finished run of `stage` whose records are what `write(run)` records."""
    run = open_run(runs, stage, config, **inputs)
    if write is not None:
        try:
            write(run)
        except BaseException:
            run.close()
            raise
    run.timing("stage/wall_time", 1.5)
    run.timing("stage/peak_memory", 200_000_000, unit="bytes")
    run.finish({"python": "3.11", "packages": {"numpy": "2.4.0"}})
    return FinishedRun(run.path)


def build(runs: Path) -> dict[str, FinishedRun]:
    """Returns finished `fetch`, `showcase` and `evaluate` runs below `runs`, by stage name."""
    fetch = finished(runs, "fetch", write_fetch, {"source": "embedded", "name": "pusht"})
    showcase = finished(runs, "showcase", write_showcase, {"seed": 11}, checkpoint=fetch.name)
    evaluate = finished(runs, "evaluate", write_evaluate, {"seed": 1042}, checkpoint=fetch.name)
    return {"fetch": fetch, "showcase": showcase, "evaluate": evaluate}


def write_fetch(run: Run) -> None:
    """Writes a checkpoint folder that looks like one, and what fetch says about it."""
    folder = run.path / "checkpoint"
    folder.mkdir()
    contents = {
        "config.json": {"image_size": 64, "dim": LATENT, "history": 3, "action_block_dim": 2 * FRAMESKIP},
        "normalization.json": {"action_mean": [0.0, 0.0], "action_std": [0.5, 0.5], "frameskip": FRAMESKIP},
        "provenance.json": {"source": "embedded", "name": "pusht"},
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, indent=1, sort_keys=True))
    weights = {"encoder.stages.0.weight": np.zeros((4, 3), np.float32), "predictor.pos_embedding": np.ones(8)}
    save_file(weights, folder / "model.safetensors")
    run.scalar("checkpoint/parameters", 1_234_567)
    run.text("checkpoint/summary", "| field | value |\n|---|---|\n| source | embedded `pusht` |\n| dim | 8 |")


def state_at(step: float) -> NDArray[np.float64]:
    """Returns the made-up state (7,) at an environment step: agent xy, block xy, angle, agent velocity."""
    share = np.clip(step / ENV_STEPS, 0, 1)
    push = np.clip((share - 0.25) / 0.75, 0, 1)
    block = np.array([180.0, 330.0]) + push * np.array([80.0, -75.0])
    angle = -0.4 + push * (np.pi / 4 + 0.4)
    agent = np.array([80.0, 440.0]) + min(share / 0.25, 1) * np.array([60.0, -65.0]) + push * np.array([75.0, -70.0])
    return np.concatenate([agent, block, [angle], [0.0, 0.0]])


def picture(state: NDArray[np.float64], goal: NDArray[np.float64] | None = None, size: int = SIZE) -> NDArray[np.uint8]:
    """Returns a drawing uint8 (size, size, 3) of a state, roughly in the simulator's colours."""
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    for shown, colour in ((goal, (144, 238, 144)), (state, (119, 136, 153))):
        if shown is not None:
            draw.polygon([tuple(p) for p in _placed(shown) * size / 512], fill=colour)
    x, y = state[:2] * size / 512
    radius = 15 * size / 512
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(65, 105, 225))
    return np.asarray(image)


def _placed(state: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(state[4]), np.sin(state[4])
    return TEE @ np.array([[c, s], [-s, c]]) + state[2:4]


def write_showcase(run: Run) -> None:
    """Writes every tag of the showcase stage."""
    random = np.random.default_rng(5)
    start, goal = state_at(0), state_at(ENV_STEPS)
    run.text("showcase/task", "Push the grey tee onto the green one: **25 steps** away on a scripted push.")
    run.text("showcase/checkpoint", "Embedded `pusht`, 1.2 M parameters.")
    run.image("showcase/goal", picture(goal))
    geometry = {
        "goal_state": goal,
        "start_state": start,
        "block_outline": TEE,
        "space": np.array([512.0, 512.0]),
    }
    run.arrays("showcase/geometry", geometry)
    _write_latents(run, goal, random)
    _write_step(run, 0, goal)
    for decision in range(DECISIONS):
        _write_decision(run, decision, goal, random)
        for step in range(decision * STEPS_PER_DECISION, (decision + 1) * STEPS_PER_DECISION):
            _write_step(run, step + 1, goal)
    final = _error(state_at(ENV_STEPS), goal)
    outcome = {"success": True, "env_steps": ENV_STEPS, "final_error_px": final, "decisions": DECISIONS}
    run.event("showcase/outcome", start_error_px=_error(start, goal), **outcome)
    for tag, cold, warm in (("encode", 0.02, 0.004), ("cost", 0.05, 0.01), ("solve", 0.4, 0.2)):
        for repeat in range(6):
            run.timing(f"latency/{tag}", cold if repeat == 0 else warm * (1 + 0.05 * repeat), repeat)


def _write_latents(run: Run, goal: NDArray[np.float64], random: np.random.Generator) -> None:
    steps = np.arange(LIBRARY) % (ENV_STEPS + 1)
    states = np.stack([state_at(step) for step in steps])
    latents = random.normal(size=(LIBRARY, LATENT)).astype(np.float32)
    run.arrays("showcase/latents", {"latents": latents, "states": states, "path": steps // 5, "step": steps})
    grid = np.full((4, 16, 4, 16, 3), 255, np.uint8)
    for number, state in enumerate(states):
        grid[number // 4, :, number % 4] = picture(state, goal, 16)
    run.image("showcase/pictures", grid.reshape(64, 64, 3))


def _error(state: NDArray[np.float64], goal: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(state[:4] - goal[:4]))


def _write_step(run: Run, step: int, goal: NDArray[np.float64]) -> None:
    state = state_at(step)
    names = ("agent_x", "agent_y", "block_x", "block_y", "block_angle")
    for name, value in zip(names, state[:5], strict=True):
        run.scalar(f"showcase/{name}", value, step)
    run.scalar("showcase/error_px", _error(state, goal), step)
    run.image("showcase/frame", picture(state, goal), step)


def _write_decision(run: Run, d: int, goal: NDArray[np.float64], random: np.random.Generator) -> None:
    first = d * STEPS_PER_DECISION
    run.image("showcase/observation", picture(state_at(first), goal), d)
    arrays = _candidates(first, random) | _latents(d, random)
    costs = arrays["candidate_costs"]
    for i, row in enumerate(arrays["elite_costs"]):
        run.scalar("showcase/cem/elite_cost_mean", row.mean(), d * ITERATIONS + i)
        run.scalar("showcase/cem/elite_cost_min", row.min(), d * ITERATIONS + i)
        run.histogram("showcase/cem/costs", np.concatenate([row, row + 2]), d * ITERATIONS + i)
        run.histogram("showcase/cem/elite_costs", row, d * ITERATIONS + i)
    run.scalar("showcase/cost/best", costs.min(), d)
    run.scalar("showcase/cost/mean", costs.mean(), d)
    run.scalar("showcase/cost/max", costs.max(), d)
    run.histogram("showcase/cost/candidates", costs, d)
    run.scalar("showcase/latent_distance", float(9.0 / (d + 1)), d)
    gap = arrays["predicted_latents"] - arrays["reached_latents"]
    run.scalar("showcase/prediction_error", float((gap[-1] ** 2).sum()), d)
    run.image("showcase/retrieved", picture(state_at(first + EXECUTED), goal), d)
    arrays["states"] = np.stack([state_at(first + n) for n in range(STEPS_PER_DECISION + 1)])
    run.arrays("showcase/decision", arrays, d)
    axis = np.linspace(-1, 1, 21, dtype=np.float32)
    bowl = (axis[None] - 0.3) ** 2 + (axis[:, None] + 0.5) ** 2 + 0.1 * d
    run.arrays("showcase/landscape", {"axis": axis, "costs": bowl.astype(np.float64)}, d)
    winner = int(arrays["winner"])
    run.event(
        "showcase/decision",
        d,
        winner_source=("scripted", "perturbed", "random", "cem")[int(arrays["candidate_source"][winner])],
        winner_cost=float(costs[winner]),
        executed_steps=STEPS_PER_DECISION,
    )
    run.timing("decision/solve", 0.21 + 0.01 * d, d)


def _candidates(first: int, random: np.random.Generator) -> dict[str, NDArray[Any]]:
    length = HORIZON * FRAMESKIP + 1
    line = np.stack([state_at(first + n)[:2] for n in range(length)])
    source = np.repeat(np.arange(4), PER_SOURCE)
    spread = np.array([4.0, 14.0, 22.0, 1.0])[source]
    steps = random.normal(size=(4 * PER_SOURCE, length, 2)) * spread[:, None, None]
    steps[:, 0] = 0
    paths = line + np.cumsum(steps, axis=1) * 0.6
    costs = 1.0 + np.linalg.norm(paths[:, -1] - line[-1], axis=1) / 10
    narrowing = 6.0 / (1 + np.arange(ITERATIONS))
    bend = random.normal(size=(ITERATIONS, ELITES, length, 2)) * narrowing[:, None, None, None]
    bend[:, :, 0] = 0
    return {
        "candidate_actions": np.clip(np.diff(paths, axis=1) / 100, -1, 1).astype(np.float32),
        "candidate_costs": costs,
        "candidate_paths": paths,
        "candidate_source": source,
        "winner": np.array(costs.argmin()),
        "elite_paths": line + np.cumsum(bend, axis=2) * 0.5,
        "elite_costs": np.sort(1 + random.random((ITERATIONS, ELITES)) * narrowing[:, None], axis=1),
    }


def _latents(d: int, random: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    reached = random.normal(size=(EXECUTED, LATENT)).astype(np.float32)
    predicted = reached + 0.2 * random.normal(size=(EXECUTED, LATENT)).astype(np.float32)
    goal = np.linspace(-1, 1, LATENT, dtype=np.float32)
    return {"predicted_latents": predicted, "reached_latents": reached, "goal_latent": goal}


def write_evaluate(run: Run) -> None:
    """Writes every tag of the evaluate stage."""
    random = np.random.default_rng(7)
    run.event("evaluate/protocol", n=EPISODES, seed=1042, num_samples=200, iterations=8, elites=20, horizon=5)
    errors = {method: np.abs(random.normal(mean, 25, EPISODES)) for method, mean in METHODS.items()}
    for method, values in errors.items():
        for episode, value in enumerate(values):
            run.scalar(f"evaluate/{method}/final_error_px", value, episode)
            run.scalar(f"evaluate/{method}/success", float(value < 50), episode)
        _interval(run, f"evaluate/{method}/success_rate", float((values < 50).mean()), 0.1)
        _interval(run, f"evaluate/{method}/mean_final_error_px", float(values.mean()), 12.0)
    for baseline in ("random", "noop"):
        difference = float((errors["lewm"] - errors[baseline]).mean())
        _interval(run, f"evaluate/lewm_minus_{baseline}/final_error_px", difference, 15.0)
    for episode in range(EPISODES):
        run.timing("evaluate/solve", 0.2 + 0.01 * episode, episode)


def _interval(run: Run, tag: str, value: float, half: float) -> None:
    run.scalar(tag, value)
    run.scalar(f"{tag}_low", value - half)
    run.scalar(f"{tag}_high", value + half)


def write_train(run: Run) -> None:
    """Writes what training records at three moments."""
    random = np.random.default_rng(9)
    places, spread = random.random((20, 2)).astype(np.float32), random.normal(size=(20, LATENT)).astype(np.float32)
    run.event("train/model", parameters=1_234_567, train_episodes=90, held_out_episodes=10)
    for step in (1, 50, 100):
        for name in ("loss", "prediction_loss", "sigreg", "val_prediction", "val_copy", "val_shuffled"):
            run.scalar(f"train/{name}", 1 / step + len(name) / 100, step)
        for name, value in (("embedding_std", 0.9), ("probe_r2_min", 1 - 1 / step), ("probe_r2/agent_x", 0.9)):
            run.scalar(f"train/{name}", value, step)
        latents = np.concatenate([places * step, np.zeros((20, LATENT - 2), np.float32)], axis=1) + spread / step
        run.arrays("train/latents", {"latents": latents, "places": places}, step)
        run.timing("train/throughput", 100.0 + step, step, unit="1/s")
