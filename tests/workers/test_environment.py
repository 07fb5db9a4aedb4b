"""An environment is known by its locks, and is there as a whole or not at all."""

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from lewm_evidence.errors import ConfigError, StageError
from lewm_evidence.workers.environment import READY, make, worker_environment


def make_wheel(folder: Path) -> str:
    """Writes a wheel of the package `toyworker` and returns its sha256."""
    files = {
        "toyworker.py": "ANSWER = 42\n",
        "toyworker-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toyworker\nVersion: 1.0\n",
        "toyworker-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
        for name, text in files.items()
    )
    path = folder / "toyworker-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, "toyworker-1.0.dist-info/RECORD": record}.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lock of a wheel on disk; no index is asked."""
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(tmp_path))
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / "toy.cpu.txt").write_text(f"toyworker==1.0 --hash=sha256:{make_wheel(tmp_path)}\n")
    return folder


def test_a_failed_installation_is_said_and_the_next_one_completes(locks: Path, tmp_path: Path) -> None:
    """A wheel of another hash is refused; nothing says that the environment is ready until it is."""
    lock = locks / "toy.cpu.txt"
    right = lock.read_text()
    lock.write_text(right[:-5] + "0000\n")
    broken = worker_environment("toy", "cpu", locks)
    with pytest.raises(StageError, match="failed with status"):
        make(broken, tmp_path / "envs")
    assert not (tmp_path / "envs" / broken.name / READY).exists()

    lock.write_text(right)
    environment = worker_environment("toy", "cpu", locks)
    assert environment.name != broken.name
    half = tmp_path / "envs" / environment.name
    half.mkdir(parents=True)
    (half / "left by an interrupted installation").touch()
    folder = make(environment, tmp_path / "envs")
    assert list(folder.glob("lib/python*/site-packages/toyworker.py")) and not list(folder.glob("left*"))
    before = (folder / READY).stat().st_mtime_ns
    make(environment, tmp_path / "envs")
    assert (folder / READY).stat().st_mtime_ns == before


def test_a_worker_without_a_lock_is_refused_by_name(locks: Path) -> None:
    """The message names what there is."""
    with pytest.raises(ConfigError, match=r"worker 'tooy' has no lock in .*; there are locks for toy"):
        worker_environment("tooy", "cpu", locks)


def test_the_project_locks_carry_hashes_and_no_host() -> None:
    """Every requirement of every worker is pinned by hash, for both builds of torch."""
    folder = Path(__file__).parents[2] / "workflow" / "envs"
    for path in sorted(folder.glob("*.txt")):
        text = path.read_text()
        assert "://" not in text and "--index" not in text and "--find-links" not in text, path.name
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins and all("==" in line for line in pins), path.name
        assert text.count("==") <= text.count("--hash=sha256:"), path.name
    for worker in ("sb3", "cleanrl", "xuance", "rllib"):
        assert "+cpu" in (folder / f"{worker}.cpu.txt").read_text()
        assert "nvidia" in (folder / f"{worker}.cuda.txt").read_text()
