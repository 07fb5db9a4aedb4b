"""A child never outlives the block it was started for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe import process
from lewm_evidence.probe.process import child, last_lines, listens

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(99)"


def wait_for(log: Path, text: str) -> None:
    """Returns when `text` stands in the log; fails after ten seconds."""
    end = time.monotonic() + 10
    while text not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < end, f"{text!r} never came"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Says whether a process has ended within five seconds (a zombie counts as ended)."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM comes first; what is left after the grace period is killed."""
    monkeypatch.setattr(process, "_GRACE", 0.1)
    with child([sys.executable, "-c", STUBBORN], tmp_path / "log") as started:
        wait_for(tmp_path / "log", "on")
    assert started.returncode == -signal.SIGKILL


def test_grandchildren_end_too(tmp_path: Path) -> None:
    """A program that started another one, as wrappers do, leaves nothing behind."""
    with child(["sh", "-c", "sleep 99 & echo pid $!.; wait"], tmp_path / "log"):
        wait_for(tmp_path / "log", ".")
    assert gone(int((tmp_path / "log").read_text().split()[1].rstrip(".")))


def test_an_error_in_the_block_ends_the_child(tmp_path: Path) -> None:
    """The error passes through and the child is gone."""
    with pytest.raises(ZeroDivisionError), child(["sleep", "99"], tmp_path / "log") as started:
        raise ZeroDivisionError
    assert started.returncode == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_probe_takes_its_child_along(tmp_path: Path) -> None:
    """When the probe itself is killed and cannot clean up, the kernel ends its child."""
    code = (
        "import sys, time; from pathlib import Path; from lewm_evidence.probe.process import child\n"
        "with child(['sleep', '99'], Path(sys.argv[1])) as started: print(started.pid, flush=True); time.sleep(99)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as probe:
        assert probe.stdout is not None
        pid = int(probe.stdout.readline())
        os.kill(probe.pid, signal.SIGKILL)
    assert gone(pid)


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """A program that is not installed gives a sentence."""
    with (
        pytest.raises(ProbeError, match=r"no-such-viewer is not a program that can be started"),
        child(["no-such-viewer"], tmp_path / "log"),
    ):
        pass


def test_last_lines_of_a_silent_program(tmp_path: Path) -> None:
    """An empty log does not make an empty message."""
    (tmp_path / "log").write_text("")
    assert last_lines(tmp_path / "log") == "(it printed nothing)"


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")
def test_nobody_listens_on_a_free_port() -> None:
    """A port without listener belongs to nobody, so not to us either."""
    assert listens(os.getpgid(0), 1) is False
