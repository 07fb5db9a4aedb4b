"""A running job as a person follows it: what it is, for how long, and what its console log says."""

import re
import time
from pathlib import Path

_DIGEST = re.compile(r"\w+/\w+ done, result \w+$")
_SHARE = re.compile(r"\b(\d+) of (\d+)\b")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what a terminal would obey
_BAR = 20  # columns
_KEPT = 8  # lines


class Job:
    """One job from its start to its end.

    Attributes:
        rule: the rule's name.
        message: the rule's message.
        log: its console log, or None.
        shell: its command line, which Snakemake repeats when it fails.
        status: how that ended, once known: an exit status, or a signal as a negative number.
        reason: what the cluster says of its end.
        last: the last line of the log, without the name of the stage.
        sentence: the lines from the last one on that begins with that name; so a stage tells why it failed.
        crashed: whether the log holds a traceback.
    """

    def __init__(self, rule: str, message: str, log: Path | None, shell: str) -> None:
        self.rule = rule
        self.message = message
        self.log = log
        self.shell = shell
        self.status: int | None = None
        self.reason = ""
        self.last = ""
        self.sentence: list[str] = []
        self.crashed = False
        self._start = time.monotonic()
        self._seconds: int | None = None
        self._stale = self._stamp()  # of a log that an earlier attempt left
        self._offset = 0

    @property
    def seconds(self) -> int:
        """How long it has been running, or ran."""
        return round(time.monotonic() - self._start) if self._seconds is None else self._seconds

    def ended_with(self, status: int, signal: int) -> None:
        """Keeps how its command ended; a shell says of a child that a signal ended that it exited with 128 + signal."""
        self.status = -(signal or status - 128) if signal or status > 128 else status

    def end(self) -> None:
        """Stops its clock."""
        self._seconds = self.seconds

    def news(self) -> list[str]:
        """Returns the lines that the log has got since the last call, without the digest that a run ends with."""
        if self.log is None or self._stamp() in (None, self._stale):
            return []
        self._stale = None
        with self.log.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        lines = [_CONTROL.sub("", line).rstrip() for line in whole.decode("utf-8", "replace").splitlines()]
        return [self._take(line) for line in lines if line and not _DIGEST.match(line)]

    def _take(self, line: str) -> str:
        name = f"{self.log.parts[-4] if self.log and len(self.log.parts) > 3 else self.rule}: "
        self.last = line.removeprefix(name)
        self.sentence = [self.last] if line.startswith(name) else [*self.sentence, self.last][-_KEPT:]
        self.crashed |= line.startswith("Traceback (most recent call last)")
        return self.last

    def progress(self) -> str:
        """Returns one line: time, name, a bar where the last line counts, and that line."""
        share = _SHARE.search(self.last)
        full = _BAR * int(share[1]) // max(int(share[2]), 1) if share else 0
        bar = "━" * full + "╌" * (_BAR - full) + "  " if share and full <= _BAR else ""
        return f"{self.seconds:>6} s  run          {self.rule:<18} {bar}{self.last or self.message}"

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self.log.stat() if self.log is not None else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino) if found else None
