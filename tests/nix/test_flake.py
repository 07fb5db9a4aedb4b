"""The flake, run by a real Nix on a test double of nixpkgs; docs/nix.md says what that proves and what not."""

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flake import ROOT, Checkout, checkout

from lewm_evidence.canonical import sha256_file
from lewm_evidence.records import FinishedRun

pytestmark = [
    pytest.mark.nix,
    pytest.mark.skipif(shutil.which("nix") is None, reason="Nix is not installed; scripts/components installs it"),
]
STORE = r"/nix/store/[0-9a-z]{32}-"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the project. Nobody changes its tracked files."""
    return checkout(tmp_path_factory.mktemp("flake"))


@pytest.fixture
def broken(tmp_path: Path) -> Checkout:
    """A copy of the project to break."""
    return checkout(tmp_path)


def passed(done: subprocess.CompletedProcess[str]) -> str:
    """Returns what a call printed, if it succeeded."""
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_the_checks_run(project: Checkout) -> None:
    """`nix flake check` evaluates every output for every system and runs tests, lint and a dry run."""
    done = project.nix("flake check", "--print-build-logs")
    passed(done)
    assert re.search(r"tests> \d{2,} passed", done.stderr)
    assert "lint> All checks passed!" in done.stderr
    assert re.search(r"dag> evidence +1\n", done.stderr)


def test_a_failing_check_fails(broken: Checkout) -> None:
    """The first of the lint's three programs refuses, and so does `nix flake check`."""
    module = broken.path / "src" / "lewm_evidence" / "errors.py"
    module.write_text(module.read_text() + "import os\n")
    done = broken.nix("flake check", "--print-build-logs")
    assert done.returncode != 0
    assert "F401" in done.stderr


def test_an_unknown_dependency_fails(broken: Checkout) -> None:
    """A name in pyproject.toml that nixpkgs does not have is an error that names it."""
    broken.write("pyproject.toml", '  "tqdm>=4.67,<5",\n', '  "tqdm>=4.67,<5",\n  "no.such_package>=1",\n')
    done = broken.nix("flake check", "--no-build")
    assert done.returncode != 0
    assert "nixpkgs has no no-such-package" in done.stderr


def test_every_system_has_its_outputs(project: Checkout) -> None:
    """Three systems, with a shell for CUDA on Linux only."""
    shells = passed(
        project.nix("eval", "--json", ".#devShells", "--apply", "builtins.mapAttrs (_: builtins.attrNames)")
    )
    linux = ["cuda", "default"]
    assert json.loads(shells) == {"aarch64-darwin": ["default"], "aarch64-linux": linux, "x86_64-linux": linux}
    for name in ("apps", "packages"):
        systems = passed(
            project.nix("eval", "--json", f".#{name}", "--apply", "builtins.mapAttrs (_: set: set ? default)")
        )
        assert json.loads(systems) == dict.fromkeys(json.loads(shells), True)


def test_the_cuda_shell_finds_the_driver_first(project: Checkout) -> None:
    """Its packages are built for CUDA, and the driver's folder leads the library path."""
    told = passed(project.nix("develop", ".#cuda", "-c", "bash", "-c", 'echo "$cuda $LD_LIBRARY_PATH"'))
    assert told.startswith("1 /run/opengl-driver/lib")
    assert passed(project.nix("develop", "-c", "bash", "-c", 'echo "[$cuda]"')) == "[]\n"


def test_the_shell_has_the_command(project: Checkout) -> None:
    """`lewm-evidence` runs the sources of the checkout, and its exit status passes through."""
    assert passed(project.nix("develop", "-c", "lewm-evidence", "--version")).startswith("lewm-evidence ")
    assert project.nix("develop", "-c", "lewm-evidence", "verify", "no-such-bundle").returncode == 2


def test_the_program_is_snakemake_on_the_evidence(project: Checkout) -> None:
    """`nix run .#evidence -- -n` plans the bundle; a failure passes through."""
    assert re.search(r"^evidence +1$", passed(project.nix("run", ".#evidence", "--", "-n")), re.MULTILINE)
    assert project.nix("run", ".#evidence", "--", "-n", "no_such_rule").returncode != 0


def test_the_package_has_the_command(project: Checkout, tmp_path: Path) -> None:
    """`nix build` makes what a reviewer installs."""
    passed(project.nix("build", "--out-link", str(tmp_path / "result")))
    command = [tmp_path / "result" / "bin" / "lewm-evidence", "--version"]
    version = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert re.fullmatch(r"lewm-evidence \d+\.\d+\.\d+\n", version)


def test_a_run_in_the_shell_is_the_run_outside(project: Checkout, broken: Checkout) -> None:
    """Equal package versions give equal keys, directories and results; only the manifest's environment differs."""
    words = ["snakemake", "--cores", "1", "fetch", "--configfile", "tests/workflow/tiny.yaml"]
    passed(project.nix("develop", "-c", *words))
    outside = broken.path
    subprocess.run([sys.executable, "-m", *words], cwd=outside, check=True, capture_output=True)
    (inside,) = project.path.glob("runs/fetch/*")
    made, other = FinishedRun(inside), FinishedRun(outside / inside.relative_to(project.path))
    assert made.manifest.result_digest == other.manifest.result_digest
    assert re.fullmatch(STORE + "python3-env", made.manifest.environment["nix"])
    assert other.manifest.environment["nix"] is None
    assert made.manifest.environment["locks"]["flake.lock"] == sha256_file(ROOT / "flake.lock")

    def planned(output: str) -> set[str]:
        return set(re.findall(r"runs/\w+/[0-9a-f]{20}", output))

    dry = passed(project.nix("develop", "-c", *words[:3], "-n", "evidence"))
    plain = subprocess.run(
        [sys.executable, "-m", *words[:3], "-n", "evidence"], cwd=outside, check=True, capture_output=True, text=True
    )
    assert planned(dry) == planned(plain.stdout) and len(planned(dry)) > 9


def test_the_lock_is_that_of_the_flake(project: Checkout) -> None:
    """Without the double and without a network: one input, pinned by a full revision and a hash."""
    told = json.loads(passed(project.nix("flake metadata", "--json", "--no-update-lock-file", double=False)))
    nodes = told["locks"]["nodes"]
    assert set(nodes) == {"root", "nixpkgs"}
    locked = nodes["nixpkgs"]["locked"]
    assert re.fullmatch("[0-9a-f]{40}", locked["rev"]) and locked["narHash"].startswith("sha256-")


def test_wheels_packaged_in_the_flake_are_those_of_the_pip_lock() -> None:
    """Same version, and every hash is one of the lock's."""
    flake = (ROOT / "flake.nix").read_text()
    (version,) = re.findall(r'version = "([\d.]+)";', flake)
    (locked,) = re.findall(
        rf"^rerun-sdk=={version} \\\n((?: .*\n)+)", (ROOT / "requirements/public.txt").read_text(), re.M
    )
    hashes = re.findall(r'hash = "sha256-(.+)";', flake)
    assert len(hashes) == 3
    assert {base64.b64decode(text).hex() for text in hashes} <= set(re.findall("[0-9a-f]{64}", locked))
