"""Which bundles are kept."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lewm_evidence.errors import InputError
from lewm_evidence.store.retention import DAY, Entry, Retention

NOW = 1_000_000_000.0


def entry(days: float, number: int = 0, pinned: bool = False) -> Entry:
    """Returns a bundle that was added so many days ago."""
    return Entry(f"{number:064x}", NOW - days * DAY, 1, 1, pinned)


entries = st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=12).map(
    lambda rows: [entry(days, number, pinned) for number, (days, pinned) in enumerate(rows)]
)


def test_without_a_rule_nothing_goes() -> None:
    """A prune without options removes no bundle, however old."""
    assert Retention().goes([entry(9999)], NOW) == []


def test_by_age() -> None:
    """Only what was added before the last so many days goes."""
    old, young = entry(31, 1), entry(29, 2)
    assert Retention(days=30).goes([young, old], NOW) == [old]


def test_by_number() -> None:
    """Only what is not among those added last goes, oldest first; 0 keeps none."""
    rows = [entry(days, days) for days in (3, 1, 2)]
    assert Retention(latest=1).goes(rows, NOW) == [rows[0], rows[2]]
    assert len(Retention(latest=0).goes(rows, NOW)) == 3
    assert Retention(latest=7).goes(rows, NOW) == []


@given(rows=entries, days=st.none() | st.integers(0, 400), latest=st.none() | st.integers(0, 12))
def test_each_rule_keeps_by_itself(rows: list[Entry], days: int | None, latest: int | None) -> None:
    """Pins, age and number each keep on their own; giving one more rule never makes more bundles go."""
    gone = Retention(days, latest).goes(rows, NOW)
    assert not any(row.pinned for row in gone)
    if days is not None:
        assert all(row.added < NOW - days * DAY for row in gone)
        assert {*gone} <= {*Retention(days=days).goes(rows, NOW)}
    if latest is not None:
        assert len(gone) <= max(0, len(rows) - latest)
        assert {*gone} <= {*Retention(latest=latest).goes(rows, NOW)}


@pytest.mark.parametrize("wrong", [{"days": -1}, {"latest": -1}, {"days": math.nan}])
def test_refuses_numbers_that_mean_nothing(wrong: dict[str, float]) -> None:
    """A negative age or number is refused before anything is removed."""
    with pytest.raises(InputError, match="must be 0 or more"):
        Retention(**wrong)  # type: ignore[arg-type]
