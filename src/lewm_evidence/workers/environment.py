"""A worker's environment: `envs/<worker>-<digest of its locks>`, made from committed hash-locked requirements.

`python -m lewm_evidence.workers.environment NAME` makes one; the rule `worker_env` calls it so. `uv` is used where
it is on the PATH or beside this Python, else pip. What an interrupted installation left is removed by the next call.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lewm_evidence.canonical import canonical_json, sha256_bytes, sha256_file, write_atomic
from lewm_evidence.errors import ConfigError, EvidenceError, StageError

LOCKS = Path("workflow/envs")
ENVIRONMENTS = Path("envs")
READY = "ready.json"
# The locks were resolved for it; most of these libraries have no wheels for newer ones yet.
PYTHON = (3, 11)

Build = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class WorkerEnvironment:
    """What a worker's environment is made of.

    Attributes:
        worker: the worker's name.
        locks: its hash-locked requirement files; one ending in `.nodeps.txt` is installed as it stands, last.
        digests: sha256 by lock file name.
    """

    worker: str
    locks: tuple[Path, ...]
    digests: dict[str, str]

    @property
    def name(self) -> str:
        """`<worker>-<digest>`, the folder's name below `envs/`."""
        return f"{self.worker}-{sha256_bytes(canonical_json(self.digests))[:12]}"


def worker_environment(worker: str, build: Build, locks: Path = LOCKS) -> WorkerEnvironment:
    """Returns what the environment of `worker` is made of; raises `ConfigError` for one without a lock.

    Args:
        worker: its name.
        build: which build of torch; a lock without torch serves both.
        locks: folder of the requirement files.
    """
    for main in (locks / f"{worker}.{build}.txt", locks / f"{worker}.txt"):
        if main.is_file():
            alone = locks / f"{worker}.nodeps.txt"
            files = (main, alone) if alone.is_file() else (main,)
            return WorkerEnvironment(worker, files, {path.name: sha256_file(path) for path in files})
    known = sorted({path.name.split(".")[0] for path in locks.glob("*.txt")})
    raise ConfigError(f"worker {worker!r} has no lock in {locks}; there are locks for {', '.join(known) or 'none'}")


def make(environment: WorkerEnvironment, into: Path = ENVIRONMENTS) -> Path:
    """Makes the environment unless it is there, and returns its folder.

    Two callers at once are safe: the second waits. Only a complete environment holds `ready.json`.

    Raises:
        StageError: when no Python fits or an installation fails; the installer's last lines are in the message.
    """
    folder = into / environment.name
    into.mkdir(parents=True, exist_ok=True)
    with (into / f".{environment.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install(environment, folder)
            write_atomic(folder / READY, canonical_json({"worker": environment.worker, "locks": environment.digests}))
    return folder


def _install(environment: WorkerEnvironment, folder: Path) -> None:
    _call([_python(), "-m", "venv", folder])
    pip: list[str | Path] = [
        folder / "bin/python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--require-hashes",
    ]
    for lock in environment.locks:
        alone = lock.name.endswith(".nodeps.txt")
        if alone:
            # Such a package's own pins are what the worker works around, its Python version among them.
            _call([*pip, "--no-deps", "--ignore-requires-python", "-r", lock])
        elif not _by_uv(lock, folder):
            _call([*pip, "-r", lock])


def _by_uv(lock: Path, folder: Path) -> bool:
    """Installs `lock` with uv; False without it, or where it fails: it does not read all of pip's configuration."""
    uv = shutil.which("uv", path=_places())
    if uv is None:
        return False
    try:
        _call([uv, "pip", "install", "--quiet", "--python", folder / "bin/python", "--require-hashes", "-r", lock])
    except StageError as error:
        sys.stderr.write(f"{error}\ntrying pip\n")
        return False
    return True


def _places() -> str:
    # Beside this Python too, where `make setup` puts it.
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def _python() -> str:
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    found = shutil.which(f"python{PYTHON[0]}.{PYTHON[1]}")
    if found is None:
        raise StageError(
            f"workers need Python {PYTHON[0]}.{PYTHON[1]}, for which their requirements are locked; "
            f"this is {sys.version.split()[0]} and no python{PYTHON[0]}.{PYTHON[1]} is on the PATH"
        )
    return found


def _call(command: list[str | Path]) -> None:
    # uv finds wheels on disk where pip is told to.
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    surroundings = {**os.environ, **({"UV_FIND_LINKS": links} if links else {})}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=surroundings)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise StageError(f"{Path(command[0]).name} {command[1]} failed with status {done.returncode}:\n{last}")


def main() -> None:
    """Makes one worker's environment, as the rule `worker_env` asks."""
    parser = argparse.ArgumentParser(description="Make a worker's environment from its locks.")
    parser.add_argument("worker")
    parser.add_argument("--build", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--locks", type=Path, default=LOCKS, help="folder of the requirement files")
    args = parser.parse_args()
    try:
        environment = worker_environment(args.worker, args.build, args.locks)
        sys.stdout.write(f"{environment.name}: installing {', '.join(environment.digests)} (takes a minute or more)\n")
        make(environment)
    except EvidenceError as error:
        sys.exit(f"worker_env: {error}")


if __name__ == "__main__":
    main()
