"""A sealed bundle of the made-up runs, and copies of it to alter."""

import shutil
from pathlib import Path

import pytest

from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.keys import VARIABLE, SigningKey, signing_key

KEY = "0123456789abcdef0123"


@pytest.fixture(scope="session")
def lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package lock."""
    path = tmp_path_factory.mktemp("project") / "cpu.txt"
    path.write_text("pydantic==2.11.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    return path


@pytest.fixture(scope="session")
def sealed(
    examples: dict[str, FinishedRun], lock: Path, signer: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle folder of the made-up runs. Read only: every test shares it."""
    folder = tmp_path_factory.mktemp("project") / "evidence" / KEY
    write_bundle(folder, examples, {"schema_version": 1}, [lock], signer)
    return folder


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """The project's own key."""
    return signing_key(tmp_path_factory.mktemp("keys"), environment={})


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test signs with the key of whoever runs it."""
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def bundle(sealed: Path, tmp_path: Path) -> Path:
    """A copy of the bundle folder for one test to alter."""
    folder = tmp_path / "copy" / KEY
    shutil.copytree(sealed, folder)
    return folder
