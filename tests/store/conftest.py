"""Three small sealed bundles that share most of their content, and a store."""

from pathlib import Path

import pytest

import example_runs
from lewm_evidence.records import Run
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.keys import VARIABLE, SigningKey, signing_key
from lewm_evidence.store.local import Store


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test signs with the key of whoever runs it."""
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a key and three bundles below `evidence/`. Read only: every test shares it."""
    work = tmp_path_factory.mktemp("project")
    key = signing_key(work, environment={})
    for number in range(3):
        seal(work, number, key)
    return work


def seal(work: Path, number: int, key: SigningKey) -> Path:
    """Seals a bundle of one run; bundles differ by a number and share a file."""

    def write(run: Run) -> None:
        run.scalar("tiny/number", float(number))
        (run.path / "views").mkdir()
        (run.path / "views" / "page.html").write_text("<p>" * 30_000)

    run = example_runs.finished(work / "runs", "fetch", write, {"number": number})
    folder = work / "evidence" / f"{number:020x}"
    write_bundle(folder, {"fetch": run}, {"schema_version": 1}, [], key)
    return folder


@pytest.fixture
def bundles(work: Path) -> list[Path]:
    """The bundle folders."""
    return sorted((work / "evidence").iterdir())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A new store."""
    return Store(tmp_path / "store", create=True)
