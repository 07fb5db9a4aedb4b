"""Every command and every program in README.md and docs/ runs, page by page, in a project with finished evidence.

What cannot run here is listed with the reason. It is still tried as far as it goes: `snakemake` with `-n`, and
whatever has flags or targets by `test_every_command_is_understood`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
from project import TINY

from pages import ROOT, Block, blocks, shell

# By the beginning of the command, why it is not run; a test asks that each of them is still in a page.
NOT_RUN = {
    "make test": "it is what runs the tests",
    "make embedded": "trains the shipped checkpoints for minutes; tests/training/test_shipped.py checks what it made",
    "pip install": "needs a package index; the extras are looked up by test_every_command_is_understood",
    "lewm-evidence report$": "opens a browser; tests/cli/test_report.py runs it",
    "lewm-evidence report evidence/KEY --terminal": "stays until q; tests/tui runs it",
    "lewm-evidence report evidence/KEY$": "opens a browser; tests/cli/test_report.py runs it",
    "lewm-evidence watch": "stays until q; tests/tui runs it",
    "nix ": "needs Nix; tests/nix runs the flake",
    "lewm-evidence open-tensorboard --logdir evidence/KEY$": "serves until Ctrl-C",
    "lewm-evidence open-tensorboard --logdir runs --follow": "serves until Ctrl-C; tests/cli/test_open.py ends it",
    "lewm-evidence open-rerun": "opens a window until it is closed; tests/cli/test_rerun.py runs it",
    "lewm-evidence pin": "asks the hub; tests/checkpoint/test_pinning.py runs it against one on loopback",
    "lewm-evidence store push 5f0c93d1 s3": "needs a server; tests/store runs it against one on loopback",
    "lewm-evidence store push 5f0c93d1 hf": "needs the hub; tests/store runs it against one on loopback",
    "lewm-evidence store list --at s3": "needs a server; tests/store runs it against one on loopback",
    "lewm-evidence store pull 5f0c93d1 s3": "needs a server; tests/store runs it against one on loopback",
    "rocrate-validator": "has an environment of its own; tests/seal/test_crate.py runs it",
    "snakemake train --cores 2": "trains for minutes; tests/workflow/test_train.py runs it on small numbers",
    "snakemake train --cores 16": "trains for hours on GPUs",
    "snakemake tables": "takes minutes; tests/workflow/test_tables.py runs it on small numbers",
    "snakemake sweep --cores 4": "trains and measures for minutes",
    "snakemake aggregate": "trains and measures for minutes",
    "snakemake workers": "installs foreign trainers; tests/workflow/test_workers.py runs it",
    "snakemake wandb": "installs W&B; tests/workflow/test_workers.py runs it",
    "snakemake sweep --workflow-profile": "needs Slurm; tests/cluster runs it on a real one",
}
# What a dry run asks for as well: Slurm's plugin, a CUDA build of torch.
NOT_EVEN_DRY = ("profiles/slurm", "configs/paper.yaml")
# Commands that say no on purpose.
SAYS_NO = ("lewm-evidence verify changed",)


def why_not(line: str) -> str | None:
    """Returns why a command is not run, or None when it is."""
    return next((why for start, why in NOT_RUN.items() if re.match(start, bare(line))), None)


def bare(line: str) -> str:
    """Returns a command without the comment behind it."""
    return re.sub(r" +#.*", "", line)


def test_the_list_of_what_is_not_run_is_short_of_nothing() -> None:
    """Each entry is about a command that a page shows, and gives a reason."""
    lines = [line for block in shell() for line, _ in block.commands]
    unused = {start for start in NOT_RUN if not any(re.match(start, bare(line)) for line in lines)}
    assert unused == set()
    assert all(len(why.split()) > 2 for why in NOT_RUN.values())


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that is set up, with small numbers in its config.yaml, and the files that pages tell people to write."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Makefile", "Snakefile", "flake.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("requirements", "scripts", "workflow"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "profiles").symlink_to("workflow/profiles")
    (folder / "src").symlink_to(ROOT / "src")
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv/ready").touch()
    for name in ("config.yaml", "mine.yaml"):
        shutil.copy(TINY, folder / name)
    for block in blocks("yaml"):
        if name := re.match(r"# ([\w.-]+)\n", block.text):
            (folder / name[1]).write_text(block.text)
    return folder


@pytest.fixture(scope="session")
def finished(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after `make evidence`, with the bundle's archive at hand, and its key in a list of trusted ones."""
    folder = tmp_path_factory.mktemp("finished") / "clone"
    shutil.copytree(clone, folder, symlinks=True)
    run("make evidence", folder)
    (bundle,) = (folder / "evidence").iterdir()
    shutil.copy(bundle / f"{bundle.name}.tar", folder)
    shutil.copy(bundle / "allowed_signers", folder / "people.txt")
    return folder


