"""A sweep as data: what expands, what is shared, what a change makes again."""

import time
from typing import Any

import pytest

from lewm_evidence.config import Config, parse_config
from lewm_evidence.errors import ConfigError
from lewm_evidence.plan import plan
from lewm_evidence.sweep import PlannedSweep, plan_sweep

CHECKPOINTS = {name: {"source": "embedded", "name": name} for name in ("pusht", "tworoom")}
HUB = {"source": "hub", "repo": "a/b", "revision": "0" * 40, "files": {"config.json": "0" * 64, "weights.pt": "0" * 64}}


def planned(checkpoints: dict[str, Any], seeds: list[int], **tasks: Any) -> PlannedSweep:
    """Returns the plan of a sweep with what is given."""
    tasks = tasks or {"default": {}}
    return plan_sweep(parse_config({"sweep": {"checkpoints": checkpoints, "tasks": tasks, "seeds": seeds}}))


def test_every_checkpoint_meets_every_task_and_seed_and_shares_what_it_can() -> None:
    """Two checkpoints, two tasks and three seeds are twelve members, but only two fetches."""
    sweep = planned(CHECKPOINTS, [1, 2, 3], near={"goal_offset": 10}, far={"goal_offset": 50, "budget": 100})
    assert len(sweep.members) == 12
    stages = [run.spec.stage for run in sweep.runs.values()]
    assert {stage: stages.count(stage) for stage in set(stages)} == {
        "fetch": 2,
        "showcase": 12,
        "evaluate": 12,
        "render_tensorboard": 12,
        "seal": 12,
    }
    far = sweep.members["tworoom/far/2"]["evaluate"].spec.config
    assert (far["goal_offset"], far["budget"], far["seed"]) == (50, 100, 2)
    assert sweep.aggregate.spec.inputs["tworoom/far/2"] == sweep.members["tworoom/far/2"]["evaluate"].name


def test_one_more_seed_adds_its_members_and_a_new_page_and_nothing_else() -> None:
    """Every run that was there keeps its key."""
    before, after = planned(CHECKPOINTS, [1, 2]), planned(CHECKPOINTS, [1, 2, 3])
    assert before.runs.keys() < after.runs.keys()
    assert len(after.runs) - len(before.runs) == 2 * 4
    assert before.aggregate.key != after.aggregate.key


def test_a_member_that_equals_the_main_pipeline_shares_its_measurements() -> None:
    """`evidence` and `sweep` of one configuration measure once; its sweep changes no key of `evidence`."""
    config = Config()
    alone = plan(config)
    data = {"sweep": {"checkpoints": {"a": {"source": "embedded"}}, "seeds": [config.evaluate.seed]}}
    member = plan_sweep(parse_config(data)).members[f"a/default/{config.evaluate.seed}"]
    assert (member["fetch"], member["evaluate"]) == (alone["fetch"], alone["evaluate"])
    assert {name: run.key for name, run in plan(parse_config(data)).items()} == {n: r.key for n, r in alone.items()}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, ["no `sweep`", "docs/clusters.md"]),
        ({"sweep": {"checkpoints": {}, "seeds": [1]}}, ["sweep.checkpoints", "at least 1"]),
        ({"sweep": {"checkpoints": CHECKPOINTS, "seeds": [1, 1]}}, ["a seed is given twice"]),
        ({"sweep": {"checkpoints": {"a/b": {"source": "embedded"}}, "seeds": [1]}}, ["a/b", "pattern"]),
        (
            {"sweep": {"checkpoints": {"hub": {"source": "embedded", "nme": "x"}}, "seeds": [1]}},
            ["sweep.checkpoints.hub.nme is not a known key", "source, name"],
        ),
        (
            {"sweep": {"checkpoints": CHECKPOINTS, "seeds": [1], "tasks": {"t": {"budgt": 1}}}},
            ["sweep.tasks.t.budgt is not a known key", "goal_offset, budget, planner"],
        ),
        (
            {
                "sweep": {
                    "checkpoints": {"cube": HUB | {"world": "cube", "action_mean": [0.0], "action_std": [1.0]}},
                    "seeds": [1],
                }
            },
            ["sweep.checkpoints.cube", "no simulator"],
        ),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_with_the_place(data: dict[str, Any], words: list[str]) -> None:
    """Every fault names the key and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        plan_sweep(parse_config(data))
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_thousand_members_are_planned_in_a_moment() -> None:
    """CPU seconds; Snakemake's own share is measured in bench/results/scale.json."""
    checkpoints = {f"c{number}": {"source": "embedded"} for number in range(100)}
    start = time.process_time()
    assert len(planned(checkpoints, list(range(10))).members) == 1000
    assert time.process_time() - start < 3
