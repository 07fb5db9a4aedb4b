"""Tiny datasets in the real layouts, written by the real libraries."""

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import h5py
import hdf5plugin
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from lewm_evidence import worlds

FPS = 10


def episodes(lengths: tuple[int, ...] = (25, 21, 30), size: int = 48) -> list[dict[str, NDArray[Any]]]:
    """Returns scripted PushT episodes as frames, each with pixels, action (NaN in the last row) and state."""
    world = worlds.make("pusht")
    made = []
    for seed, length in enumerate(lengths):
        episode = worlds.scripted_episode(world, seed, length - 1)
        pixels = np.stack([world.draw(state, size) for state in episode.states])
        action = np.concatenate([episode.actions, np.full((1, 2), np.nan, np.float32)])
        made.append({"pixels": pixels, "action": action, "state": episode.states.astype(np.float32)})
    return made


def write_hdf5(path: Path, made: list[dict[str, NDArray[Any]]]) -> Path:
    """Writes the published layout: flat columns, pixels compressed with blosc, episode offsets and lengths."""
    lengths = np.array([len(episode["action"]) for episode in made])
    with h5py.File(path, "w") as file:
        for name in ("action", "state"):
            file[name] = np.concatenate([episode[name] for episode in made])
        pixels = np.concatenate([episode["pixels"] for episode in made])
        chunks = (1, *pixels.shape[1:])
        file.create_dataset("pixels", data=pixels, chunks=chunks, compression=hdf5plugin.Blosc(cname="lz4"))
        file["proprio"] = np.zeros((len(pixels), 4), np.float32)
        file["ep_len"], file["ep_offset"] = lengths, np.cumsum(lengths) - lengths
        file["episode_idx"] = np.repeat(np.arange(len(made)), lengths)
        file["step_idx"] = np.concatenate([np.arange(length) for length in lengths])
    return path


def write_lerobot(folder: Path, made: list[dict[str, NDArray[Any]]], *, video: bool) -> Path:
    """Writes format v3.0: episodes 0 and 1 in the first files, the others in the second ones."""
    camera = "observation.image"
    size = made[0]["pixels"].shape[1]
    features: dict[str, Any] = {
        camera: {"dtype": "video" if video else "image", "shape": [size, size, 3], "names": ["h", "w", "c"]},
        "observation.state": {"dtype": "float32", "shape": [7]},
        "action": {"dtype": "float32", "shape": [2]},
        "episode_index": {"dtype": "int64", "shape": [1]},
    }
    info = {
        "codebase_version": "v3.0",
        "fps": FPS,
        "total_episodes": len(made),
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": features,
    }
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    rows, start = [], 0
    for file_index, group in enumerate(filter(None, (made[:2], made[2:]))):
        begin = 0
        for episode in group:
            length = len(episode["action"])
            rows.append(
                {
                    "episode_index": len(rows),
                    "tasks": ["push"],
                    "length": length,
                    "data/chunk_index": 0,
                    "data/file_index": file_index,
                    "dataset_from_index": start,
                    "dataset_to_index": start + length,
                    f"videos/{camera}/chunk_index": 0,
                    f"videos/{camera}/file_index": file_index,
                    f"videos/{camera}/from_timestamp": begin / FPS,
                    f"videos/{camera}/to_timestamp": (begin + length) / FPS,
                }
            )
            begin, start = begin + length, start + length
        _write_file(folder, file_index, group, camera if not video else None)
        if video:
            pixels = np.concatenate([episode["pixels"] for episode in group])
            _write_video(folder / "videos" / camera / "chunk-000" / f"file-{file_index:03d}.mp4", pixels)
    path = folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return folder


def _write_file(folder: Path, number: int, group: list[dict[str, NDArray[Any]]], camera: str | None) -> None:
    columns: dict[str, Any] = {
        "action": np.concatenate([episode["action"] for episode in group]).tolist(),
        "observation.state": np.concatenate([episode["state"] for episode in group]).tolist(),
    }
    if camera:
        pixels = np.concatenate([episode["pixels"] for episode in group])
        columns[camera] = [{"bytes": _png(picture), "path": None} for picture in pixels]
    path = folder / "data" / "chunk-000" / f"file-{number:03d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def _png(picture: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def _write_video(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "5", "g": "7"})
        stream.width = stream.height = pixels.shape[1]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for picture in pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