def run(script: str, folder: Path, status: int = 0) -> str:
    """Runs lines of a shell in `folder` and returns what they print; fails when they do not end with `status`."""
    around = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    words = ["bash", "-euo", "pipefail", "-c", script]
    with subprocess.Popen(
        words,
        cwd=folder,
        env=around,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as job:
        try:
            output, _ = job.communicate(timeout=300)
        except BaseException:
            os.killpg(job.pid, signal.SIGKILL)
            raise
    assert job.returncode == status, f"{script}\n{output}"
    return output


def filled_in(text: str, folder: Path) -> str:
    """Returns a page's lines with the keys and the address of what lies in `folder` instead of placeholders."""
    text = re.sub(r"runs/(\w+)/KEY", lambda found: f"runs/{found[1]}/{first(folder / 'runs' / found[1])}", text)
    if re.search(r"\bKEY\b|5f0c93d1", text):
        key = first(folder / "evidence")
        address = json.loads((folder / "evidence" / key / "bundle.json").read_text())["address"]
        text = re.sub(r"\bKEY\b", key, text).replace("5f0c93d1", address.removeprefix("sha256:")[:8])
    return text


def first(folder: Path) -> str:
    """Returns the name of what was made first in a folder."""
    return min(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns).name


def shown(line: str) -> str:
    """Returns a line of output without what differs between two runs: digests, numbers, sizes, columns."""
    line = re.sub(r"\b[0-9a-f]{12,}\b|\bKEY2?\b", "HEX", line)
    return " ".join(re.sub(r"-?\b\d[\d.,]*( (B|kB|MB|GB))?", "N", line).split())


def missing(wanted: list[str], output: str) -> list[str]:
    """Returns the first line that a page shows and `output` does not have behind the ones before it, or nothing."""
    lines = iter([shown(line) for line in output.splitlines()])
    for line in wanted:
        pattern = re.escape(shown(line)).replace("…", ".*")
        if not any(re.fullmatch(pattern, found) for found in lines):
            return [line]
    return []


def try_block(block: Block, folder: Path) -> None:
    """Runs what can be run of a block; of `console` each command must print what the page shows."""
    runnable = []
    for line, wanted in block.commands:
        if why_not(line):
            if line.startswith("snakemake") and not any(needed in line for needed in NOT_EVEN_DRY):
                run(filled_in(line.replace("snakemake ", "snakemake -n "), folder), folder)
        elif block.language == "console":
            output = run(filled_in(line, folder), folder, status=1 if line.startswith(SAYS_NO) else 0)
            assert missing(wanted, output) == [], output
        else:
            runnable.append(line)
    if runnable:
        run(filled_in("\n".join(runnable), folder), folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [name for name, _ in groupby(blocks("sh", "console", "python"), lambda block: block.page)]
)
def test_every_command_of_a_page_runs(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """In order, in a clone of its own; the tutorial begins with nothing made. Then the page's Python, as a program."""
    folder = tmp_path / "clone"
    shutil.copytree(request.getfixturevalue("clone" if page == "tutorial.md" else "finished"), folder, symlinks=True)
    for block in shell():
        # tests/seal/test_review.py runs the review, in the folder of a bundle, also of broken ones.
        if block.page == page and "DSSEv1" not in block.text:
            try_block(block, folder)
    program = "\n".join(block.text for block in blocks("python") if block.page == page)
    if program and "from telemetry import" not in program:
        (folder / "program.py").write_text(filled_in(program, folder))
        run("python program.py", folder)
