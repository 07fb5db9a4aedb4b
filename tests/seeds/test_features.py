"""The table of everything the source documents promise (`features.yaml`) is complete and points at real tests."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROWS = yaml.safe_load(Path(__file__).with_name("features.yaml").read_text(encoding="utf-8"))
DOCUMENTS = {"tensorboard", "rerun", "mosaic-page", "mosaic-source", "rl-logging-plan"}


@cache
def nodes(path: Path) -> frozenset[str]:
    """Returns the test functions of a file, as in node ids; parsed, not imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {part.name for part in tree.body if isinstance(part, ast.FunctionDef)}
    for part in tree.body:
        if isinstance(part, ast.ClassDef):
            found |= {f"{part.name}::{inner.name}" for inner in part.body if isinstance(inner, ast.FunctionDef)}
    return frozenset(name for name in found if name.rpartition("::")[2].startswith("test_"))


def fault(row: dict[str, str], root: Path = ROOT) -> str:
    """Returns what is wrong with a row, or nothing."""
    if set(row) - {"id", "document", "what", "test", "reason"} or not {"id", "document", "what"} <= set(row):
        return "has other fields than id, document, what, and test or reason"
    if row["document"] not in DOCUMENTS or not row["id"].startswith(row["document"] + "/"):
        return "names a document that is not in the table"
    if ("test" in row) == ("reason" in row):
        return "needs a test or a reason, and not both"
    if "reason" in row:
        return "" if len(row["reason"].split()) > 3 else "gives no reason"
    path, _, node = row["test"].partition("::")
    name = node.partition("[")[0]
    known = (root / path).is_file() and name in nodes(root / path)
    return "" if known else f"names {row['test']}, which is not a test"


def test_every_row_has_a_test_or_a_reason() -> None:
    """No promise of the documents is left without a test that exists or a sentence why not."""
    assert {row.get("id"): found for row in ROWS if (found := fault(row))} == {}


def test_no_id_is_used_twice() -> None:
    """Each id stands for one row, and every document has some."""
    assert [name for name, count in Counter(row["id"] for row in ROWS).items() if count > 1] == []
    assert {row["document"] for row in ROWS} == DOCUMENTS


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({}, "needs a test or a reason"),
        ({"reason": "later"}, "gives no reason"),
        ({"reason": "later issue 8: workers", "test": "x"}, "and not both"),
        ({"test": "tests/seeds/test_features.py::test_that_nobody_wrote"}, "is not a test"),
        ({"test": "tests/seeds/nowhere.py::test_no_id_is_used_twice"}, "is not a test"),
        ({"reason": "later issue 8: workers", "note": "x"}, "other fields"),
    ],
)
def test_faults_are_seen(extra: dict[str, str], sentence: str) -> None:
    """The check itself refuses what it is there to refuse."""
    row = {"id": "rerun/x", "document": "rerun", "what": "something"}
    assert sentence in fault(row | extra)
    assert fault(row | {"test": "tests/seeds/test_features.py::test_faults_are_seen[0]"}) == ""
