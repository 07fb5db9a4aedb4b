"""Names that a bundle may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lewm_evidence.seal.names import Names, fault_in


@pytest.mark.parametrize(
    "name", ["a", "data/runs/x.png", ".hidden", "a b/ü", "console", "x.con", "a-b/a/b", "日本.txt"]
)
def test_accepts_portable_names(name: str) -> None:
    """A name that means the same file everywhere has no fault."""
    assert fault_in(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "component ''"),
        ("/etc/passwd", "absolute"),
        ("../x", "component '..'"),
        ("a/../../x", "component '..'"),
        ("a/./x", "component '.'"),
        ("a//x", "component ''"),
        ("a/", "component ''"),
        ("a\\b", "holds '\\\\'"),
        ("C:x", "holds ':'"),
        ("a%0Ab", "holds '%'"),
        ("a\nb", "invisible"),
        ("a\x00b", "invisible"),
        ("a\u202eb", "invisible"),
        ("a\udcffb", "invisible"),
        ("e\u0301", "normal form"),
        ("x/CON", "device"),
        ("nul.txt", "device"),
        ("x ", "space"),
        ("x.", "dot"),
        ("a" * 256, "component longer"),
        ("/".join(["a" * 200] * 6), "longer than 1024"),
    ],
)
def test_refuses_other_names_with_a_reason(name: str, reason: str) -> None:
    """A name that is unsafe or ambiguous somewhere is refused, and the reason says why."""
    fault = fault_in(name)
    assert fault is not None and reason in fault


def test_refuses_names_that_differ_by_case_only() -> None:
    """Two names that are one file on a case-insensitive system cannot be in one tree."""
    names = Names()
    assert names.fault("Straße/a") is None
    assert names.fault("STRASSE/A") == "its name differs from 'Straße/a' by case only"


@given(st.text())
def test_an_accepted_name_stays_below_its_folder(name: str) -> None:
    """Whatever is accepted is relative, has no way up and survives UTF-8."""
    if fault_in(name) is None:
        assert name.encode().decode() == name
        assert not name.startswith("/") and ".." not in name.split("/")
