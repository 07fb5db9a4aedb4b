"""The last look before a bundle is put in place: no secret, path, user or host name of this machine is sealed.

Records are redacted when they are written (`records.redact`); this looks at what came out of everything after that:
event files, recordings, pages, pictures, tensors, documents, and the names of the files. It fails closed: a file
that cannot be decoded is not sealed either. What is found is never repeated, only where it is and what it is.

What is searched for are the exact values of `records.redact`, in every spelling of `secret_forms`. A secret that is
in no environment variable of the sealing process is not known here.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lewm_evidence.errors import BundleError
from lewm_evidence.records.redact import (
    known_secrets,
    machine_names,
    machine_paths,
    name_pattern,
    path_pattern,
    secret_forms,
)
from lewm_evidence.seal.contents import Piece, UnreadableError, packed, pieces
from lewm_evidence.seal.tree import open_plain

_SHOWN = 10
# A shorter name turns up in numbers and pixels by chance.
_SHORTEST_IN_NUMBERS = 6
# What is read at once; a larger file is looked through in blocks that overlap by more than a secret is long.
_WHOLE, _BLOCK, _OVERLAP = 1 << 28, 1 << 26, 1 << 16
# In front of a tensor header: the one thing of a plain file that is in no piece.
_LENGTH_FIELD = 8


@dataclass(frozen=True)
class _Wanted:
    """One spelling of something that must not be sealed."""

    what: str
    data: bytes
    pattern: "re.Pattern[bytes] | None"

    def find(self, data: bytes) -> int:
        """Returns where it first is in `data`, -1 when nowhere."""
        at = data.find(self.data)
        if at < 0 or self.pattern is None:
            return at
        found = self.pattern.search(data)
        return found.start() if found else -1


def inspect(files: Mapping[str, Path]) -> None:
    """Looks through `files`, by the name each has in the bag.

    Raises:
        BundleError: naming file and place of what must not leave this machine, or a file that cannot be decoded.
    """
    search = _Search()
    found = []
    for name in sorted(files):
        found += list(search.file(name, files[name]))
        if len(found) >= _SHOWN:
            break
    if found:
        raise BundleError(
            "nothing was sealed, because this would leave the machine:\n  "
            + "\n  ".join(found[:_SHOWN])
            + "\nTake it out where it is made, remove that run and make it again"
        )


class _Search:
    """Knows what to look for; built once for all files."""

    def __init__(self) -> None:
        forms = {
            form: f"the value of {name} ({spelling})"
            for value, name in known_secrets().items()
            for form, spelling in secret_forms(value).items()
        }
        raw = {
            form.encode(code, "surrogateescape"): what for form, what in forms.items() for code in _codes(form, what)
        }
        self.secrets = [_Wanted(what, data, None) for data, what in raw.items()]
        self.traces = [_Wanted(what, path.encode(), _bytes(path_pattern(path))) for path, what in _paths().items()]
        self.names = [_Wanted(what, n.encode(), _bytes(name_pattern(n))) for n, what in machine_names().items()]

    def file(self, name: str, path: Path) -> Iterator[str]:
        """Yields a line for each thing found in one file."""
        shown = self._masked(name)
        in_name = self._first(Piece("its name, ", name.encode("utf-8", "surrogateescape"), True))
        if in_name:
            yield f"{shown}: its name holds {in_name[0]}"
        try:
            found = self._large(name, path) if path.stat().st_size > _WHOLE else self._small(name, path)
        except UnreadableError as error:
            yield f"{shown}: {self._masked(str(error))}, so nobody knows what it says"
        else:
            if found:
                yield f"{shown}: {found}"

    def _small(self, name: str, path: Path) -> str | None:
        """Returns what is found in a file and where."""
        with open_plain(path) as file:
            data = file.read()
        seen = 0
        for piece in pieces(name, data):
            seen += len(piece.data)
            if found := self._first(piece):
                return f"{self._masked(piece.place)}{found[1]}: {found[0]}"
        if seen + _LENGTH_FIELD < len(data):
            # What was taken apart is looked through as it lies there too, should a piece have been overlooked.
            for wanted in self.secrets:
                if (at := wanted.find(data)) >= 0:
                    return f"byte {at}: {wanted.what}"
        return None

    def _large(self, name: str, path: Path) -> str | None:
        """Returns what is found in a file that is not read as a whole: in blocks that overlap."""
        start = 0
        with open_plain(path) as file:
            if packed(name, file.read(8)):
                raise UnreadableError(f"is larger than {_WHOLE} bytes, too large to take apart")
            while True:
                file.seek(start)
                data = file.read(_BLOCK + _OVERLAP)
                for piece in pieces("", data) if not packed("", data) else [Piece("", data, False)]:
                    if found := self._first(piece):
                        return f"the {_BLOCK} bytes from {start}: {self._masked(piece.place)}{found[1]}: {found[0]}"
                start += _BLOCK
                if len(data) <= _BLOCK:
                    return None

    def _first(self, piece: Piece) -> tuple[str, str] | None:
        """Returns what is found in `piece` and where, or None."""
        wanted = [*self.secrets, *self.traces, *self._names_for(piece)]
        for data in _readings(piece):
            for one in wanted:
                at = one.find(data)
                if at >= 0:
                    return one.what, _place(data, at) if piece.text else f"byte {at}"
        return None

    def _names_for(self, piece: Piece) -> list[_Wanted]:
        if piece.text:
            return self.names
        return [name for name in self.names if len(name.data) >= _SHORTEST_IN_NUMBERS]

    def _masked(self, text: str) -> str:
        """Returns `text` without what was found in it, for messages."""
        data = text.encode("utf-8", "surrogateescape")
        for wanted in (*self.secrets, *self.traces, *self.names):
            if wanted.find(data) >= 0:
                data = data.replace(wanted.data, b"[...]")
        return data.decode("utf-8", "backslashreplace")


def _codes(form: str, what: str) -> list[str]:
    codes = ["utf-8", "utf-16-le"] if what.endswith("(plain)") else ["utf-8"]
    if not form.isascii():
        try:
            form.encode("latin-1")
            codes.append("latin-1")
        except UnicodeEncodeError:
            pass
    return codes


def _paths() -> dict[str, str]:
    """Returns the folders of this machine, also as a URL and as JSON spell them."""
    found = {}
    for path, what in machine_paths().items():
        found[path] = what
        found[path.replace("/", "%2F")] = f"{what} (URL form)"
        found[path.replace("/", "\\/")] = f"{what} (JSON)"
    return found


def _bytes(pattern: re.Pattern[str]) -> re.Pattern[bytes]:
    return re.compile(pattern.pattern.encode())


def _readings(piece: Piece) -> Iterator[bytes]:
    """Yields the bytes, and for text how a person reads them: normalised, without invisible characters."""
    yield piece.data
    if piece.text and not piece.data.isascii():
        text = unicodedata.normalize("NFKC", piece.data.decode("utf-8", "replace"))
        yield "".join(letter for letter in text if unicodedata.category(letter) != "Cf").encode("utf-8", "replace")


def _place(data: bytes, at: int) -> str:
    line = data.count(b"\n", 0, at) + 1
    column = at - data.rfind(b"\n", 0, at)
    return f"line {line}, column {column}"
