"""The measurement of the command line's start, with one turn."""

import json
import subprocess
import sys
from pathlib import Path

from bench.performance import ROOT, page


def test_a_turn_measures_every_command(tmp_path: Path) -> None:
    """Ours, bare Python and the peers; ours are within the bound, and the page can be written from it."""
    command = [sys.executable, "bench/startup.py", "--repeats", "1", "--output", tmp_path / "startup.json"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    data = json.loads((tmp_path / "startup.json").read_text())
    ours = [row["cpu"] for name, row in data["seconds"].items() if name.startswith("lewm-evidence")]
    assert data["passed"] is True and len(ours) == 5 and max(ours) < data["bound"]
    assert data["seconds"]["snakemake --version"]["cpu"] > max(ours) > data["seconds"]["python -c pass"]["cpu"]
    assert "x bare Python" in told.stdout and "`snakemake --version`" in page(tmp_path)
