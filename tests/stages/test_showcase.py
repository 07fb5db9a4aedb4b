"""The showcase: what it records, and that it repeats."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stage_runs
from lewm_evidence import worlds
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.records import FinishedRun
from lewm_evidence.records.schema import Arrays, Image
from lewm_evidence.stages import showcase


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def shown(runs: Path) -> FinishedRun:
    """A finished showcase of the tiny checkpoint."""
    return make(runs)


def make(runs: Path, **changes: Any) -> FinishedRun:
    """Runs the showcase with some settings changed."""
    config = {**stage_runs.SHOWCASE, **changes}
    return stage_runs.run_stage(runs, "showcase", showcase.run, config, checkpoint=stage_runs.checkpoint(runs))


def decisions(run: FinishedRun) -> list[dict[str, Any]]:
    """Returns the arrays of each decision, in order."""
    records = [r for r in run.records("arrays") if isinstance(r, Arrays) and r.tag == "showcase/decision"]
    return [run.arrays(record.path) for record in records]


def test_repeats(runs: Path, shown: FinishedRun, tmp_path: Path) -> None:
    """The same settings in another folder give the same result, whatever torch drew before."""
    torch.manual_seed(999)
    again = make(tmp_path)
    assert again.manifest.result_digest == shown.manifest.result_digest


def test_seed_matters(runs: Path, shown: FinishedRun) -> None:
    """Another seed gives another episode."""
    other = make(runs, seed=12)
    assert stage_runs.digests(other)["records.jsonl"] != stage_runs.digests(shown)["records.jsonl"]


def test_winner_is_cheapest_of_all_sources(shown: FinishedRun) -> None:
    """The winner has the lowest cost, its event says so, and every source is among the candidates."""
    for step, arrays in enumerate(decisions(shown)):
        winner = int(arrays["winner"])
        event = shown.events("showcase/decision")[step].fields
        assert arrays["candidate_costs"][winner] == arrays["candidate_costs"].min() == event["winner_cost"]
        assert showcase.SOURCES[arrays["candidate_source"][winner]] == event["winner_source"]
        assert np.bincount(arrays["candidate_source"]).tolist() == [3, 3, 3, 3]
        assert shown.scalars("showcase/cost/best")[step] == event["winner_cost"]


def test_shapes(shown: FinishedRun) -> None:
    """Arrays have the shapes that viewers rely on: 12 candidates, 2 iterations of 4 elites, shorter at the end."""
    for step, (arrays, planned) in enumerate(zip(decisions(shown), (10, 10, 5), strict=True)):
        executed = shown.events("showcase/decision")[step].fields["executed_steps"]
        assert arrays["candidate_actions"].shape == (12, planned, 2)
        assert arrays["candidate_paths"].shape == (12, planned + 1, 2)
        assert arrays["elite_paths"].shape == (2, 4, planned + 1, 2)
        assert arrays["elite_costs"].shape == (2, 4)
        assert arrays["states"].shape == (executed + 1, 7)
        assert arrays["predicted_latents"].shape == arrays["reached_latents"].shape == (executed // 5, 16)


def test_executes_the_winner(shown: FinishedRun) -> None:
    """The states recorded are those the simulator reaches under the winner's actions, over all decisions."""
    world = worlds.make("pusht")
    geometry = shown.arrays("arrays/showcase/geometry/00000.safetensors")
    world.set_state(geometry["start_state"])
    for arrays in decisions(shown):
        actions = arrays["candidate_actions"][int(arrays["winner"])]
        assert np.abs(actions).max() <= 1
        np.testing.assert_array_equal(arrays["states"][0], world.state)
        for action, state in zip(actions, arrays["states"][1:], strict=False):
            np.testing.assert_array_equal(world.step(action), state)


def test_costs_use_normalised_time_major_blocks(shown: FinishedRun) -> None:
    """Costs are the public `model.cost` of the recorded pictures, with actions laid out by hand."""
    folder = shown.path.parents[1] / shown.spec.inputs["checkpoint"] / "checkpoint"
    model, world = load_checkpoint(folder), worlds.make("pusht")
    goal = shown.arrays("arrays/showcase/geometry/00000.safetensors")["goal_state"]
    arrays = decisions(shown)[0]
    raw = torch.from_numpy(arrays["candidate_actions"])
    z_scored = (raw - torch.tensor([-0.01, 0.02])) / torch.tensor([0.3, 0.4])
    costs = model.cost(world.draw(arrays["states"][0], 64), world.draw(goal, 64), z_scored.reshape(12, 2, 10))
    np.testing.assert_allclose(arrays["candidate_costs"], costs.numpy(), rtol=1e-5)


