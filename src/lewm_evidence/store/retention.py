"""Which bundles a store keeps: pinned ones always, and of the others the young and the latest."""

from collections.abc import Iterable
from dataclasses import dataclass

from lewm_evidence.errors import InputError

DAY = 86_400


@dataclass(frozen=True)
class Entry:
    """A bundle in a store.

    Attributes:
        address: sha256 of its tag manifest.
        added: when it was added, seconds since 1970. Of this store only; another copy has another time.
        files: number of its files, sidecars and archive included.
        size: their bytes.
        pinned: kept whatever its age.
    """

    address: str
    added: float
    files: int
    size: int
    pinned: bool


@dataclass(frozen=True)
class Retention:
    """What to keep. A bundle goes only when it is neither pinned nor kept by any rule that is given.

    Attributes:
        days: keep what was added in the last so many days; None is no such rule.
        latest: keep the so many that were added last; None is no such rule.
    """

    days: float | None = None
    latest: int | None = None

    def __post_init__(self) -> None:
        for name, number in (("days", self.days), ("latest", self.latest)):
            # Written so that NaN is refused too.
            if number is not None and not number >= 0:
                raise InputError(f"{name} must be 0 or more, got {number}")

    def goes(self, entries: Iterable[Entry], now: float) -> list[Entry]:
        """Returns the entries that no rule keeps, oldest first. Without a rule that is none."""
        if self.days is None and self.latest is None:
            return []
        by_age = sorted(entries, key=lambda entry: (entry.added, entry.address))
        last = {entry.address for entry in by_age[len(by_age) - min(self.latest or 0, len(by_age)) :]}
        young = now - (self.days or 0) * DAY
        return [
            entry
            for entry in by_age
            if not (entry.pinned or entry.address in last or (self.days is not None and entry.added >= young))
        ]
