"""The collect stage."""

from pathlib import Path

import numpy as np
import pytest

from lewm_evidence import worlds
from lewm_evidence.records import FinishedRun, Run, Spec
from lewm_evidence.stages import collect


def _collect(runs: Path, **config: int) -> FinishedRun:
    spec = Spec(
        stage="collect",
        config={"world": "pusht", "seed": 5, "episodes": 3, "steps": 30, **config},
        code="",
        packages={},
        device=None,
        precision=None,
        inputs={},
    )
    out = Run(runs, spec)
    collect.run(out)
    out.finish({})
    return FinishedRun(out.path)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished run of three short episodes. Read only."""
    return _collect(tmp_path_factory.mktemp("collected"))


def test_it_keeps_every_state_and_action(collected: FinishedRun) -> None:
    """The arrays hold the scripted episodes of consecutive seeds."""
    (record,) = collected.records("arrays")
    arrays = collected.arrays(record.path)  # type: ignore[union-attr]
    assert arrays["states"].shape == (3, 31, 7)
    assert arrays["actions"].shape == (3, 30, 2)
    assert arrays["states"].dtype == arrays["actions"].dtype == np.float32
    second = worlds.scripted_episode(worlds.make("pusht"), 6, 30)
    np.testing.assert_array_equal(arrays["states"][1], second.states.astype(np.float32))
    np.testing.assert_array_equal(arrays["actions"][1], second.actions)


def test_its_scalars_describe_the_data(collected: FinishedRun) -> None:
    """Shares and displacements are those of the arrays."""
    (record,) = collected.records("arrays")
    block = collected.arrays(record.path)["states"][:, :, 2:4].astype(np.float64)  # type: ignore[union-attr]
    moved = np.linalg.norm(np.diff(block, axis=1), axis=-1) > 0.1
    assert collected.last("collect/block_motion") == pytest.approx(moved.mean())
    far = np.linalg.norm(block[:, 25:] - block[:, :-25], axis=-1)
    assert collected.last("collect/displacement_mean") == pytest.approx(far.mean())
    assert collected.last("collect/episodes") == 3


def test_the_same_config_gives_the_same_result(collected: FinishedRun, tmp_path: Path) -> None:
    """Another folder, another time: the result digest is equal; another seed changes it."""
    assert _collect(tmp_path).manifest.result_digest == collected.manifest.result_digest
    assert _collect(tmp_path, seed=6).manifest.result_digest != collected.manifest.result_digest
