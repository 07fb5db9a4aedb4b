"""Which environment made a bundle, and how this one differs."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

from lewm_evidence.errors import StageError
from lewm_evidence.keys import PACKAGE, import_closure
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Spec


@dataclass(frozen=True)
class Change:
    """Something of the environment that is not the same here; None where it is absent."""

    what: str
    sealed: str | None
    here: str | None

    def __str__(self) -> str:
        return f"{self.what}: sealed with {self.sealed or 'none'}, here {self.here or 'none'}"


def needed(runs: Iterable[FinishedRun]) -> dict[str, Any]:
    """Returns what the runs were made with: python, platform, packages, threads, CPU, GPU, git, locks, Nix."""
    found: dict[str, Any] = {"packages": {}}
    for run in runs:
        environment = run.manifest.environment
        found["packages"] |= run.spec.packages
        for name, value in environment.items():
            # What only some stages load, such as torch and so the CPU capability, is None in the others.
            if name != "packages" and found.get(name) is None:
                found[name] = value
    return found


def described(environment: dict[str, Any], locks: Iterable[str]) -> list[str]:
    """Returns a few lines that say what is needed, for a person."""
    words = [f"python {environment.get('python')}", str(environment.get("platform") or "unknown platform")]
    words += [f"CPU {environment['cpu_capability']}"] if environment.get("cpu_capability") else []
    words += [f"{environment['gpu']}, CUDA {environment.get('cuda')}"] if environment.get("gpu") else []
    threads = environment.get("threads", 1)
    words += [f"{threads} thread{'' if threads == 1 else 's'}"]
    packages = ", ".join(f"{name} {version}" for name, version in sorted(environment["packages"].items()))
    lines = [", ".join(words), packages]
    if names := ", ".join(locks):
        lines.append(f"package locks in the bundle's data/requirements: {names}")
    if environment.get("nix"):
        lines.append(f"Nix environment {environment['nix']}")
    git = environment.get("git")
    if git:
        lines.append(f"code at commit {git['commit']}{', with changes' if git['dirty'] else ''}")
    return lines


def changes(environment: dict[str, Any], threads: int) -> list[Change]:
    """Returns in what this environment differs from the one that is needed."""
    here = _here(environment, threads)
    found = [
        Change(f"package {name}", version, _version(name))
        for name, version in sorted(environment["packages"].items())
        if _version(name) != version
    ]
    known = [name for name in here if name in environment]
    return found + [
        Change(name.replace("_", " "), _text(environment[name]), _text(here[name]))
        for name in known
        if environment[name] != here[name]
    ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _here(environment: dict[str, Any], threads: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": threads,
    }
    if environment.get("cpu_capability") and _version("torch"):
        torch = import_module("torch")
        found["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
        if environment.get("gpu"):
            cuda = torch.cuda.is_available()
            found |= {"gpu": torch.cuda.get_device_name() if cuda else None, "cuda": torch.version.cuda}
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def other_code(specs: Iterable[Spec]) -> list[str]:
    """Returns the stages whose installed code is not the code that the specs name."""
    found = []
    for spec in specs:
        try:
            digest = import_closure(f"{PACKAGE}.stages.{spec.stage}").digest
        except StageError:
            digest = ""
        if digest != spec.code:
            found.append(spec.stage)
    return found
