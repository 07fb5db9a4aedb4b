"""The latents of a showcase for TensorBoard's projector: vectors, what each is, and a picture of each.

Shown are the latents of real pictures around the start, of the states the episode reached, the predicted ones, and
the goal. A predicted latent has no picture: it gets that of the nearest real one, in an orange frame.
"""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lewm_evidence.canonical import write_atomic
from lewm_evidence.errors import StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Arrays
from lewm_evidence.records.schema import Image as Picture

NAME = "latents"
_CONFIG = """embeddings {{
  tensor_name: "{name}"
  tensor_shape: {count}
  tensor_shape: {size}
  tensor_path: "latents.tsv"
  metadata_path: "latents_metadata.tsv"
  sprite {{
    image_path: "latents_sprite.png"
    single_image_dim: {side}
    single_image_dim: {side}
  }}
}}
"""
_FRAME = {"reached": (65, 105, 225), "predicted": (245, 150, 20), "goal": (60, 170, 90)}


class Points(NamedTuple):
    """N labelled latents: `vectors` (N, D) float32, `labels` a row of text each, `pictures` (N, H, H, 3) uint8."""

    vectors: NDArray[np.float32]
    labels: list[tuple[str, str, str]]
    pictures: NDArray[np.uint8]


HEADER = ("kind", "decision or pusher", "step or block")


def points(run: FinishedRun) -> Points | None:
    """Returns what a showcase recorded of latents; None when it recorded none."""
    library = _arrays(run, "showcase/latents")
    if not library:
        return None
    (known,) = library
    thumbnails = _thumbnails(run, len(known["latents"]))
    vectors, pictures = [known["latents"]], [thumbnails]
    labels = [("real", str(path), str(step)) for path, step in zip(known["path"], known["step"], strict=True)]
    decisions = _arrays(run, "showcase/decision")
    for number, decision in enumerate(decisions):
        for kind in ("reached", "predicted"):
            found = decision[f"{kind}_latents"]
            vectors.append(found)
            labels += [(kind, str(number), str(block + 1)) for block in range(len(found))]
            pictures.append(_framed(thumbnails[_nearest(known["latents"], found)], _FRAME[kind]))
    goal = decisions[0]["goal_latent"][None]
    vectors.append(goal)
    labels.append(("goal", "", ""))
    pictures.append(_framed(thumbnails[_nearest(known["latents"], goal)], _FRAME["goal"]))
    return Points(np.concatenate(vectors).astype(np.float32), labels, np.concatenate(pictures))


def _arrays(run: FinishedRun, tag: str) -> list[dict[str, NDArray[Any]]]:
    return [run.arrays(r.path) for r in run.records("arrays") if isinstance(r, Arrays) and r.tag == tag]


def _thumbnails(run: FinishedRun, count: int) -> NDArray[np.uint8]:
    """Returns the pictures (count, H, H, 3) of the sheet `showcase/pictures`."""
    sheets = [r for r in run.records("image") if isinstance(r, Picture) and r.tag == "showcase/pictures"]
    if len(sheets) != 1:
        raise StageError(f"{run.path} records latents and {len(sheets)} sheets of their pictures; it needs one")
    with Image.open(run.path / sheets[0].path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    side = int(np.ceil(np.sqrt(count)))
    size = len(pixels) // side
    grid = pixels.reshape(side, size, side, size, 3).swapaxes(1, 2)
    return grid.reshape(side * side, size, size, 3)[:count]


def _nearest(known: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.intp]:
    nearest: NDArray[np.intp] = ((wanted[:, None].astype(np.float64) - known) ** 2).sum(axis=2).argmin(axis=1)
    return nearest


def _framed(pictures: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    framed = np.broadcast_to(np.array(colour, np.uint8), pictures.shape).copy()
    framed[:, 2:-2, 2:-2] = pictures[:, 2:-2, 2:-2]
    return framed


def write(found: Points, folder: Path) -> None:
    """Writes the files of the projector to the folder of a TensorBoard run."""
    count, size = found.vectors.shape
    side = found.pictures.shape[1]
    vectors = "".join("\t".join(f"{number:.9g}" for number in row) + "\n" for row in found.vectors.tolist())
    labels = "".join("\t".join(row) + "\n" for row in [HEADER, *found.labels])
    write_atomic(folder / "latents.tsv", vectors.encode())
    write_atomic(folder / "latents_metadata.tsv", labels.encode())
    write_atomic(folder / "latents_sprite.png", _sprite(found.pictures))
    config = _CONFIG.format(name=NAME, count=count, size=size, side=side)
    write_atomic(folder / "projector_config.pbtxt", config.encode())


def _sprite(pictures: NDArray[np.uint8]) -> bytes:
    count, size = pictures.shape[:2]
    side = int(np.ceil(np.sqrt(count)))
    grid = np.full((side * side, size, size, 3), 255, np.uint8)
    grid[:count] = pictures
    pixels = grid.reshape(side, side, size, size, 3).swapaxes(1, 2).reshape(side * size, side * size, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
