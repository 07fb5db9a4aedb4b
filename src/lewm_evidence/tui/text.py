"""Text for a terminal: what records say made harmless, and numbers as tables, bars and curves."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path

from textual.content import Content

GOOD, BAD, WARN, DIM, KEY = "$text-success", "$text-error", "$text-warning", "dim", "bold $text-accent"
_EDGE = 9  # columns for the numbers beside a curve
_LEVELS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
# The bit of each dot of a braille cell, by column and row from the top.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def clean(text: object, limit: int = 2000) -> str:
    """Returns text from a record for people: one line, nothing that a terminal would obey, at most `limit` long.

    A path below the working folder starts there, as a person would type it.

    What is returned is never read as markup; that is up to whoever shows it.
    """
    if isinstance(text, Path) and text.is_relative_to(Path.cwd()):
        text = text.relative_to(Path.cwd())
    plain = " ".join(str(text)[: limit + 1].split())
    shown = "".join(letter if letter.isprintable() else "�" for letter in plain)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def lines(*rows: "Content | str") -> Content:
    """Returns the rows one below the other; strings are taken as they are."""
    return Content("\n").join(Content(row) if isinstance(row, str) else row for row in rows)


def label(name: str, value: "Content | str") -> Content:
    """Returns a value behind its name, aligned with others below."""
    return Content.assemble((f"{name:<10}", DIM), value)


def table(rows: Sequence[Sequence["Content | str"]], right: Sequence[int] = ()) -> Content:
    """Returns rows with their columns aligned, those with the numbers `right` to the right."""
    cells = [[Content(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max(cell.cell_length for cell in column) for column in zip(*cells, strict=True)]
    shown = []
    for row in cells:
        parts = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = Content(" " * (width - cell.cell_length))
            parts.append(space + cell if number in right else cell + space)
        shown.append(Content("  ").join(parts).rstrip())
    return lines(*shown)


def beside(blocks: Sequence[Content]) -> Content:
    """Returns blocks of lines beside each other."""
    rows = zip_longest(*(block.split("\n", allow_blank=True) for block in blocks), fillvalue=Content(""))
    return table(list(rows))


def number(value: float) -> str:
    """Returns a number with about three digits that matter."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Returns a time as people say it."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def sparkline(values: Sequence[float], width: int) -> str:
    """Returns values as one line of blocks, the lowest and the highest over their range, thinned out to `width`."""
    shown = _thinned(values, width)
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    return "".join(_LEVELS[round((value - low) / (high - low) * 7) if high > low else 0] for value in shown)


def bar(share: float, width: int) -> str:
    """Returns a bar as long as `share` (0 to 1) of `width` cells; more than nothing is seen."""
    eighths = min(max(math.ceil(share * width * 8), 0), width * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).strip().ljust(width)


def plot(values: Mapping[int, float], width: int, height: int) -> Content:
    """Returns a curve of values by step as dots, with the range of both at its edges."""
    steps = sorted(values)
    low, high = min(values.values()), max(values.values())
    first, span = steps[0], max(steps[-1] - steps[0], 1)
    cells = [[0] * width for _ in range(height)]
    places = [
        (
            round((step - first) / span * (2 * width - 1)),
            round((high - values[step]) / ((high - low) or 1) * (4 * height - 1)),
        )
        for step in steps
    ]
    for a, b in zip(places, places[1:] or places, strict=False):
        for x, y in _between(a, b):
            cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    labels = [number(high), *[""] * (height - 2), number(low)] if height > 1 else [number(high)]
    rows = [
        Content.assemble((f"{label:>{_EDGE}} │", DIM), "".join(chr(0x2800 + cell) for cell in row))
        for label, row in zip(labels, cells, strict=True)
    ]
    ends = f"{'':{_EDGE}} └{steps[0]}{f'step {steps[-1]}':>{max(width - len(str(steps[0])), 0)}}"
    return lines(*rows, Content.styled(ends, DIM))


def _between(a: tuple[int, int], b: tuple[int, int]) -> list[tuple[int, int]]:
    count = max(abs(b[0] - a[0]), abs(b[1] - a[1]), 1)
    return [(a[0] + (b[0] - a[0]) * i // count, a[1] + (b[1] - a[1]) * i // count) for i in range(count + 1)]


def _thinned(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    bounds = [number * len(values) // width for number in range(width + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(bounds)]
