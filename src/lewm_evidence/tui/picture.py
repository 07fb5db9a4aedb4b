"""`python -m lewm_evidence.tui.picture PLACE FILE.svg`: the report as a picture, without a terminal."""

import argparse
import asyncio
import re
import sys
from pathlib import Path

from lewm_evidence.errors import EvidenceError
from lewm_evidence.tui import PAGES, make_report


async def take(place: Path, size: tuple[int, int], page: str, keys: list[str], light: bool) -> str:
    """Returns the report on `place` as SVG.

    Args:
        place: as `show_report` takes it.
        size: columns and rows of the terminal.
        page: one of `PAGES`.
        keys: pressed before it is taken, such as `right`.
        light: in the light theme.

    Raises:
        EvidenceError: as `make_report` does.
    """
    report = make_report(place)
    report.animation_level = "none"
    async with report.run_test(size=size) as pilot:
        report.theme = "textual-light" if light else "textual-dark"
        await pilot.pause()
        report.action_page(page)
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        svg = report.export_screenshot()
    # The fonts would be fetched from the network whenever the picture is looked at.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def _size(text: str) -> tuple[int, int]:
    columns, rows = (int(part) for part in text.split("x"))
    return columns, rows


def main() -> int:
    """Writes the picture and returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("place", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", type=_size, default=(140, 45), metavar="140x45", help="default: 140x45")
    parser.add_argument("--page", choices=PAGES, default="report")
    parser.add_argument("--keys", nargs="*", default=[], help="pressed before, such as: right right")
    parser.add_argument("--light", action="store_true")
    args = parser.parse_args()
    try:
        svg = asyncio.run(take(args.place, args.size, args.page, args.keys, args.light))
    except EvidenceError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    args.file.write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
