"""How a rule starts a stage: `python -m lewm_evidence.stages.NAME --runs DIR --spec JSON`.

The job locks its run directory, runs the stage and writes the manifest last. A failure leaves no manifest:
a sentence for a person on the console, exit status 1, and what was recorded so far to look at.
"""

import argparse
import fcntl
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from lewm_evidence.canonical import sha256_file
from lewm_evidence.errors import EvidenceError
from lewm_evidence.records.manifest import MANIFEST
from lewm_evidence.records.run import Run, run_key
from lewm_evidence.records.schema import Spec

RESUME = Path("logs") / "resume"  # what a resumable stage needs to go on, below its run directory


def main(
    stage: Callable[[Run], None], *, resumable: bool = False, product: Callable[[Path], Path] | None = None
) -> NoReturn:
    """Runs `stage` as a program and exits: 0 done, 1 refused with a sentence, 2 bad call, 130 or 143 stopped.

    Args:
        stage: writes records into the run it is given.
        resumable: keep what an interrupted run left, because the stage can continue from it.
        product: given the run directory, what the stage makes outside of it; when that is gone, it runs again.
    """
    parser = argparse.ArgumentParser(description=(sys.modules["__main__"].__doc__ or "").strip().split("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder that holds all run directories")
    parser.add_argument("--spec", required=True, help="the run's spec as JSON, or the path of a spec.json")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--ranks", type=int, default=1, help="processes that share a training (default 1)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        spec = _read_spec(args.spec)
        path = args.runs / spec.stage / run_key(spec)
        make = partial(Run, args.runs, spec, args.threads, args.ranks)
        _execute(stage, path, make, resumable, product(path) if product else None)
    except ValidationError as error:
        parser.error(f"--spec is not a spec: {error}")
    except EvidenceError as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _read_spec(text: str) -> Spec:
    if not text.lstrip().startswith("{"):
        text = Path(text).read_text(encoding="utf-8")
    return Spec.model_validate_json(text)


def _stop(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def _execute(
    stage: Callable[[Run], None], path: Path, make: Callable[[], Run], resumable: bool, product: Path | None
) -> None:
    with _locked(path):
        if (path / MANIFEST).exists() and (product is None or product.exists()):
            say(f"{path.parent.name}/{path.name} is already complete")
            return
        # Not before: whoever holds the lock clears what lies here.
        run = make()
        if not resumable:
            _clear(path)
        _set_threads(run.threads)
        start = time.perf_counter()
        with closing(run):
            stage(run)
            run.timing("stage/wall_time", time.perf_counter() - start)
            run.timing("stage/peak_memory", _peak_memory(), unit="bytes")
            manifest = run.finish(environment(run.spec, run.threads))
        shutil.rmtree(run.path / RESUME, ignore_errors=True)  # of use until the manifest is there
    say(f"{run.spec.stage}/{run.key} done, result {manifest.result_digest[:12]}")


def say(line: str) -> None:
    """Prints a line for the person who watches, at once."""
    print(line, flush=True)  # noqa: T201


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # One lock file per run directory, below logs/ so that it is never sealed. The kernel frees it on any death.
    lock = path / "logs" / "lock"
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"{path} is being made by another process; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            # Else the run was pruned while this job waited, and another job may have begun to make it anew.
            if lock.exists() and os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                yield
                return


def _clear(path: Path) -> None:
    for entry in path.iterdir():
        if entry.is_dir() and entry.name != "logs":
            shutil.rmtree(entry)
        elif entry.is_file() and entry.name != "spec.json":
            entry.unlink()


def _set_threads(threads: int) -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def environment(spec: Spec, threads: int) -> dict[str, Any]:
    """Returns what else the run depended on; never host or user names."""
    torch = sys.modules.get("torch")
    gpu = torch is not None and spec.device == "cuda"
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": spec.packages,
        "threads": threads,
        "cpu_capability": torch.backends.cpu.get_cpu_capability() if torch is not None else None,
        "gpu": torch.cuda.get_device_name() if gpu and torch is not None else None,
        "cuda": torch.version.cuda if gpu and torch is not None else None,
        "locks": {path.name: sha256_file(path) for path in lock_files()},
        "nix": _nix_environment(),
        "git": _git(),
    }


def lock_files() -> list[Path]:
    """Returns the package locks in the project's folder, where stages are started: pip's, and Nix's flake.lock."""
    return sorted([*Path("requirements").glob("*.txt"), *Path().glob("flake.lock")])


def _nix_environment() -> str | None:
    # The flake's shell and program set it. Only a path in the store is public: another could name a home folder.
    path = os.environ.get("LEWM_EVIDENCE_ENV", "")
    return path if re.fullmatch(r"/nix/store/[0-9a-z]{32}-[\w.+-]+", path) else None


def _git() -> dict[str, Any] | None:
    def ask(*words: str) -> str:
        return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return None


__all__ = ["RESUME", "environment", "lock_files", "main", "say"]
