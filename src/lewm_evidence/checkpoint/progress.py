"""How far a download is: a bar on a terminal, a line now and then in a log."""

import io
import sys
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

_LINE = "{desc} {percentage:3.0f} %  {n_fmt} of {total_fmt}B  {rate_fmt}"


class Lines(io.TextIOBase):
    """A stream for tqdm that puts every state on a line of its own: a log has no cursor to send back.

    Args:
        stream: where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes what `text` shows, without the control characters around it."""
        shown = text.strip()
        if shown:
            self._stream.write(f"{shown}\n")
        return len(text)

    def flush(self) -> None:
        """Passes on to the stream."""
        self._stream.flush()


def progress(name: str, every: float = 5.0) -> Callable[..., "tqdm[Any]"]:
    """Returns what makes the progress bar of the file `name`, whatever the caller calls the file.

    The hub's client would show the end of the address, which for large files holds a signature.

    Args:
        name: the file.
        every: seconds between the lines in a log; a download that takes less writes none.
    """

    def make(**given: Any) -> "tqdm[Any]":
        if sys.stderr.isatty():
            return tqdm(**{**given, "desc": name})
        lines = {"file": Lines(sys.stderr), "bar_format": _LINE, "mininterval": every, "delay": every}
        return tqdm(**{**given, "desc": name, **lines})

    return make
