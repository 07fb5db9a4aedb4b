"""Datasets of others, in the published HDF5 layout and as LeRobot folders."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from numpy.typing import NDArray

import recorded
from lewm_evidence.data import identity, open_recording, unpack
from lewm_evidence.data.statistics import action_statistics
from lewm_evidence.errors import DataError

Made = list[dict[str, NDArray[Any]]]


@pytest.fixture(scope="module")
def made() -> Made:
    """Three episodes of different lengths. Read only."""
    return recorded.episodes()


@pytest.fixture(scope="module")
def hdf5(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """They in the published layout. Read only."""
    return recorded.write_hdf5(tmp_path_factory.mktemp("hdf5") / "tiny.h5", made)


def test_an_hdf5_file_gives_every_episode_exactly(made: Made, hdf5: Path) -> None:
    """Pictures, actions with their NaNs, and states are those that were written, episode by episode."""
    recording = open_recording(hdf5)
    assert recording.lengths.tolist() == [25, 21, 30]
    for index, episode in enumerate(made):
        np.testing.assert_array_equal(recording.frames(index), episode["pixels"])
        np.testing.assert_array_equal(recording.actions(index), episode["action"])
        np.testing.assert_array_equal(recording.states(index), episode["state"])
    recording.close()


@pytest.mark.parametrize("camera", [None, "observation.image"])
def test_a_lerobot_folder_with_pictures_gives_every_episode_exactly(
    made: Made, tmp_path: Path, camera: str | None
) -> None:
    """PNG pictures inside the parquet files are exact, across files."""
    recording = open_recording(recorded.write_lerobot(tmp_path / "set", made, video=False), camera)
    assert recording.lengths.tolist() == [25, 21, 30]
    for index, episode in enumerate(made):
        np.testing.assert_array_equal(recording.frames(index), episode["pixels"])
        np.testing.assert_array_equal(recording.actions(index), episode["action"])
        np.testing.assert_array_equal(recording.states(index), episode["state"])
    recording.close()


def test_a_lerobot_folder_with_videos_gives_the_right_frames(made: Made, tmp_path: Path) -> None:
    """Each decoded picture is closest to the very frame that was encoded: no episode is shifted by one."""
    recording = open_recording(recorded.write_lerobot(tmp_path / "set", made, video=True))
    for index in (2, 1, 0):
        wanted, found = made[index]["pixels"].astype(int), recording.frames(index).astype(int)
        assert found.shape == wanted.shape
        moving = np.flatnonzero(np.abs(np.diff(wanted, axis=0)).mean(axis=(1, 2, 3)) > 0.3) + 1
        assert len(moving) > 5
        for at in moving:
            own = np.abs(found[at] - wanted[at]).mean()
            assert own < np.abs(found[at] - wanted[at - 1]).mean()
    recording.close()


def test_a_packed_file_is_unpacked_once(made: Made, hdf5: Path, tmp_path: Path) -> None:
    """`.h5.zst` becomes the same `.h5` beside it; a second opening takes what is there."""
    packed = tmp_path / "tiny.h5.zst"
    packed.write_bytes(zstandard.compress(hdf5.read_bytes()))
    recording = open_recording(packed)
    np.testing.assert_array_equal(recording.frames(1), made[1]["pixels"])
    recording.close()
    assert (tmp_path / "tiny.h5").read_bytes() == hdf5.read_bytes()
    packed.write_bytes(b"gone")
    open_recording(packed).close()


def test_the_hdf5_file_in_a_packed_archive_is_found(hdf5: Path, tmp_path: Path) -> None:
    """`.tar.zst` with a folder and other files gives the one HDF5 file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        readme = tarfile.TarInfo("set/README.md")
        archive.addfile(readme, io.BytesIO())
        archive.add(hdf5, "set/tiny.h5")
    packed = tmp_path / "tiny.tar.zst"
    packed.write_bytes(zstandard.compress(buffer.getvalue()))
    assert unpack(packed).read_bytes() == hdf5.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.h5", "tiny.tar.zst"]


