"""A subject's process, and what it answers."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class BenchError(Exception):
    """The bench cannot go on; the message says why."""


class Subject:
    """One subject in a process of its own, which ends with the `with` block."""

    def __init__(self, name: str, python: Path, folder: Path, device: str, threads: int) -> None:
        self.name = name
        command = [python, "-m", "bench.planner.worker", name, folder, "--device", device, "--threads", str(threads)]
        # Libraries read the number of threads when they load; the sources serve where nothing is installed.
        settings = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        settings["PYTHONPATH"] = f"{ROOT}:{ROOT / 'src'}"
        self.log = (folder / f"{name}.log").open("a")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | settings,
            start_new_session=True,
        )

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Returns the answer to an order.

        Raises:
            BenchError: when the subject fails or ends.
        """
        assert self.process.stdin and self.process.stdout
        try:
            print(json.dumps({"do": do} | order), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            last = Path(self.log.name).read_text().strip().splitlines()[-1:] or ["it said nothing"]
            raise BenchError(f"{self.name} ended during {do}: {last[0]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BenchError(f"{self.name} failed in {do}: {answer['error']}")
        return answer

    def __enter__(self) -> "Subject":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream:
                stream.close()
