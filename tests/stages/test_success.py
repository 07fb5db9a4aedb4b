"""Playing the chosen starts: with the model, with an untrained one, and without any."""

from pathlib import Path

import numpy as np
import pytest
import torch

import stage_runs
import tiny
from lewm_evidence import worlds
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.records import FinishedRun
from lewm_evidence.stages import baselines, starts, success
from lewm_evidence.stages.baselines import FRAMESKIP, Simulator
from lewm_evidence.stages.rollout import untrained_like

N = 6
STARTS = {"episodes": N, "pool": 10, "pool_steps": 40}
ORACLE = {"num_samples": 24, "iterations": 3, "elites": 6}


def chosen(runs: Path, world: str = "tworoom") -> FinishedRun:
    """Returns starts of `world`."""
    config = {"world": world, "seed": 31415, "starts": STARTS}
    return stage_runs.run_stage(runs, "starts", starts.run, config)


def play_baselines(runs: Path) -> FinishedRun:
    """Returns the baselines on those starts."""
    config = {"world": "tworoom", "seed": 31415, "oracle": ORACLE}
    return stage_runs.run_stage(runs, "baselines", baselines.run, config, starts=chosen(runs))


def play_models(runs: Path) -> FinishedRun:
    """Returns the models' outcomes on those starts."""
    inputs = {"checkpoint": stage_runs.checkpoint(runs, "tworoom"), "starts": chosen(runs)}
    return stage_runs.run_stage(runs, "success", success.run, {"seed": 1, "planner": stage_runs.PLANNER}, **inputs)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Finished baselines."""
    return play_baselines(tmp_path_factory.mktemp("runs"))


def share(run: FinishedRun, method: str) -> float:
    """Returns the share of starts that `method` reaches."""
    return float(np.mean(list(run.scalars(f"baselines/{method}/reached").values())))


def test_recorded_actions_reach_every_goal(played: FinishedRun) -> None:
    """TwoRoom moves by exact arithmetic, so repeating what was recorded ends where it ended."""
    assert share(played, "replay") == 1.0
    assert max(played.scalars("baselines/replay/env_steps").values()) <= 25


def test_the_oracle_knows_more_than_chance(played: FinishedRun) -> None:
    """Planning with the true dynamics reaches most goals, random actions few."""
    assert share(played, "oracle") >= 0.8
    assert share(played, "oracle") > max(share(played, "random"), share(played, "noop"))


def test_every_start_is_played_by_every_method(played: FinishedRun, tmp_path: Path) -> None:
    """Outcome, error and steps for each; a start that was not reached took the whole budget."""
    models = play_models(tmp_path)
    for run, stage, methods in (
        (played, "baselines", ("noop", "random", "replay", "oracle")),
        (models, "success", ("lewm", "untrained")),
    ):
        for method in methods:
            reached, errors, steps = (
                run.scalars(f"{stage}/{method}/{name}") for name in ("reached", "final_error_px", "env_steps")
            )
            assert list(reached) == list(errors) == list(steps) == list(range(N))
            assert all(steps[number] == 50 for number in reached if not reached[number])
            assert all(errors[number] < 16 for number in reached if reached[number])
    solves = [timing for timing in models.timings() if timing.tag == "success/solve"]
    assert [timing.step for timing in solves] == list(range(len(solves)))


def test_both_repeat(played: FinishedRun, tmp_path: Path) -> None:
    """Elsewhere the same settings give the same result."""
    assert play_baselines(tmp_path / "a").manifest.result_digest == played.manifest.result_digest
    first, again = (play_models(tmp_path / name).manifest.result_digest for name in "bc")
    assert first == again


def test_an_untrained_model_is_seeded_and_alike(tmp_path: Path) -> None:
    """Same architecture, other weights, equal for equal seeds; the global random stream is left alone."""
    model = load_checkpoint(tiny.tiny_checkpoint(tmp_path))
    torch.manual_seed(3)
    a, b, c = untrained_like(model, 0), untrained_like(model, 0), untrained_like(model, 1)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    pictures = worlds.make("pusht").render(64)[None]
    assert torch.equal(a.encode(pictures), b.encode(pictures))
    assert not torch.equal(a.encode(pictures), c.encode(pictures))
    assert a.config == model.config and not a.training


def test_the_simulator_costs_what_happens() -> None:
    """A plan that leads to the goal costs nothing, staying still the distance."""
    world = worlds.make("tworoom")
    simulator = Simulator(world, np.zeros(2), np.full(2, 0.5))
    start, goal = torch.tensor([30.0, 150.0]).double(), torch.tensor([80.0, 150.0]).double()
    blocks = torch.zeros(2, 3, FRAMESKIP * 2)
    blocks[1, :, 0::2] = 2.0  # full speed to the right, time-major
    assert simulator.cost_from_latents(start, goal, blocks).tolist() == [50.0, 0.0]
    assert np.all(simulator.actions(blocks)[1] == [1.0, 0.0])
