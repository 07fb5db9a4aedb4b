"""A project folder of its own for the real `snakemake`."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "workflow" / "tiny.yaml"


@dataclass(frozen=True)
class Project:
    """A working directory in which the project's own Snakefile runs.

    Attributes:
        path: the folder that gets `runs/`, `evidence/` and `.snakemake/`.
        patience: seconds after which a call has failed.
    """

    path: Path
    patience: float = 240

    def command(self, *words: str, **changes: object) -> list[str]:
        """The command line of `snakemake --cores 2 WORDS` on the tiny configuration with `changes`."""
        config = {**yaml.safe_load(TINY.read_text()), **changes}
        file = self.path / f"config-{len(list(self.path.glob('config-*')))}.yaml"
        file.write_text(yaml.safe_dump(config))
        # --configfile takes every word up to the next option, so it does not come last.
        where = ["--configfile", str(file), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(self.path)]
        return [sys.executable, "-m", "snakemake", "--cores", "2", *where, *words]

    def snakemake(self, *words: str, **changes: object) -> subprocess.CompletedProcess[str]:
        """Runs it and returns status and output, both streams in one."""
        command = self.command(*words, **changes)
        # A session of its own: what a test leaves running is found and ended by its group.
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.path, start_new_session=True
        ) as job:
            try:
                output, _ = job.communicate(timeout=self.patience)
            except BaseException:
                os.killpg(job.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, job.returncode, output)

    def jobs(self, *words: str, **changes: object) -> set[str]:
        """Returns the rules that a dry run names."""
        output = self.snakemake("-n", *words, **changes).stdout
        return set(re.findall(r"^(\w+) +\d+$", output, re.MULTILINE)) - {"total"}

    def keys(self) -> dict[str, str]:
        """Returns each finished run's result digest by `<stage>/<key>`."""
        manifests = sorted(self.path.glob("runs/*/*/manifest.json"))
        return {
            f"{path.parent.parent.name}/{path.parent.name}": json.loads(path.read_text())["result_digest"]
            for path in manifests
        }
