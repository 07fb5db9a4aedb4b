"""Lines that stay and lines that change, on a real pseudo-terminal and on a pipe."""

import os
import pty
from collections.abc import Iterator

import pytest

from snakemake_logger_plugin_evidence.screen import Screen


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal of 20 columns."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("NO_COLOR", raising=False)
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def shown(reader: int) -> list[str]:
    """Returns what a terminal shows of what was written; cursor up with clearing is all that it has to understand."""
    lines = [""]
    for part in os.read(reader, 65536).decode().replace("\r\n", "\n").split("\x1b["):
        up, mark, rest = part.partition("A")
        if mark and up.isdigit():
            lines = [*lines[: len(lines) - 1 - int(up)], ""]
            part = rest
        part = part.removeprefix("J")
        first, *more = part.split("\n")
        lines = [*lines[:-1], lines[-1] + first, *more]
    return lines


def test_changing_lines_stay_below_and_leave_nothing(terminal: tuple[int, int]) -> None:
    """Each change takes the place of the last; a line that stays comes above; at the end none is left."""
    reader, writer = terminal
    with os.fdopen(os.dup(writer), "w") as stream:
        screen = Screen(stream, colour=False)
        assert screen.is_live
        screen.live(["a 1", "b 1"])
        screen.line("done")
        screen.live(["a 2", "b 2, too long for this terminal"])
        assert shown(reader) == ["done", "a 2", "b 2, too long for t", ""]
        screen.live([])
        assert os.read(reader, 100) == b"\x1b[2A\x1b[J"


def test_colours_only_where_they_are_wanted(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal; not with NO_COLOR, not with --nocolor, not in a pipe."""
    with os.fdopen(os.dup(terminal[1]), "w") as stream:
        assert Screen(stream, colour=True).red("x") == "\x1b[31mx\x1b[0m"
        assert Screen(stream, colour=False).red("x") == "x"
        monkeypatch.setenv("NO_COLOR", "1")
        assert Screen(stream, colour=True).green("x") == "x"
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as stream:
        screen = Screen(stream, colour=True)
        screen.live(["nothing of this"])
        screen.line("this")
        assert not screen.is_live
        assert os.read(reader, 100) == b"this\n"
