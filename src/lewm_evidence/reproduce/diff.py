"""Two bundles or runs side by side: configuration, stages, checkpoint, environment, metrics with intervals."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Event, Scalar
from lewm_evidence.reproduce.environment import needed
from lewm_evidence.reproduce.opened import Opened, opened

_WIDEST = 44
_EVENTS = ("showcase/outcome",)


@dataclass(frozen=True)
class Row:
    """One thing that is not the same; None where it is absent."""

    what: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Value:
    """A metric, with its 95 % interval where it was recorded with one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None and self.value.is_integer():
            return f"{self.value:.0f}"
        interval = "" if self.low is None or self.high is None else f" [{self.low:.4g}, {self.high:.4g}]"
        return f"{self.value:.4g}{interval}"


@dataclass(frozen=True)
class Metric:
    """A metric of both, equal or not."""

    name: str
    a: Value | None
    b: Value | None

    @property
    def apart(self) -> bool:
        """Whether both have an interval and the intervals do not overlap."""
        if not (self.a and self.b) or None in (self.a.low, self.a.high, self.b.low, self.b.high):
            return False
        return bool(self.a.low > self.b.high or self.b.low > self.a.high)  # type: ignore[operator]

    @property
    def change(self) -> float | None:
        """By how much the second is larger than the first."""
        return self.b.value - self.a.value if self.a and self.b else None


@dataclass(frozen=True)
class Diff:
    """What two bundles or runs have and have not in common.

    Attributes:
        a: path and address of the first.
        b: of the second.
        sections: rows that differ, by section: configuration, stages, checkpoint, environment.
        metrics: every metric of either.
    """

    a: tuple[str, str | None]
    b: tuple[str, str | None]
    sections: dict[str, list[Row]]
    metrics: list[Metric]

    @property
    def same(self) -> bool:
        """Whether nothing but the environment differs."""
        changed = any(rows for name, rows in self.sections.items() if name != "environment")
        return not changed and all(metric.a == metric.b for metric in self.metrics)

    def as_dict(self) -> dict[str, Any]:
        """Returns everything, for JSON."""
        metrics = [asdict(metric) | {"change": metric.change, "apart": metric.apart} for metric in self.metrics]
        return {"same": self.same} | asdict(self) | {"metrics": metrics}


def diff(a: Path, b: Path) -> Diff:
    """Verifies and compares the bundles (folder, bag, archive) or run directories `a` and `b`.

    Raises:
        RefusedError: one is not as it was sealed.
        BundleError: one cannot be read.
    """
    with opened(a) as one, opened(b) as two:
        first, second = _narrowed(one, two), _narrowed(two, one)
        sections = {
            "configuration": list(rows(flat(first.config), flat(second.config))),
            "stages": list(rows(_digests(first), _digests(second))),
            "checkpoint": list(rows(_checkpoint(first), _checkpoint(second))),
            "environment": list(rows(_environment(first), _environment(second))),
        }
        metrics = [_metrics(first), _metrics(second)]
        names = sorted(metrics[0].keys() | metrics[1].keys())
        compared = [Metric(name, metrics[0].get(name), metrics[1].get(name)) for name in names]
        return Diff((first.path, first.address), (second.path, second.address), sections, compared)


def _narrowed(bundle: Opened, other: Opened) -> Opened:
    """Returns only the stage of a bundle that `other` is a run of, where it is one."""
    (stage, *_) = other.runs
    if other.address is not None or bundle.address is None or stage not in bundle.runs:
        return bundle
    run = bundle.runs[stage]
    return replace(bundle, runs={stage: run}, config=run.spec.config)


def rows(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Row]:
    """Yields what is not equal in `a` and `b`, by name."""
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name) or (name in a) != (name in b):
            yield Row(name, _text(a, name), _text(b, name))


def _text(values: Mapping[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def flat(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Returns nested objects as one, with dotted names; an empty object stays as it is."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{above}.{key}" if above else key
        if isinstance(inner, dict) and inner:
            found |= flat(inner, name)
        else:
            found[name] = inner
    return found


def _digests(opened: Opened) -> dict[str, str]:
    return {name: f"result {run.manifest.result_digest[:12]}" for name, run in opened.runs.items()}


def _checkpoint(opened: Opened) -> dict[str, Any]:
    """Returns the files of the checkpoint with their sha256, and where it came from."""
    found: dict[str, Any] = {}
    for run in opened.runs.values():
        for entry in run.manifest.files:
            if entry.path.startswith("checkpoint/"):
                found[entry.path] = f"sha256 {entry.sha256[:12]}, {entry.size} bytes"
        provenance = run.path / "checkpoint" / "provenance.json"
        if provenance.is_file():
            value = json.loads(provenance.read_bytes())
            found |= flat(value, "provenance") if isinstance(value, dict) else {"provenance": value}
    return found


def _environment(opened: Opened) -> dict[str, Any]:
    return flat(needed(opened.runs.values())) | {
        f"code of {name}": run.spec.code[:12] for name, run in opened.runs.items()
    }


def _metrics(opened: Opened) -> dict[str, Value]:
    """Returns the scalars that were recorded with an interval, and the numbers of the showcase's outcome."""
    found: dict[str, Value] = {}
    for run in opened.runs.values():
        scalars = {record.tag: record.value for record in run.records("scalar") if isinstance(record, Scalar)}
        for tag in scalars:
            if f"{tag}_low" in scalars and f"{tag}_high" in scalars:
                # The mean stands at step 0, as its limits do; other steps of the tag are single episodes.
                found[tag] = Value(_first(run, tag), scalars[f"{tag}_low"], scalars[f"{tag}_high"])
        found |= _outcomes(run)
        if run.spec.stage in ("train", "fetch"):
            found |= {tag: Value(value) for tag, value in scalars.items() if tag.startswith(("train/", "checkpoint/"))}
    return found


def _first(run: FinishedRun, tag: str) -> float:
    values = run.scalars(tag)
    return values[min(values)]


def _outcomes(run: FinishedRun) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for record in run.records("event"):
        if isinstance(record, Event) and record.tag in _EVENTS:
            numbers = {name: value for name, value in record.fields.items() if isinstance(value, int | float)}
            found |= {f"{record.tag}/{name}": Value(float(value)) for name, value in numbers.items()}
    return found


def table(found: Diff) -> list[str]:
    """Returns the lines of a table for a person."""
    lines = [f"{side} {path}{f'  sha256:{address}' if address else ''}" for side, (path, address) in _sides(found)]
    for name, section in found.sections.items():
        lines += ["", f"{name}: {'the same' if not section else ''}".rstrip()]
        lines += _columns([(row.what, row.a or "-", row.b or "-", "") for row in section])
    lines += ["", "metrics (95 % intervals)"]
    return lines + _columns([_metric_row(metric) for metric in found.metrics])


def _sides(found: Diff) -> list[tuple[str, tuple[str, str | None]]]:
    return [("A", found.a), ("B", found.b)]


def _metric_row(metric: Metric) -> tuple[str, str, str, str]:
    change = metric.change
    note = "" if not change else f"{change:+.4g}{', intervals apart' if metric.apart else ''}"
    values = [str(value) if value else "-" for value in (metric.a, metric.b)]
    return metric.name, values[0], values[1], "same" if change == 0 and metric.a == metric.b else note


def _columns(cells: list[tuple[str, str, str, str]]) -> list[str]:
    if not cells:
        return []
    shown = [[_cut(cell) for cell in row] for row in cells]
    widths = [max(len(row[column]) for row in shown) for column in range(3)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in shown
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
