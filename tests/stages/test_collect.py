"""The collect stage."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recorded
from lewm_evidence import worlds
from lewm_evidence.data import identity
from lewm_evidence.data.frames import open_frames
from lewm_evidence.errors import ConfigError, DataError
from lewm_evidence.records import FinishedRun, Run, Spec
from lewm_evidence.stages import collect


def _spec(**config: Any) -> Spec:
    return Spec(
        stage="collect",
        config={"world": "pusht", "seed": 5, "episodes": 3, "steps": 30, **config},
        code="",
        packages={},
        device=None,
        precision=None,
        inputs={},
    )


def _collect(runs: Path, **config: Any) -> FinishedRun:
    out = Run(runs, _spec(**config))
    with closing(out):
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


def test_any_number_of_processes_gives_the_same_result(collected: FinishedRun, tmp_path: Path) -> None:
    """The job's threads decide how many processes share the episodes, and nothing else."""
    line = _spec().model_dump_json()
    words = ["-m", "lewm_evidence.stages.collect", "--runs", str(tmp_path), "--threads", "3", "--spec", line]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    shared = FinishedRun(tmp_path / collected.name)
    assert shared.manifest.result_digest == collected.manifest.result_digest


def test_a_mix_of_behaviours_can_be_chosen(collected: FinishedRun, tmp_path: Path) -> None:
    """Shares change the episodes; a behaviour that the world does not know is refused by name."""
    mixed = _collect(tmp_path, behaviours={"rotate": 1.0, "weak": 1.0})
    assert mixed.manifest.result_digest != collected.manifest.result_digest
    with pytest.raises(ConfigError, match="pusht has no behaviour walk"):
        _collect(tmp_path, behaviours={"walk": 1.0})


def test_a_world_without_a_block_is_collected_too(tmp_path: Path) -> None:
    """TwoRoom's episodes have its own shapes, and no scalars about a block."""
    run = _collect(tmp_path, world="tworoom", episodes=5)
    (record,) = run.records("arrays")
    assert run.arrays(record.path)["states"].shape == (5, 31, 2)  # type: ignore[union-attr]
    assert not run.scalars("collect/block_motion")


def test_a_dataset_is_taken_in(tmp_path: Path) -> None:
    """Lengths, actions, states and statistics are recorded; decoded pictures go to a file that is not sealed."""
    made = recorded.episodes()
    path = recorded.write_hdf5(tmp_path / "tiny.h5", made)
    dataset = {"path": str(path), "sha256": identity(path), "image_size": 48, "episodes": 2}
    run = _collect(tmp_path / "runs", dataset=dataset)
    (record,) = run.records("arrays")
    arrays = run.arrays(record.path)  # type: ignore[union-attr]
    assert arrays["lengths"].tolist() == [25, 21]
    actions = np.concatenate([episode["action"] for episode in made[:2]])
    np.testing.assert_array_equal(arrays["actions"], actions)
    assert arrays["states"].shape == (46, 7)
    assert run.last("collect/action_std/1") == pytest.approx(np.nanstd(actions.astype(np.float64), axis=0)[1])
    (event,) = run.events("collect/dataset")
    frames = open_frames(run.path, str(event.fields["frames_sha256"]))
    np.testing.assert_array_equal(frames, np.concatenate([episode["pixels"] for episode in made[:2]]))
    assert not any("frames" in entry.path for entry in run.manifest.files)
    (run.path / "logs" / "frames.npy").write_bytes(b"x")
    with pytest.raises(DataError, match="made again"):
        open_frames(run.path, str(event.fields["frames_sha256"]))


def test_a_dataset_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """Another content than the configuration pins, or actions of another world, are named."""
    made = recorded.episodes((10, 12))
    path = recorded.write_hdf5(tmp_path / "tiny.h5", made)
    with pytest.raises(DataError, match="the configuration pins 0000"):
        _collect(tmp_path, dataset={"path": str(path), "sha256": "0" * 64})
    for episode in made:
        episode["action"] = episode["action"][:, :1]
    path = recorded.write_hdf5(tmp_path / "one.h5", made)
    with pytest.raises(DataError, match="have 1 numbers, those of pusht 2"):
        _collect(tmp_path, dataset={"path": str(path)})
