"""Fixtures that several rooms share. This file also puts `tests/` on the path, for `import example_runs`."""

from pathlib import Path

import pytest

import example_runs
from lewm_evidence.records import FinishedRun


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FinishedRun]:
    """Finished made-up runs by stage name, in a folder of runs. Read only: every test shares them."""
    folder: Path = tmp_path_factory.mktemp("examples") / "runs"
    return example_runs.build(folder)
