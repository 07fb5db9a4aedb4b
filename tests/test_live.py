"""A killed run leaves nothing to clean up; a live one is not disturbed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from lewm_evidence import live
from lewm_evidence.errors import EvidenceError

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom lewm_evidence.live import claim_folder\n"
    "claim_folder(Path(sys.argv[1]), ['evidence'])\nprint('held', flush=True)\ntime.sleep(60)"
)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Snakemake state folder with the lock files of an earlier run."""
    held: list[IO[str]] = []
    monkeypatch.setattr(live, "_held", held)
    path = tmp_path / ".snakemake"
    (path / "locks").mkdir(parents=True)
    (path / "locks" / "0.output.lock").write_text("runs/a\n")
    yield path
    for file in held:
        file.close()


def test_a_second_run_is_refused_until_the_first_is_killed(state: Path) -> None:
    """The sentence names the holder; after kill -9 the stale locks are dropped and the claim is ours."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(state)], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        (state / "locks").mkdir()
        with pytest.raises(EvidenceError, match=rf"another run is live in this folder \(process {first.pid}\)"):
            live.claim_folder(state, ["--cores", "4", "evidence"])
        assert (state / "locks").exists()
        first.send_signal(signal.SIGKILL)
    live.claim_folder(state, ["--cores", "4", "evidence"])
    assert not (state / "locks").exists()


@pytest.mark.parametrize("flag", ["-n", "-np", "--dry-run", "--summary", "--list-rules", "--report=x.html"])
def test_looking_neither_claims_nor_cleans(state: Path, flag: str) -> None:
    """A dry run beside a live run must not take its locks away."""
    live.claim_folder(state, ["--cores", "4", flag])
    assert (state / "locks" / "0.output.lock").exists()
    assert not (state / "live").exists()
