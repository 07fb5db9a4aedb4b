"""The widgets that Textual does not have: a pane of text, a picture, the list of keys."""

from collections.abc import Callable
from itertools import groupby
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from lewm_evidence.errors import EvidenceError
from lewm_evidence.tui.text import BAD, KEY, clean, table

_HELP = (
    ("1 … 5", "report, replay, training, events, verification"),
    ("space", "play the episode, or pause it"),
    ("← →", "one step back or on"),
    ("[ ]", "the decision before or after"),
    ("- +", "slower, faster"),
    ("o", "open the recording in Rerun"),
    ("t", "start TensorBoard and open it in the browser"),
    ("v", "verify the bundle"),
    ("ctrl+t", "light or dark"),
    ("↑ ↓ page", "scroll"),
    ("?", "this list; Esc or q closes it"),
    ("q", "quit; what was started from here ends too"),
)


# What a foreign or damaged run may make of reading it; it is told in the pane that needs it.
UNREADABLE = (EvidenceError, OSError, KeyError, ValueError, TypeError, IndexError)


class Pane(Static):
    """A frame with a title around text that is never read as markup."""

    def __init__(self, title: str, name: str) -> None:
        super().__init__("", markup=False, id=name, classes="pane")
        self.border_title = title

    def make(self, make: Callable[[], Content]) -> None:
        """Shows what `make` returns, or why it cannot be read."""
        try:
            self.show(make())
        except UNREADABLE as error:
            self.show(Content.styled(f"✘ This cannot be shown: {type(error).__name__}: {clean(error)}", BAD))

    def show(self, content: Content) -> None:
        """Shows `content`, if it is not what is shown already."""
        if not isinstance(self.content, Content) or not content.is_same(self.content):
            self.update(content)


class Picture(Widget):
    """A square picture of half blocks, two pixels to a cell, as large as there is room for.

    Attributes:
        source: makes the picture, uint8 (side, side, 3), for a side in px; none where there is none.
    """

    source: Callable[[int], NDArray[np.uint8] | None] | None = None

    def __init__(self) -> None:
        super().__init__(id="picture")
        self._pixels: NDArray[np.uint8] | None = None

    def draw(self, source: Callable[[int], NDArray[np.uint8] | None] | None) -> None:
        """Shows what `source` makes."""
        self.source, self._pixels = source, None
        self.refresh()

    def on_resize(self) -> None:
        """The picture is made anew, as large as fits."""
        self._pixels = None

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As many columns as make a square of the rows there are."""
        return min(container.width, 2 * container.height)

    def render_line(self, y: int) -> Strip:
        """Returns one row of cells: the upper half in one colour, the lower in another."""
        side = min(self.size.width, 2 * self.size.height)
        if self._pixels is None and self.source is not None and side > 1:
            self._pixels = self.source(side - side % 2)
        if self._pixels is None or 2 * y + 1 >= len(self._pixels):
            return Strip.blank(self.size.width, self.rich_style)
        upper, lower = self._pixels[2 * y].tolist(), self._pixels[2 * y + 1].tolist()
        cells = groupby(zip(upper, lower, strict=True))
        segments = [
            Segment("▀" * len(list(equal)), Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom)))
            for (top, bottom), equal in cells
        ]
        return Strip(segments).extend_cell_length(self.size.width, self.rich_style)


class Help(ModalScreen[None]):
    """The keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "dismiss", "close")]

    def compose(self) -> ComposeResult:
        """Lays it out."""
        rows = [[Content.styled(key, KEY), Content(what)] for key, what in _HELP]
        with VerticalScroll(id="help"):
            pane = Pane("Keys", "keys")
            pane.show(table(rows))
            yield pane
