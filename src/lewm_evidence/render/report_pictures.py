"""Pictures for the report as data URIs: single frames, and the episode as an animated PNG."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

STEP_MS = 100  # the simulator's own pace: ten steps a second
HOLD_MS = 1800
GOAL_COLOUR = (200, 60, 20)
_OVER = 3  # the goal's outline is drawn this many times larger, then reduced, for smooth lines


def data_uri(data: bytes, kind: str = "image/png") -> str:
    """Returns `data` as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture_uri(path: Path) -> str:
    """Returns the PNG file at `path` as a data URI."""
    return data_uri(path.read_bytes())


def drawn_by(path: Path) -> str:
    """Returns what the PNG file at `path` says it was drawn by."""
    with Image.open(path) as picture:
        return str(picture.info.get("Software", "the viewer"))


def animation_uri(frames: Sequence[Path], geometry: Mapping[str, NDArray[Any]]) -> str:
    """Returns the frames as an endless animated PNG in real time, the goal's outline drawn over each.

    Args:
        frames: PNG files in order.
        geometry: `goal_state`, `space` (width and height of the table in px) and, where there is a block,
            `block_outline` (P, 2), its corners in its own frame.
    """
    pictures = [Image.open(path).convert("RGB") for path in frames]
    mask = _goal_mask(pictures[0].size, geometry)
    for picture in pictures:
        picture.paste(GOAL_COLOUR, mask=mask)
    buffer = io.BytesIO()
    durations = [STEP_MS] * (len(pictures) - 1) + [HOLD_MS]
    pictures[0].save(
        buffer, "PNG", save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True
    )
    return data_uri(buffer.getvalue(), "image/apng")


def _goal_mask(size: tuple[int, int], geometry: Mapping[str, NDArray[Any]]) -> Image.Image:
    goal, space = geometry["goal_state"], geometry["space"]
    mask = Image.new("L", (size[0] * _OVER, size[1] * _OVER), 0)
    scale = np.array(size) * _OVER / space
    draw = ImageDraw.Draw(mask)
    if "block_outline" in geometry:
        cos, sin = np.cos(goal[4]), np.sin(goal[4])
        corners = (geometry["block_outline"] @ np.array([[cos, sin], [-sin, cos]]) + goal[2:4]) * scale
        draw.line([tuple(corner) for corner in (*corners, corners[0], corners[1])], fill=255, width=_OVER + 1)
    x, y = goal[:2] * scale
    radius = 15 / 512 * space[0] * scale[0]
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=255, width=_OVER + 1)
    return mask.resize(size, Image.Resampling.LANCZOS)