def test_landscape_is_the_cost_of_constant_actions(shown: FinishedRun) -> None:
    """At every decision the map holds the public `model.cost` of an action held for the whole plan, rows for y."""
    folder = shown.path.parents[1] / shown.spec.inputs["checkpoint"] / "checkpoint"
    model, world = load_checkpoint(folder), worlds.make("pusht")
    goal = shown.arrays("arrays/showcase/geometry/00000.safetensors")["goal_state"]
    maps = [r for r in shown.records("arrays") if isinstance(r, Arrays) and r.tag == "showcase/landscape"]
    assert [record.step for record in maps] == [0, 1, 2]
    for record, arrays, blocks in zip(maps, decisions(shown), (2, 2, 1), strict=True):
        found = shown.arrays(record.path)
        axis, costs = found["axis"], found["costs"]
        assert axis.shape == (21,) and axis[[0, 10, 20]].tolist() == [-1, 0, 1]
        for row, column in ((0, 0), (3, 17), (20, 8)):
            raw = torch.tensor([axis[column], axis[row]]).repeat(blocks * 5, 1)
            z_scored = (raw - torch.tensor([-0.01, 0.02])) / torch.tensor([0.3, 0.4])
            start = world.draw(arrays["states"][0], 64)
            wanted = model.cost(start, world.draw(goal, 64), z_scored.reshape(1, blocks, 10))
            np.testing.assert_allclose(costs[row, column], wanted.item(), rtol=1e-5)


def test_prediction_error_is_at_the_last_whole_block(shown: FinishedRun) -> None:
    """The recorded error is the squared distance of the last predicted and reached latents."""
    errors = shown.scalars("showcase/prediction_error")
    for step, arrays in enumerate(decisions(shown)):
        gap = arrays["predicted_latents"] - arrays["reached_latents"]
        if len(gap):
            assert errors[step] == pytest.approx(float((gap[-1] ** 2).sum()), rel=1e-6)


def test_every_step_has_frame_and_error(shown: FinishedRun) -> None:
    """Each environment step, the start included, has a 224 px frame, a distance and a pose."""
    outcome = shown.events("showcase/outcome")[0].fields
    steps = list(range(int(str(outcome["env_steps"])) + 1))
    frames = [r for r in shown.records("image") if isinstance(r, Image) and r.tag == "showcase/frame"]
    assert [frame.step for frame in frames] == steps
    assert {(frame.width, frame.height) for frame in frames} == {(224, 224)}
    for name in ("error_px", "agent_x", "agent_y", "block_x", "block_y", "block_angle"):
        assert list(shown.scalars(f"showcase/{name}")) == steps
    assert shown.scalars("showcase/error_px")[steps[-1]] == outcome["final_error_px"]
    assert shown.scalars("showcase/error_px")[0] == pytest.approx(outcome["start_error_px"], abs=1)


def test_budget_is_kept(shown: FinishedRun) -> None:
    """An untrained model spends the budget, also where it is no multiple of what a decision executes."""
    executed = [event.fields["executed_steps"] for event in shown.events("showcase/decision")]
    assert executed == [5, 5, 2]


def test_latencies_are_timing_only(shown: FinishedRun) -> None:
    """Latencies have a cold and every warm repeat, and stay out of the records."""
    timed = [(timing.tag, timing.step) for timing in shown.timings()]
    for name in ("encode", "cost", "solve"):
        assert [step for tag, step in timed if tag == f"latency/{name}"] == [0, 1, 2]
    assert [step for tag, step in timed if tag == "decision/solve"] == [0, 1, 2]
    assert "latency" not in (shown.path / "records.jsonl").read_text()


def test_checkpoint_text_names_digests(shown: FinishedRun) -> None:
    """The text about the checkpoint holds the sha256 of its weights."""
    weights = stage_runs.digests(FinishedRun(shown.path.parents[1] / shown.spec.inputs["checkpoint"]))
    text = next(r.text for r in shown.records("text") if r.tag == "showcase/checkpoint")
    assert weights["checkpoint/model.safetensors"] in text