@pytest.mark.parametrize("fault", ["cut", "garbage", "no hdf5"])
def test_a_damaged_packed_file_leaves_nothing(hdf5: Path, tmp_path: Path, fault: str) -> None:
    """Cut short, not zstd, or an archive of something else: a sentence, and no half file."""
    packed = tmp_path / ("tiny.tar.zst" if fault == "no hdf5" else "tiny.h5.zst")
    whole = zstandard.compress(hdf5.read_bytes())
    empty = zstandard.compress(b"\0" * 10240)
    packed.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"not zstd" * 9, "no hdf5": empty}[fault])
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(packed)
    assert [path.name for path in tmp_path.iterdir()] == [packed.name]


def test_action_statistics_leave_out_rows_without_an_action() -> None:
    """Population mean and deviation of the rows without NaN; a constant gets a tiny deviation, not 0."""
    actions = np.array([[1, 5], [3, 5], [np.nan, np.nan], [np.nan, 9], [5, 5]], np.float32)
    mean, std = action_statistics(actions)
    assert mean == (3, 5)
    assert std == pytest.approx((np.sqrt(8 / 3), 1e-6))


def test_the_identity_is_that_of_the_content(hdf5: Path, made: Made, tmp_path: Path) -> None:
    """Equal folders have equal identities wherever they lie; one changed byte changes it."""
    one = recorded.write_lerobot(tmp_path / "one", made[:2], video=False)
    two = recorded.write_lerobot(tmp_path / "two", made[:2], video=False)
    assert identity(one) == identity(two) != identity(hdf5)
    (two / "meta" / "info.json").write_text("{}")
    assert identity(one) != identity(two)


def test_what_is_no_dataset_is_refused(tmp_path: Path, hdf5: Path) -> None:
    """Another kind of file, a file that only claims to be one, and a missing one, each with a sentence."""
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.h5").write_text("x")
    with pytest.raises(DataError, match="neither a LeRobot folder"):
        open_recording(tmp_path / "a.txt")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        open_recording(tmp_path / "a.h5")
    with pytest.raises(DataError, match="cannot be read"):
        open_recording(tmp_path / "b.h5")
    with pytest.raises(DataError, match=r"is .* a LeRobot dataset"):
        open_recording(tmp_path)


def test_a_missing_column_is_named(tmp_path: Path, made: Made) -> None:
    """An HDF5 file of another layout is refused with what is missing and what is there."""
    import h5py

    path = recorded.write_hdf5(tmp_path / "x.h5", made[:1])
    with h5py.File(path, "a") as file:
        del file["ep_len"]
    with pytest.raises(DataError, match=r"no column ep_len; it has action"):
        open_recording(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v2.1"}, r"format v2\.1; convert it"),
        ({"features": {"x": {"dtype": "image"}}}, "no feature 'action'"),
        ({"features": {"action": {}, "a": {"dtype": "image"}, "b": {"dtype": "video"}}}, "cameras a, b; choose one"),
    ],
)
def test_a_lerobot_folder_of_another_kind_is_refused(
    tmp_path: Path, made: Made, change: dict[str, Any], message: str
) -> None:
    """An old version, no actions, or several cameras and none chosen."""
    folder = recorded.write_lerobot(tmp_path / "set", made[:1], video=False)
    path = folder / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=message):
        open_recording(folder)


def test_an_incomplete_lerobot_folder_is_noticed(tmp_path: Path, made: Made) -> None:
    """A missing data file and a truncated video are errors, not other pictures."""
    folder = recorded.write_lerobot(tmp_path / "set", made, video=True)
    video = next(folder.rglob("file-001.mp4"))
    video.write_bytes(video.read_bytes()[:500])
    (folder / "data" / "chunk-000" / "file-000.parquet").unlink()
    recording = open_recording(folder)
    with pytest.raises(DataError, match="cannot be read"):
        recording.actions(0)
    with pytest.raises(DataError, match=r"cannot be decoded|pictures"):
        recording.frames(2)
