"""A file of records, read as it is written."""

from pathlib import Path


class Tail:
    """Gives the lines of a JSONL file as they are appended.

    Attributes:
        went_back: whether the file became shorter before the last look: a training continues from a resume point, and
            the lines given last are the whole file, in place of all given before.
    """

    def __init__(self, file: Path) -> None:
        self.went_back = False
        self._file = file
        self._read = 0

    def lines(self) -> list[bytes]:
        """Returns the lines that are new and whole; none while there is no file."""
        self.went_back = False
        if not self._file.exists():
            return []
        self.went_back = self._file.stat().st_size < self._read
        if self.went_back:
            self._read = 0
        with self._file.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]  # the last line may be half written
        self._read += len(whole)
        return whole.splitlines()
