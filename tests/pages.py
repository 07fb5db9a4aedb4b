"""What README.md and docs/ show: their blocks of code, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: name of the file.
        line: of the file, at which the block begins.
        language: what stands behind the fence.
        text: the lines inside.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command, and the lines of output shown below it. In `console` a command follows a `$`."""
        if self.language != "console":
            joined = self.text.replace("\\\n", " ")
            return [(line, []) for line in joined.splitlines() if line.strip() and not line.startswith("#")]
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
        return found


def blocks(*languages: str) -> list[Block]:
    """Returns the blocks in one of `languages`, or all, in order of page and line."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\S*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(path.name, line, match[1], match[2]))
    return [block for block in found if not languages or block.language in languages]


def shell() -> list[Block]:
    """Returns the blocks that hold commands of a shell."""
    return blocks("sh", "console")


def programs(line: str) -> Iterator[list[str]]:
    """Yields the words of each program that a line starts, without comments and variables set for it."""
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    for word in (*lexer, ";"):
        if word in (";", "&&", "||", "|"):
            if words:
                yield words[: words.index(">")] if ">" in words else words
            words = []
        elif words or not re.match(r"[A-Z_]+=", word):
            words.append(word)
