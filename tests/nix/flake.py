"""A copy of the project that Nix runs against the test double of nixpkgs beside this file."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOUBLE = Path(__file__).parent / "nixpkgs"
SETTINGS = """
experimental-features = nix-command flakes
build-users-group =
sandbox = false
substituters =
warn-dirty = false
flake-registry = {registry}
"""


@dataclass(frozen=True)
class Checkout:
    """The project's files in a repository of their own, and the double beside it.

    Attributes:
        path: the repository.
        double: the folder given as nixpkgs.
        state: a folder for Nix's configuration and caches.
    """

    path: Path
    double: Path
    state: Path

    def nix(self, *words: str, double: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `nix WORDS`, the first word a verb, with the double in place of nixpkgs if that is wanted."""
        override = ["--override-input", "nixpkgs", f"path:{self.double}", "--no-write-lock-file"] if double else []
        verb, *rest = words
        settings = SETTINGS.format(registry=self.state / "registry.json")
        environment = os.environ | {"NIX_CONFIG": settings, "XDG_CACHE_HOME": str(self.state)}
        for name in ("PYTHONPATH", "VIRTUAL_ENV"):
            environment.pop(name, None)
        command = ["nix", *verb.split(), *override, *rest]
        return subprocess.run(command, check=False, cwd=self.path, env=environment, capture_output=True, text=True)

    def write(self, name: str, old: str, new: str) -> None:
        """Replaces `old` in a file of the copy; it must be there once."""
        text = (self.path / name).read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        (self.path / name).write_text(text.replace(old, new))


def checkout(folder: Path) -> Checkout:
    """Makes one in `folder` from the files that git knows or would add."""
    source, double, state = folder / "project", folder / "nixpkgs", folder / "state"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():  # a deleted file is still in the index
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    shutil.copytree(DOUBLE, double)
    (double / "host.json").write_text(json.dumps({"venv": sys.prefix, "for": str(folder)}))
    state.mkdir()
    (state / "registry.json").write_text('{"flakes": [], "version": 2}')
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        subprocess.run(["git", *words], cwd=source, check=True)
    return Checkout(source, double, state)
