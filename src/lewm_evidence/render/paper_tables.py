"""The paper's tables as text: Markdown for people, CSV for programs. Rows are dicts as the stage records them."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
COLUMNS = ("row", "label", "value", "low", "high", "unit", "n", "interval", "p", "paper", "where")
SECTIONS = {
    "Planning": ("success/", "success_minus/", "error/", "error_minus/"),
    "Probing, on held-out episodes": ("probe/",),
    "Probing an untrained model": ("probe_untrained/",),
    "Violation of expectation": ("surprise/",),
    "Straightness of latent paths": ("straightness/",),
}
_DIGITS = {"%": 0, "points": 0, "px": 1}


def by_section(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Returns the rows by the title of their section, sections without rows left out."""
    found = {title: [r for r in rows if r["row"].startswith(names)] for title, names in SECTIONS.items()}
    return {title: section for title, section in found.items() if section}


def cells(row: Row) -> list[str]:
    """Returns a row for people: label, measured, interval, n, p, paper, where."""
    interval = f"{number(row['low'], row['unit'])} to {number(row['high'], row['unit'])}"
    shown = [row["label"], measured(row), interval, str(row["n"]), p_value(row["p"])]
    return [*shown, row["paper"] or "", row["where"] or ""]


def markdown(rows: Sequence[Row], differing: Sequence[str], world: str) -> str:
    """Returns the page: a table for each section, then what differs from the paper."""
    lines = [f"# {world}: this checkpoint beside the paper", ""]
    for title, section in by_section(rows).items():
        lines += [
            f"## {title}",
            "",
            "| | measured | 95 % interval | n | p | paper | where |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [f"| {' | '.join(cells(row))} |" for row in section]
        lines += [""]
    tests = sum(row["p"] is not None for row in rows)
    lines += [
        f"p is not adjusted. {tests} tests stand here; 0.05 shared out among them is {0.05 / max(tests, 1):.3f}.",
        "",
    ]
    lines += ["## What differs from the paper", "", *(f"- {text}" for text in differing)]
    return "\n".join(lines) + "\n"


def csv_text(rows: Sequence[Row]) -> str:
    """Returns the rows as CSV with a header; numbers in full."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def measured(row: Row) -> str:
    """Returns the value of a row with its unit."""
    return f"{number(row['value'], row['unit'])}{' ' + row['unit'] if row['unit'] else ''}"


def number(value: float, unit: str) -> str:
    """Returns a number with the digits that its unit deserves."""
    return f"{value:.{_DIGITS.get(unit, 3)}f}"


def p_value(p: float | None) -> str:
    """Returns p for people."""
    if p is None:
        return ""
    return "< 1e-4" if p < 1e-4 else f"{p:.4f}"


def planning_time(times: Mapping[str, float], plans: int, planner: Mapping[str, Any], paper: str | None) -> str:
    """Returns the planning times of one machine as Markdown."""
    settings = f"{planner['num_samples']} samples, {planner['iterations']} iterations, horizon {planner['horizon']}"
    lines = [
        "| planning time | seconds |",
        "|---|---|",
        *(f"| {name} | {value:.3f} |" for name, value in times.items()),
    ]
    note = f"{plans} plans ({settings}) on the machine that made this; the first is the cold one."
    return "\n".join([*lines, "", note, *([f"Paper: {paper}."] if paper else [])]) + "\n"
