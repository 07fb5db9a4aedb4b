"""What the diagnosis tells, and its exit status."""

import json
import subprocess
import sys
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


@pytest.mark.parametrize("words", [["doctor"], ["showcase", "--health-only"]])
def test_the_diagnosis_needs_no_more_than_the_base(words: list[str], tmp_path: Path) -> None:
    """Where the packages of the pipeline are missing, that is what it is there to tell."""
    missing = ["numpy", "PIL", "torch", "safetensors", "pyarrow", "snakemake", "textual", "tensorboard", "rerun"]
    code = f"""
import sys
from importlib import metadata
version = metadata.version
def only_base(name):
    if name in {missing}:
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = only_base
sys.modules.update(dict.fromkeys({missing}))
from lewm_evidence.cli import main
sys.exit(main({words}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "device     unknown without torch" in done.stdout
    assert "-> missing: " in done.stdout and "run `make setup`" in done.stdout


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
