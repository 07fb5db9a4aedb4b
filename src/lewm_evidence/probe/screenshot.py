"""Screenshots of the real viewers, for people: they never change what a probe finds.

A picture depends on the machine, and so does whether there is one. It is therefore a view, `views/screenshot.png`,
which names in its metadata (`Software`) what drew it. Where there is none, `views/screenshot.json` says `status`
(`skipped` or `failed`) and `reason`: one file either way, for the number of files of a bundle is a result.

NumPy and Pillow are imported where they are needed: `lewm-evidence doctor` comes here without them.
"""

import io
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from lewm_evidence.canonical import canonical_json, write_atomic
from lewm_evidence.errors import ProbeError
from lewm_evidence.records.job import say
from lewm_evidence.records.run import Run

SWITCH = "LEWM_EVIDENCE_SCREENSHOTS"
# Each viewer is given this long, so that a picture never holds up the evidence.
LIMIT = 20.0
# What is drawn from data is vivid: its largest and smallest of red, green and blue are this far apart.
_VIVID = 80
_LEAST_VIVID = 0.001
_FEWEST_COLOURS = 24


class Shot(NamedTuple):
    """A picture as PNG, and the name and version of what drew it."""

    png: bytes
    viewer: str


class NotHereError(ProbeError):
    """What it takes to make a screenshot is not on this machine."""


def keep(out: Run, shoot: Callable[[], Shot]) -> None:
    """Keeps the picture that `shoot` makes, or the reason why there is none, below `views/` of `out`.

    Args:
        out: the probe's run.
        shoot: makes the picture; raises `NotHereError` to skip and `ProbeError` when it failed.
    """
    start = time.perf_counter()
    try:
        if os.environ.get(SWITCH, "").lower() in ("0", "off", "no", "false"):
            raise NotHereError(f"{SWITCH} is off")
        shot = shoot()
        check_not_blank(shot.png)
    except ProbeError as error:
        status = "skipped" if isinstance(error, NotHereError) else "failed"
        write_atomic(out.path / "views" / "screenshot.json", canonical_json({"status": status, "reason": str(error)}))
        say(f"screenshot {status}: {error}")
    else:
        write_atomic(out.path / "views" / "screenshot.png", _signed(shot))
        out.timing("probe/screenshot", time.perf_counter() - start)
        say(f"screenshot taken by {shot.viewer}")


def _signed(shot: Shot) -> bytes:
    """Returns the picture with what drew it in its metadata."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Software", shot.viewer)
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(shot.png)) as picture:
        picture.convert("RGB").save(buffer, "PNG", pnginfo=note)
    return buffer.getvalue()


def check_not_blank(png: bytes) -> None:
    """Raises `ProbeError` unless the middle of the picture shows something: many colours, and some that are vivid.

    The margins do not count: a viewer without data draws its menus there, and frames of grey.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png)) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError) as error:  # what Pillow raises for broken files
        raise ProbeError("the screenshot is no picture") from error
    height, width, _ = pixels.shape
    middle = pixels[height // 8 : -(height // 8) or None, width // 5 : -(width // 5) or None].reshape(-1, 3)
    vivid = (middle.max(axis=1).astype(int) - middle.min(axis=1) > _VIVID).mean()
    colours = len(np.unique(middle, axis=0))
    if colours < _FEWEST_COLOURS or vivid < _LEAST_VIVID:
        raise ProbeError(f"the screenshot is blank: {colours} colours in its middle, {vivid:.2%} of it vivid")
