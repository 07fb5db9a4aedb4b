"""A world without a block goes through every stage that knows something about worlds."""

from pathlib import Path

import numpy as np
import pytest

import stage_runs
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.render import rerun
from lewm_evidence.render.report.page import render_page
from lewm_evidence.stages import evaluate, showcase
from lewm_evidence.stages.rollout import episode_seeds, make_task
from lewm_evidence.worlds.tworoom import TwoRoom

OTHERS = ("gate", "probe_tensorboard", "probe_rerun")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FinishedRun]:
    """A finished checkpoint, showcase and evaluate run of TwoRoom. Read only."""
    folder = tmp_path_factory.mktemp("runs")
    checkpoint = stage_runs.checkpoint(folder, "tworoom")
    shown = stage_runs.run_stage(folder, "showcase", showcase.run, stage_runs.SHOWCASE, checkpoint=checkpoint)
    judged = stage_runs.run_stage(folder, "evaluate", evaluate.run, stage_runs.EVALUATE, checkpoint=checkpoint)
    return {"checkpoint": checkpoint, "showcase": shown, "evaluate": judged}


def test_the_showcase_records_what_the_world_has(runs: dict[str, FinishedRun]) -> None:
    """The agent's place and the walls; nothing about a block."""
    shown = runs["showcase"]
    geometry = shown.arrays("arrays/showcase/geometry/00000.safetensors")
    assert set(geometry) == {"goal_state", "start_state", "space", "walls"}
    assert shown.scalars("showcase/agent_x")[0] == geometry["start_state"][0]
    assert not shown.scalars("showcase/block_x")


def test_the_protocol_says_how_this_world_is_judged(runs: dict[str, FinishedRun]) -> None:
    """The words for error and success come from the world."""
    (event,) = runs["evaluate"].events("evaluate/protocol")
    assert event.fields["judged"] == TwoRoom.judged
    assert event.fields["world"] == "tworoom"


def test_the_recording_shows_walls_and_goal(runs: dict[str, FinishedRun]) -> None:
    """The table top has the agent, the walls and a round goal; no block."""
    found = {chunk.entity_path for chunk in rerun.chunks(runs["showcase"])}
    assert {"/tabletop/walls", "/tabletop/goal", "/tabletop/agent", "/tabletop/candidates"} <= found
    assert "/tabletop/block" not in found


def test_the_report_speaks_of_this_world(
    runs: dict[str, FinishedRun], examples: dict[str, FinishedRun], tmp_path: Path
) -> None:
    """The page names the world and its rule, and no tee."""

    def hold(out: Run) -> None:
        out.event("gate/check", 0, name="margin", value=-1.0, bound=0.0, passed=True)

    others = {stage: stage_runs.run_stage(tmp_path, stage, hold, {}) for stage in OTHERS}
    page = render_page({**others, **runs, "checkpoint": examples["fetch"]})
    assert "tworoom" in page
    assert "224 × 224 plan" in page
    assert "green T" not in page


def test_starts_and_goals_are_worth_planning() -> None:
    """Nearly all goals are a way of 60 px or more off, and many lie in the other room."""
    world = TwoRoom()
    tasks = [make_task(world, episode_seeds(1042, episode).task, 25) for episode in range(50)]
    travel = world.travel(np.array([task.start for task in tasks]), np.array([task.goal for task in tasks]))
    apart = [(task.start[0] < 112) != (task.goal[0] < 112) for task in tasks]
    assert (travel >= 60).mean() > 0.8
    assert 0.3 < np.mean(apart) < 0.7
