"""Two Snakemake processes in two working folders that share one store of runs."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from project import Project

from lewm_evidence.records.manifest import MANIFEST, entries, read_manifest


def head(folder: Path, store: Path) -> Project:
    """Returns a working folder of its own with `runs` and `evidence` in the store."""
    folder.mkdir()
    for name in ("runs", "evidence"):
        (store / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(store / name)
    return Project(folder)


@pytest.mark.slow
def test_two_heads_on_one_store_make_every_run_once(tmp_path: Path) -> None:
    """Each waits for what the other makes and takes it as it is, also when it was planned before that was there.

    The first measures at once; the second makes the showcase first, so that it comes to the measurement with a plan in
    which nothing of it exists, while the other's gate already reads it.
    """
    store = tmp_path / "store"
    calls = {
        "first": ["--cores", "1", "--prioritize", "evaluate", "--", "gate"],
        "second": ["--cores", "1", "--prioritize", "showcase", "--", "showcase", "gate"],
    }
    jobs = {
        name: subprocess.Popen(
            head(tmp_path / name, store).command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path / name,
        )
        for name, words in calls.items()
    }
    told = {name: job.communicate(timeout=900)[0] for name, job in jobs.items()}
    assert {name: job.returncode for name, job in jobs.items()} == {"first": 0, "second": 0}, "\n".join(told.values())
    logs = "".join(log.read_text() for log in store.glob("runs/*/*/logs/console-*.log"))
    made = Counter(re.findall(r"^(\w+)/\w+ done, result", logs, re.MULTILINE))
    assert made == {"fetch": 1, "showcase": 1, "evaluate": 1, "gate": 1}
    assert re.findall(r"evaluate/\w+ is already complete", told["second"])
    for manifest in store.glob(f"runs/*/*/{MANIFEST}"):
        assert read_manifest(manifest).files == entries(manifest.parent)
        # Each head keeps its own console output.
        assert len(list(manifest.parent.glob("logs/console-*.log"))) in (1, 2)
    after = Project(tmp_path / "second").snakemake("-n", "gate", "showcase")
    assert "Nothing to be done" in after.stdout
