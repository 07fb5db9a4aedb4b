"""What the diagnosis tells, and its exit status."""

import json
from pathlib import Path

import pytest

from lewm_evidence.cli import main
from lewm_evidence.doctor import Finding

NAMES = ["python", "base", "pipeline", "device", "disk", "cores", "terminal", "browser", "key"]


def test_doctor_tells_what_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What evidence takes is told, a line each; a gap gives status 1 and its remedy, also as JSON."""
    main(["doctor"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert [name for name in names if name != "->"] == NAMES
    monkeypatch.setattr("lewm_evidence.doctor.findings", lambda folder: [Finding("disk", "full", "free some space")])
    assert main(["doctor"]) == 1
    assert "-> free some space" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 1
    finding = {"name": "disk", "found": "full", "remedy": "free some space"}
    assert json.loads(capsys.readouterr().out) == {"ok": False, "findings": [finding]}


def test_doctor_tells_which_key_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The project's own, made or not, else the one that the environment gives; its text is never shown."""

    def key() -> str:
        main(["doctor"])
        return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("key "))

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEWM_EVIDENCE_SIGNING_KEY", raising=False)
    assert "is made when something is first sealed" in key()
    main(["keygen", ".lewm-evidence/signing-key"])
    assert "signing-key, is there" in key()
    monkeypatch.setenv("LEWM_EVIDENCE_SIGNING_KEY", "the-text-of-a-key")
    assert key().endswith("the one that LEWM_EVIDENCE_SIGNING_KEY gives")
