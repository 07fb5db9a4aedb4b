"""`lewm-evidence store` as a person types it."""

import json
from pathlib import Path
from typing import Any

import pytest

import example_runs
from lewm_evidence.cli import main
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.keys import VARIABLE, signing_key


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sealed bundle; the current folder is the one where `store/` will be."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("LEWM_EVIDENCE_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    run = example_runs.finished(tmp_path / "runs", "fetch", lambda run: run.scalar("tiny/number", 1.0))
    folder = tmp_path / "evidence" / "0123456789abcdef0123"
    write_bundle(folder, {"fetch": run}, {"schema_version": 1}, [], signing_key(tmp_path, environment={}))
    return folder


def test_a_life_in_the_store(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Added, listed, verified, sent, fetched, written out, pinned, kept by a prune, unpinned and removed."""
    assert main(["store", "add", str(bundle)]) == 0
    address = capsys.readouterr().out.split()[1]
    assert main(["store", "list"]) == main(["store", "verify"]) == main(["store", "verify", address[:8]]) == 0
    assert address in capsys.readouterr().out
    assert main(["verify", address[:12], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["address"] == address
    assert main(["store", "push", address, "there"]) == main(["store", "list", "--at", "there"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == address
    assert main(["store", "pull", address[:8], "there", "--store", "second"]) == 0
    assert main(["store", "get", address[:8], "out.tar", "--store", "second"]) == main(["verify", "out.tar"]) == 0
    assert main(["store", "pin", address]) == main(["store", "prune", "--keep-latest", "0", "--yes"]) == 0
    assert main(["store", "unpin", address]) == main(["store", "prune", "--keep-latest", "0"]) == 0
    assert "1 bundles" in capsys.readouterr().out and (tmp_path / "store" / "bundles" / address).is_dir()
    assert main(["store", "prune", "--keep-latest", "0", "--yes"]) == 0
    assert list((tmp_path / "store" / "bundles").iterdir()) == []


def test_answers_as_json(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is listed, checked or would be removed is one object; the exit status is the same."""

    def told(status: int, *words: str) -> Any:
        capsys.readouterr()
        assert main(["store", *words, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    assert "is not a store" in told(2, "list")["error"]
    assert main(["store", "add", str(bundle)]) == 0
    (listed,) = told(0, "list")["bundles"]
    assert told(0, "prune", "--keep-latest", "0")["bundles"] == [listed] and listed["pinned"] is False
    assert main(["store", "push", listed["address"], "there"]) == 0
    assert told(0, "list", "--at", "there") == {"bundles": [{"address": listed["address"]}]}
    found = told(0, "verify")
    assert found["refused"] == [] and found["checked"] > 1
    blob = max(Path("store/blobs").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    blob.chmod(0o644)
    blob.write_bytes(b"altered")
    assert any(blob.name in fault["what"] for fault in told(1, "verify")["refused"])


def test_answers_by_exit_status(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1 for a bundle that is refused, 2 for what could not be done, each with a sentence."""
    assert main(["store", "list"]) == 2
    assert "is not a store" in capsys.readouterr().err
    assert main(["store", "add", str(tmp_path / "nothing")]) == 2
    page = next(bundle.rglob("records.jsonl"))
    page.write_bytes(page.read_bytes() + b" ")
    assert main(["store", "add", str(bundle)]) == 1
    assert "records.jsonl" in capsys.readouterr().out
    assert main(["store", "get", "0" * 64, "out"]) == 2
    assert main(["verify", "0" * 64]) == 2
    assert "no bundles" in capsys.readouterr().err


def test_finds_the_store_that_the_environment_names(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """LEWM_EVIDENCE_STORE takes the place of `store`."""
    monkeypatch.setenv("LEWM_EVIDENCE_STORE", str(tmp_path / "elsewhere"))
    assert main(["store", "add", str(bundle)]) == 0
    address = capsys.readouterr().out.split()[1]
    assert (tmp_path / "elsewhere" / "bundles" / address).is_dir() and main(["verify", address]) == 0
