"""Many processes on one store, and a disk that is full."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lewm_evidence.store.local import Store
from lewm_evidence.store.retention import Retention

WRITERS = 8


def test_writers_and_a_pruner_lose_nothing(store: Store, bundles: list[Path]) -> None:
    """8 writers and a pruner at once: every bundle is there and whole, and nothing is left over."""
    root = store.layout.root
    call = [sys.executable, "-m", "lewm_evidence.cli", "store", "add", "--store", str(root)]
    orders = [[*bundles[number % 3 :], *bundles[: number % 3]] * 2 for number in range(WRITERS)]
    writers = [subprocess.Popen([*call, *map(str, order)], stdout=subprocess.PIPE, text=True) for order in orders]
    prunes = 0
    while any(writer.poll() is None for writer in writers):
        store.prune(Retention(), time.time(), remove=True)
        prunes += 1
        time.sleep(0.01)
    said = "".join(writer.communicate()[0] for writer in writers)
    assert [writer.returncode for writer in writers] == [0] * WRITERS and prunes > 3
    assert said.count("added") == len(bundles)
    assert len(store.entries()) == len(bundles)
    assert not [finding for finding in store.verify() if finding.fault]
    assert store.prune(Retention(), time.time()).blobs == 0 and list(store.layout.tmp.iterdir()) == []


def command(store: Path, *given: str | Path, limit: int | None = None) -> "subprocess.CompletedProcess[str]":
    """Runs `lewm-evidence store`; `limit` is the size above which no file can grow."""
    call = [sys.executable, "-m", "lewm_evidence.cli", "store", given[0], "--store", store, *given[1:]]
    limited = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None
    return subprocess.run(call, check=False, capture_output=True, text=True, preexec_fn=limited)


def test_a_file_that_cannot_grow(store: Store, bundles: list[Path]) -> None:
    """Where a file cannot be written to its end, adding says so, loses nothing, and works afterwards."""
    first = store.add(bundles[0]).address
    full = command(store.layout.root, "add", bundles[1], limit=50_000)
    assert full.returncode == 2 and "File too large" in full.stderr and "is still there" in full.stderr
    assert [entry.address for entry in store.entries()] == [first]
    assert not [finding for finding in store.verify() if finding.fault] and list(store.layout.tmp.iterdir()) == []
    assert command(store.layout.root, "add", bundles[1]).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(disk)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk(small_disk: Path, bundles: list[Path]) -> None:
    """On a full disk adding says so and loses nothing; with space it works."""
    root = small_disk / "store"
    done = [command(root, "add", bundle) for bundle in bundles]
    full = next(step for step in done if step.returncode)
    assert done[0].returncode == 0 and full.returncode == 2 and "No space left on device" in full.stderr
    store = Store(root)
    kept = len(store.entries())
    assert kept >= 1 and list(store.layout.tmp.iterdir()) == []
    assert not [finding for finding in store.verify() if finding.fault]
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    assert [command(root, "add", bundle).returncode for bundle in bundles] == [0, 0, 0]
    assert len(store.entries()) == 3
