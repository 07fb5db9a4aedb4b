"""A worker's run ends with a clear answer, however it ends."""

import json
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lewm_evidence.workers
from lewm_evidence.errors import StageError
from lewm_evidence.workers import contract
from lewm_evidence.workers.contract import Told, run_worker, ulid

TELEMETRY = Path(lewm_evidence.workers.__path__[0]) / "adapters" / "telemetry.py"
CONFIG = {"algo": "toy", "hyperparameters": {}, "seed": 3, "env_id": "none", "total_timesteps": 10}


def run_body(folder: Path, body: str, time_limit: float = 30.0) -> Told:
    """Runs a worker whose `run` has the given lines; it is a program of its own, as the real ones are."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(TELEMETRY, folder)
    script = folder / "toy_worker.py"
    script.write_text(
        "import os, signal, sys, time, resource\nfrom pathlib import Path\nfrom telemetry import Source, main\n"
        "def sources(algo):\n    return {'charts/SPS': None, 'losses/entropy': Source(['h'], 'mean', -1.0)}\n"
        f"def run(worker):\n{textwrap.indent(textwrap.dedent(body), '    ')}\nmain(run, sources)\n"
    )
    return run_worker([sys.executable, script], "RUN", CONFIG, folder / "logs", 1, time_limit)


def test_a_completed_run_tells_sources_and_checkpoints(tmp_path: Path) -> None:
    """What libraries print does not mix with the lines of the contract."""
    told = run_body(
        tmp_path,
        """
        print("noise on standard output", flush=True)
        os.system("echo more of it")
        saved = worker.logs / "model.pt"
        saved.write_bytes(b"1234")
        worker.checkpoint(saved, 10)
        """,
    )
    assert told.ended == "completed"
    assert told.sources == {"charts/SPS": None, "losses/entropy": {"tags": ["h"], "estimator": "mean", "scale": -1.0}}
    assert told.checkpoints == [{"path": "model.pt", "step": 10, "bytes": 4}]
    lines = [json.loads(line) for line in (tmp_path / "logs/telemetry.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["run_started", "checkpoint_saved", "run_completed"]
    assert all(sorted(line) == ["event", "payload", "run_id", "timestamp"] for line in lines)
    assert "noise on standard output\nmore of it" in (tmp_path / "logs/worker.log").read_text()


def test_its_home_and_temporary_files_are_its_own_and_do_not_stay(tmp_path: Path) -> None:
    """Nothing is written to the user's home, and what the worker leaves in its own is removed."""
    run_body(
        tmp_path,
        """
        (Path.home() / "left").write_text("x")
        seen = (str(Path.home()), os.environ["TMPDIR"], os.environ["OMP_NUM_THREADS"])
        (worker.logs / "seen").write_text(" ".join(seen))
        """,
    )
    home, temporary, threads = (tmp_path / "logs/native/seen").read_text().split()
    assert home != str(Path.home()) and threads == "1"
    assert not Path(home).exists() and not Path(temporary).exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('almost there')\nraise ValueError('no such algorithm')", r"failed \(ValueError: no such algorithm\)"),
        ("print('almost there')\nsys.stdout.flush()\nos.kill(os.getpid(), signal.SIGKILL)", "was killed .* memory"),
        ("print('almost there')\nsys.stdout.flush()\nos.abort()", "crashed .SIGABRT"),
        ("print('almost there')\nsys.stdout.flush()\nos._exit(7)", "ended with status 7 without a word"),
        (
            "print('almost there')\nresource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\nbytearray(2**31)",
            r"failed \(out of memory\)",
        ),
        (
            "print('almost there')\nsys.stdout.flush()\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(5)",
            "was cancelled",
        ),
    ],
)
def test_how_it_ended_is_said_with_the_last_lines(tmp_path: Path, body: str, said: str) -> None:
    """A failed, killed, crashed, silent, starved and cancelled worker each get their own sentence."""
    with pytest.raises(StageError, match=rf"(?s)worker RUN {said}.*almost there"):
        run_body(tmp_path, body)


def test_a_hanging_worker_is_ended_at_its_time_limit(tmp_path: Path) -> None:
    """A worker that still beats but never ends, and its children, are stopped."""
    with pytest.raises(StageError, match=r"took more than 2 s and was ended"):
        run_body(
            tmp_path,
            "child = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '60')\n"
            "(worker.logs / 'pid').write_text(str(child))\ntime.sleep(60)",
            time_limit=2,
        )
    pid = int((tmp_path / "logs/native/pid").read_text())
    assert not Path(f"/proc/{pid}").exists() or "(sleep) Z" in Path(f"/proc/{pid}/stat").read_text()


def test_a_frozen_worker_is_ended_when_it_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process sends no heartbeat."""
    monkeypatch.setattr(contract, "_SILENCE", 1.0)
    with pytest.raises(StageError, match=r"said nothing for \d+ s and was ended"):
        run_body(tmp_path, "os.kill(os.getpid(), signal.SIGSTOP)")


def test_killing_the_head_ends_the_worker(tmp_path: Path) -> None:
    """A SIGTERM to the process that watches ends the worker too, with its cancellation told."""
    script = tmp_path / "head.py"
    script.write_text(
        "import sys, signal\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n"
        "signal.signal(signal.SIGTERM, lambda *a: sys.exit(143))\nimport test_contract\n"
        "test_contract.run_body(Path(sys.argv[2]), 'time.sleep(60)')\n"
    )
    head = subprocess.Popen([sys.executable, script, str(Path(__file__).parent), tmp_path / "run"])
    telemetry = tmp_path / "run/logs/telemetry.jsonl"
    end = time.monotonic() + 20
    while time.monotonic() < end and not (telemetry.exists() and telemetry.stat().st_size):
        time.sleep(0.1)
    head.send_signal(signal.SIGTERM)
    assert head.wait(20) == 143
    assert '"run_cancelled"' in telemetry.read_text()


@given(st.integers(min_value=0, max_value=2**80 - 1))
def test_the_label_is_a_ulid_of_the_key(number: int) -> None:
    """26 characters of Crockford's alphabet that hold the key, whole."""
    label = ulid(f"{number:020x}")
    assert len(label) == 26 and set(label) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    value = 0
    for letter in label:
        value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    assert value == number
