"""The bench itself, with few and small runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.performance import ROOT, page


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the bench as `make bench` does."""
    command = [sys.executable, "-m", "bench.planner", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_quick_bench_measures_every_quantity_of_every_subject(tmp_path: Path) -> None:
    """Equal first, then measured; the peers too where their environment is made; the page can be written from it."""
    output = tmp_path / "planner.json"
    done = run("--quick", "--output", str(output))
    assert done.returncode == 0, done.stderr
    data = json.loads(output.read_text())
    subjects = {"Readable", "FastFp32", "FastBf16", "Upstream", "TorchWorld"}
    assert set(data["subjects"]) | set(data["skipped"]) == subjects
    for quantity in ("encode 8", "cost", "solve", "many"):
        assert set(data["quantities"][quantity]) == set(data["subjects"])
    assert "## Planning and training" in page(tmp_path)


def test_without_a_device_nothing_is_measured(tmp_path: Path) -> None:
    """`make bench-gpu` on a machine without CUDA says so, writes nothing and is no failure."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    done = run("--device", "cuda", "--output", str(tmp_path / "gpu.json"))
    assert (done.returncode, done.stdout) == (0, "bench: no CUDA device that torch could use; nothing was measured\n")
    assert not list(tmp_path.iterdir())
