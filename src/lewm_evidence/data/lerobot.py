"""LeRobot datasets, format v3.0: many episodes in a parquet file, many in a video file; read without lerobot.

`meta/info.json` names the features and the places of files; `meta/episodes/**.parquet` says for each episode in which
data file its rows are, and in which video file, from which second on, its pictures; `data/**.parquet` holds `action`,
`observation.state` and, for cameras stored as images, encoded pictures. Pictures of videos are decoded with PyAV.
"""

import io
import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.data.extra import needed
from lewm_evidence.errors import DataError

VERSION = "v3."
STATE, ACTION = "observation.state", "action"


class LeRobotRecording:
    """Reads one such folder; see `Recording`.

    Args:
        folder: holds `meta/`, `data/` and, for videos, `videos/`.
        camera: the feature to take pictures from; None when there is one only.
    """

    def __init__(self, folder: Path, camera: str | None = None) -> None:
        self._folder = folder
        self._info = self._read_info()
        self._camera = self._choose(camera)
        episodes = _table([*sorted((folder / "meta" / "episodes").rglob("*.parquet"))], folder)
        self._episodes = sorted(episodes, key=lambda row: int(row["episode_index"]))
        self.lengths: NDArray[np.int64] = np.array([row["length"] for row in self._episodes], np.int64)
        self._read = lru_cache(maxsize=2)(_columns)

    def frames(self, episode: int) -> NDArray[np.uint8]:
        """Returns the pictures of an episode, uint8 (n, H, W, 3)."""
        if self._info["features"][self._camera]["dtype"] == "video":
            found = self._decode(episode)
        else:
            found = [_picture(cell) for cell in self._rows(episode, self._camera)]
        if len(found) != self.lengths[episode]:
            raise DataError(
                f"{self._folder}: episode {episode} has {self.lengths[episode]} rows, {len(found)} pictures"
            )
        return np.stack(found)

    def actions(self, episode: int) -> NDArray[np.float32]:
        """Returns the actions of an episode, float32 (n, A)."""
        return np.array(self._rows(episode, ACTION), np.float32)

    def states(self, episode: int) -> NDArray[np.float32] | None:
        """Returns `observation.state` of an episode, float32 (n, S), or None when it is not recorded."""
        return np.array(self._rows(episode, STATE), np.float32) if STATE in self._info["features"] else None

    def close(self) -> None:
        """Forgets what was read."""
        self._read.cache_clear()

    @cached_property
    def _first_row(self) -> dict[tuple[int, int], int]:
        """The global number of the first row of each data file."""
        first: dict[tuple[int, int], int] = {}
        for row in self._episodes:
            place = row["data/chunk_index"], row["data/file_index"]
            first[place] = min(first.get(place, row["dataset_from_index"]), row["dataset_from_index"])
        return first

    def _rows(self, episode: int, column: str) -> list[Any]:
        row = self._episodes[episode]
        place = row["data/chunk_index"], row["data/file_index"]
        path = self._folder / self._info["data_path"].format(chunk_index=place[0], file_index=place[1])
        start = row["dataset_from_index"] - self._first_row[place]
        cells = self._read(path, column)[start : start + row["length"]]
        if len(cells) != row["length"]:
            raise DataError(f"{path} ends before episode {episode}; is the folder complete?")
        return cells

    def _decode(self, episode: int) -> list[NDArray[np.uint8]]:
        row = self._episodes[episode]
        place = {key: row[f"videos/{self._camera}/{key}"] for key in ("chunk_index", "file_index")}
        path = self._folder / self._info["video_path"].format(video_key=self._camera, **place)
        begin = float(row[f"videos/{self._camera}/from_timestamp"])
        av = needed("av")
        try:
            with av.open(str(path)) as container:
                return self._pictures(container, begin, int(self.lengths[episode]))
        except (OSError, av.FFmpegError) as error:
            raise DataError(f"{path} cannot be decoded from second {begin:.2f} on: {error}") from error

    def _pictures(self, container: Any, begin: float, count: int) -> list[NDArray[np.uint8]]:
        """Decodes from the key frame before `begin` seconds and keeps `count` pictures from `begin` on."""
        stream = container.streams.video[0]
        container.seek(int(begin / stream.time_base), stream=stream, backward=True)
        found: list[NDArray[np.uint8]] = []
        half = 0.5 / self._info["fps"]  # s; the stored times are rounded
        for frame in container.decode(stream):
            if frame.time is None or frame.time < begin - half:
                continue
            found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == count:
                break
        return found

    def _read_info(self) -> dict[str, Any]:
        path = self._folder / "meta" / "info.json"
        try:
            info: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read; is {self._folder} a LeRobot dataset?") from error
        version = str(info.get("codebase_version"))
        if not version.startswith(VERSION):
            raise DataError(
                f"{self._folder} has LeRobot format {version}; convert it to v3.0 with lerobot's own script"
            )
        if ACTION not in info.get("features", {}):
            raise DataError(f"{path} names no feature {ACTION!r}")
        return info

    def _choose(self, camera: str | None) -> str:
        features: dict[str, dict[str, Any]] = self._info["features"]
        cameras = [name for name, of in features.items() if of.get("dtype") in ("video", "image")]
        chosen = cameras[0] if camera is None and len(cameras) == 1 else camera
        if chosen is None or chosen not in cameras:
            raise DataError(f"{self._folder} has the cameras {', '.join(cameras) or 'none'}; choose one, got {camera}")
        return chosen


def _table(paths: list[Path], folder: Path) -> list[dict[str, Any]]:
    if not paths:
        raise DataError(f"{folder} has no parquet file below meta/episodes; is the folder complete?")
    wanted = ("episode_index", "length", "dataset_from_index")
    rows: list[dict[str, Any]] = []
    for path in paths:
        schema = needed("pyarrow.parquet").read_schema(path).names
        names = [n for n in schema if n in wanted or n.startswith(("data/", "videos/"))]
        rows += needed("pyarrow.parquet").read_table(path, columns=names).to_pylist()
    return rows


def _columns(path: Path, column: str) -> list[Any]:
    try:
        found: list[Any] = needed("pyarrow.parquet").read_table(path, columns=[column])[column].to_pylist()
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return found


def _picture(cell: dict[str, Any]) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB"), np.uint8)
