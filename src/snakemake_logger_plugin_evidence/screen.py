"""Lines on a terminal, and below them lines that change while jobs run."""

import os
import shutil
from typing import TextIO

_UP_AND_CLEAR = "\x1b[{}A\x1b[J"


class Screen:
    """Where lines go.

    Attributes:
        is_live: whether lines can change after they are written: on a terminal, not in a file or a pipe.
    """

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self.is_live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colour = colour and self.is_live and "NO_COLOR" not in os.environ
        self._live: list[str] = []

    def line(self, text: str) -> None:
        """Writes a line that stays."""
        self._write([text], self._live)

    def live(self, lines: list[str]) -> None:
        """Puts `lines` below everything, in the place of those before; nothing where lines cannot change."""
        if self.is_live and (lines or self._live):
            width = shutil.get_terminal_size().columns - 1
            self._write([], [line[:width] for line in lines])

    def green(self, text: str) -> str:
        """Returns the text in green where there are colours."""
        return self._coloured(text, 32)

    def red(self, text: str) -> str:
        """Returns the text in red where there are colours."""
        return self._coloured(text, 31)

    def _coloured(self, text: str, number: int) -> str:
        return f"\x1b[{number}m{text}\x1b[0m" if self._colour else text

    def _write(self, stay: list[str], live: list[str]) -> None:
        erase = _UP_AND_CLEAR.format(len(self._live)) if self._live else ""
        self._live = live
        text = erase + "".join(f"{line}\n" for line in (*stay, *live))
        # What a terminal that is not UTF-8 cannot show must not end the run.
        code = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(code, "replace").decode(code))
        self._stream.flush()
