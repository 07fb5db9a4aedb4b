"""What tests of several commands share."""

from pathlib import Path

import pytest

from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.bundle import write_bundle


@pytest.fixture(scope="session")
def bundle(examples: dict[str, FinishedRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder of the made-up runs; its name is its key. Read only."""
    folder = tmp_path_factory.mktemp("evidence") / "0123456789abcdef0123"
    write_bundle(folder, examples, {})
    return folder
