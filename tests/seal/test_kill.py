"""Sealing is killed at every kind of moment: what stands is a whole bundle or none, and the next seal completes."""

import subprocess
import sys
from pathlib import Path

import example_runs
from lewm_evidence.seal.verify import verify

KEY = "0123456789abcdef0123"
# Run in a process of its own, because it forks and its children die by SIGKILL in the middle of a system call's
# wrapper: the audit hook sees each open for writing, mkdir, rename, link and removal before it happens.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.verify import verify

folder, run, wanted = Path(sys.argv[1]), FinishedRun(Path(sys.argv[2])), int(sys.argv[3])
STEPS = {"os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir"}


def seal(last):
    left = last

    def hook(event, args):
        nonlocal left
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if event in STEPS or writes:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    write_bundle(folder, {"fetch": run}, {"seal": {"compress": bool(last % 2)}})
    os._exit(0)


def killed(last):
    child = os.fork()
    if child == 0:
        seal(last)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


write_bundle(folder, {"fetch": run}, {})
address = verify(folder).address
steps, kills, gone = 1, 0, 0
while killed(steps):
    kills += 1
    if folder.exists():
        verify(folder)
    else:
        gone += 1
        write_bundle(folder, {"fetch": run}, {})
    steps += 1
write_bundle(folder, {"fetch": run}, {})
assert verify(folder).address == address
assert [path.name for path in folder.parent.iterdir()] == [folder.name]
assert kills >= wanted, kills
print(kills, gone)
"""


def test_killed_at_every_step(tmp_path: Path) -> None:
    """Before each open for writing, mkdir, rename, link and removal in turn, plain and compressed."""
    run = example_runs.finished(tmp_path / "runs", "fetch", example_runs.write_fetch)
    folder = tmp_path / "evidence" / KEY
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder, run.path, "50"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    kills, gone = map(int, told.stdout.split())
    # Between the two renames that replace a bundle there is none; the old one is then made again.
    assert kills >= 50 and gone <= 2
    assert verify(folder).files > 0
