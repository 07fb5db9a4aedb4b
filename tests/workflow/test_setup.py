"""What `scripts/setup` says when it is stopped; a stand-in for Python needs no package index."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from project import ROOT

# It is asked for its version, makes .venv, and there is the pip that fetches packages for a minute.
_PYTHON = """#!/usr/bin/env bash
case "$*" in
"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*--version) [ "$0" = .venv/bin/python ] ;;
*--progress-bar*) echo "Collecting torch==2.13.0" && exec sleep 60 ;;
esac
"""


def test_ctrl_c_is_not_taken_for_a_missing_network(tmp_path: Path) -> None:
    """It says that it was stopped and how to go on, and nothing is marked as ready."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", tmp_path / "scripts")
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    python = tmp_path / "python"
    python.write_text(_PYTHON)
    python.chmod(0o755)
    words = [tmp_path / "scripts" / "setup", python]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as job:
        assert job.stdout is not None and job.stderr is not None
        assert job.stdout.readline().startswith("setup: installing")
        log = tmp_path / ".venv" / "setup.log"
        while not log.exists() or "Collecting" not in log.read_text():
            assert job.poll() is None
        os.killpg(job.pid, signal.SIGINT)
        assert job.wait(20) == 1
        assert job.stderr.read() == "setup: stopped; call make again to go on\n"
    assert not (tmp_path / ".venv" / "ready").exists()
