"""The paper's tables in the plan: what they share, what a change re-runs, and when evidence takes them in."""

from typing import Any

import pytest

from lewm_evidence.config import PAPER_PLANNER, Planner, parse_config
from lewm_evidence.errors import ConfigError
from lewm_evidence.plan import TABLES, Planned, plan

TRAINED = {"checkpoint": {"source": "trained"}}
DATASET = {"world": "pusht", "dataset": {"path": "some.h5"}}


def planned(**config: Any) -> dict[str, Planned]:
    """Returns the plan of a configuration."""
    return plan(parse_config(config))


def changed(**config: Any) -> set[str]:
    """Returns the table stages whose keys differ from those of the default configuration."""
    default, other = planned(), planned(**config)
    return {stage for stage in TABLES if default[stage].key != other[stage].key}


def test_evidence_leaves_the_tables_to_their_own_target() -> None:
    """By default neither bundle nor report nor viewers wait for them."""
    made = planned()
    assert set(TABLES) <= made.keys()
    for stage in ("seal", "report", "render_tensorboard"):
        assert not made[stage].spec.inputs.keys() & set(TABLES)


def test_sealed_tables_are_reported_shown_and_sealed() -> None:
    """Every run behind them is in the bundle and in TensorBoard, the table in the report."""
    made = planned(tables={"sealed": True})
    assert set(TABLES) <= made["seal"].spec.inputs.keys()
    assert set(TABLES) <= made["render_tensorboard"].spec.inputs.keys()
    assert made["report"].spec.inputs["tables"] == made["tables"].name
    assert {made[stage].key for stage in TABLES} == {planned()[stage].key for stage in TABLES}


def test_checkpoints_of_a_world_share_starts_and_baselines() -> None:
    """They depend on the world alone; what the model does depends on the checkpoint."""
    assert changed(**TRAINED) == {"success", "probing", "surprise", "tables"}
    assert changed(checkpoint={"source": "embedded", "name": "tworoom"}) == set(TABLES)


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"planner": "small"}, {"success", "tables"}),
        ({"oracle": {"num_samples": 50}}, {"baselines", "tables"}),
        ({"probing": {"mlp_hidden": 8}}, {"probing", "tables"}),
        ({"surprise": {"before": 4}}, {"surprise", "tables"}),
        ({"starts": {"choice_seed": 7}}, set(TABLES)),
    ],
)
def test_a_change_reruns_what_depends_on_it(change: dict[str, Any], stages: set[str]) -> None:
    """And nothing else."""
    assert changed(tables=change) == stages


def test_a_dataset_of_the_same_world_gives_the_starts() -> None:
    """Also for a checkpoint that was not trained on it; that of another world is not used."""
    made = planned(collect=DATASET, tables={"sealed": True})
    assert all(made[stage].spec.inputs["data"] == made["collect"].name for stage in TABLES if stage != "tables")
    assert "collect" in made["seal"].spec.inputs and "train" not in made["seal"].spec.inputs
    other = planned(collect=DATASET, checkpoint={"source": "embedded", "name": "tworoom"})
    assert "data" not in other["starts"].spec.inputs


def test_planner_presets_have_the_published_numbers() -> None:
    """By name wherever a planner is configured; another name is refused."""
    assert parse_config({"evaluate": {"planner": "paper"}}).evaluate.planner == PAPER_PLANNER
    assert parse_config({"tables": {"planner": "small"}}).tables.planner == Planner()
    numbers = PAPER_PLANNER.model_dump(exclude={"precision", "countdown"})
    assert numbers == {"num_samples": 300, "iterations": 30, "elites": 30, "horizon": 5, "execute": 5}
    with pytest.raises(ConfigError, match=r"tables\.planner"):
        parse_config({"tables": {"planner": "papre"}})


def test_a_goal_beyond_the_episode_is_refused() -> None:
    """No start would be possible."""
    with pytest.raises(ConfigError, match="goal_offset must be at most pool_steps=100"):
        parse_config({"tables": {"starts": {"goal_offset": 101}}})
