"""Figures for pages: matplotlib SVG that goes inline and takes its colours from the page.

Figures are drawn in stand-in colours, one for each role, which are then replaced by the page's CSS variables, so
that one figure serves light and dark. Equal records give equal SVG. A figure's inches are what the page gives it at 72
px an inch, so that its text is as large as it says.
"""

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

ROLES = ("ink", "muted", "grid", "card", "lewm", "random", "noop", "win", "goal", "c0", "c1", "c2", "c3", "c4")
COLOUR = {role: f"#{index + 1:02x}fe{index + 1:02x}" for index, role in enumerate(ROLES)}

_STYLE = {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.facecolor": "none",
    "axes.formatter.useoffset": False,
    "axes.edgecolor": COLOUR["grid"],
    "axes.labelcolor": COLOUR["muted"],
    "axes.titlecolor": COLOUR["ink"],
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOUR["grid"],
    "grid.linewidth": 0.6,
    "text.color": COLOUR["ink"],
    "xtick.color": COLOUR["grid"],
    "ytick.color": COLOUR["grid"],
    "xtick.labelcolor": COLOUR["muted"],
    "ytick.labelcolor": COLOUR["muted"],
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "legend.handlelength": 1.4,
    "legend.borderaxespad": 0.1,
}


@contextmanager
def plot_style(salt: str = "") -> Iterator[None]:
    """Draws with this module's settings alone, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": salt})
        yield


def new_figure(width: float, height: float) -> tuple[Figure, Any]:
    """Returns a figure of `width` x `height` inches and its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def to_svg(figure: Figure, name: str, label: str) -> str:
    """Returns `figure` as an SVG element for inlining, without date, with ids of its own, read out as `label`."""
    buffer = io.StringIO()
    figure.patch.set_visible(False)
    with plot_style(name):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # A style element inside the page would be one for the whole page; `render.page_style` has the same rules.
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(-?\d+\.\d\d)\d+", r"\1", tag[0]), text)  # places, not words
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(url\(|href=")#([^")]+)', rf"\1#{name}-\2", text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    for role, colour in COLOUR.items():
        text = text.replace(colour, f"var(--{role})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1)
