"""Pictures for the report as data URIs: single frames, the whole episode in one picture, and screenshots."""

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# A screenshot is shown no wider than the page; as a PNG of its own size it would be most of the file.
_SCREENSHOT = (1600, 1600)


class Film(NamedTuple):
    """Frames of one size, side by side in rows of `columns`, as one data URI."""

    uri: str
    columns: int
    rows: int


def _data_uri(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def picture_uri(path: Path) -> str:
    """Returns the PNG file at `path` as a data URI."""
    return _data_uri(path.read_bytes())


def pixels_uri(pixels: NDArray[np.uint8]) -> str:
    """Returns a picture (H, W, 3) as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return _data_uri(buffer.getvalue())


def screenshot_uri(path: Path) -> tuple[str, str]:
    """Returns the PNG file at `path` smaller, as a data URI, and what it says it was drawn by."""
    buffer = io.BytesIO()
    with Image.open(path) as picture:
        drawn_by = str(picture.info.get("Software", "the viewer"))
        shown = picture.convert("RGB")
        shown.thumbnail(_SCREENSHOT)
        shown.save(buffer, "WEBP", quality=85)
    return _data_uri(buffer.getvalue(), "webp"), drawn_by


def film(frames: Sequence[Path]) -> Film:
    """Returns the PNG files at `frames`, all of one size, as one picture."""
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    buffer = io.BytesIO()
    with Image.open(frames[0]) as first:
        width, height = first.size
    whole = Image.new("RGB", (columns * width, rows * height), "white")
    for number, path in enumerate(frames):
        with Image.open(path) as frame:
            whole.paste(frame, (number % columns * width, number // columns * height))
    whole.save(buffer, "PNG", optimize=True)
    return Film(_data_uri(buffer.getvalue()), columns, rows)
