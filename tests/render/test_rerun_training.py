"""The recording of a training says what was recorded, and shows it sensibly."""

from pathlib import Path

import numpy as np
import pytest

from example_runs import LATENT, finished, write_train
from lewm_evidence.errors import StageError
from lewm_evidence.probe.rerun import Check, check, read, verify
from lewm_evidence.records import FinishedRun
from lewm_evidence.render.rerun import digest
from lewm_evidence.render.rerun_training import latents_by_step, render


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished training; read only."""
    return finished(tmp_path_factory.mktemp("runs"), "train", write_train)


def test_every_value_reads_back(trained: FinishedRun, tmp_path: Path) -> None:
    """Rerun accepts the file, and curves and latents lie at the optimiser's steps."""
    path = tmp_path / "training.rrd"
    assert render(trained, path)
    verify(path, tmp_path / "logs")
    done = check(path, trained)
    assert Check("/val_prediction", "scalar", 3) in done and Check("/latents", "points", 3) in done
    found = read(path)
    assert [point.times for point in found["/loss", "Scalars:scalars"]] == [{"step": n} for n in (1, 50, 100)]


def test_the_same_records_give_the_same_recording(trained: FinishedRun, tmp_path: Path) -> None:
    """Bytes and digest depend on the records alone."""
    for name in "ab":
        render(trained, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_latents_are_seen_from_the_last_step(trained: FinishedRun) -> None:
    """On the principal axes of the last record distances are kept, where all variance lies in two directions."""
    shown = latents_by_step(trained)
    last = trained.arrays("arrays/train/latents/00100.safetensors")["latents"].astype(np.float64)
    assert list(shown) == [1, 50, 100] and last.shape[1] == LATENT
    place, colour = shown[100]
    near, far = (np.linalg.norm(rows[:, None] - rows, axis=2) for rows in (place, last))
    np.testing.assert_allclose(near, far, atol=0.1)
    assert len(np.unique(colour, axis=0)) > 10


def test_a_run_without_scalars_is_refused(tmp_path: Path) -> None:
    """A run that recorded nothing is named."""
    with pytest.raises(StageError, match="is it a finished training"):
        render(finished(tmp_path, "train"), tmp_path / "a.rrd")
