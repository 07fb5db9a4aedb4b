"""Kills a job with SIGKILL at one write, link or rename after another, and looks at what is left each time.

    python tests/kill_runner.py WORK JOB EVERY

WORK holds the bundles that the fixture `bundles` makes. Prints one JSON object: `events` of the job by kind and the
number of `kills`. Ends with a traceback when something was lost or the job could not be done after a kill.
"""

import collections
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lewm_evidence.errors import BundleError
from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.keys import signing_key
from lewm_evidence.seal.verify import verify
from lewm_evidence.store.local import Store
from lewm_evidence.store.retention import Retention

_CALLS = ("link", "rename", "replace", "mkdir", "unlink", "remove", "rmdir", "fsync", "chmod")


class Steps:
    """Counts what this process does to files, and ends it before step `last`."""

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.kinds: collections.Counter[str] = collections.Counter()

    def step(self, kind: str) -> None:
        """Counts one step; with it the process may end."""
        self.kinds[kind] += 1
        if self.kinds.total() == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Counts from now on."""
        for name in _CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))
        plain, steps = io.open, self

        class Writer(io.BufferedWriter):
            def write(self, data: Any) -> int:
                # Half of it is on its way when the process ends.
                view = memoryview(data).cast("B")
                super().write(view[: len(view) // 2])
                self.flush()
                steps.step("write")
                super().write(view[len(view) // 2 :])
                return len(view)

        def opened(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            if "b" in mode and ("w" in mode or "x" in mode):
                steps.step("open")
                return Writer(io.FileIO(file, mode.replace("b", "")))
            return plain(file, mode, *given, **named)

        io.open = opened  # type: ignore[assignment]

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self.step(name)
            return function(*given, **named)

        return counted


def in_child(job: Callable[[], object], last: int | None) -> dict[str, int] | None:
    """Returns how many steps of each kind `job` took in a process of its own; None when it was killed."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            steps = Steps(last)
            steps.install()
            job()
            os.write(write, json.dumps(steps.kinds).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        told = answer.read()
    _, state = os.waitpid(child, 0)
    if os.WIFSIGNALED(state):
        return None
    assert os.waitstatus_to_exitcode(state) == 0
    kinds: dict[str, int] = json.loads(told)
    return kinds


class Place:
    """A folder in which a job is killed: how it starts, what is done, and what must hold then."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.bundles = sorted((work / "evidence").iterdir())[:2]
        self.base = work / "base"
        store = Store(self.base, create=True)
        self.addresses = [store.add(bundle).address for bundle in self._before()]

    def _before(self) -> list[Path]:
        return self.bundles

    def copy(self) -> Path:
        """Returns a fresh copy of the place, its hard links kept."""
        fresh = Path(tempfile.mkdtemp(dir=self.work)) / "store"
        subprocess.run(["cp", "-a", self.base, fresh], check=True)
        return fresh

    def do(self, at: Path) -> object:
        """Does the job at a copy."""
        raise NotImplementedError

    def check(self, at: Path) -> None:
        """Fails when something was lost, or when the job cannot be done now."""
        raise NotImplementedError


def healthy(store: Store, *addresses: str) -> None:
    """Fails when a bundle is damaged or one of `addresses` is missing."""
    assert [finding for finding in store.verify() if finding.fault] == []
    assert {entry.address for entry in store.entries()} >= set(addresses)


def tidy(store: Store) -> None:
    """Fails when a prune leaves anything but the contents of the bundles."""
    store.prune(Retention(), time.time(), remove=True)
    held = {path.stat().st_ino for path in store.layout.bundles.rglob("*") if path.is_file()}
    assert list(store.layout.tmp.iterdir()) == []
    assert {path.stat().st_ino for path in store.layout.blobs.glob("*/*")} == held


class Add(Place):
    """Adds a second bundle to a store of one."""

    def _before(self) -> list[Path]:
        return self.bundles[:1]

    def do(self, at: Path) -> object:
        """Adds the second."""
        return Store(at).add(self.bundles[1])

    def check(self, at: Path) -> None:
        """The first is there, the second can be added."""
        healthy(Store(at), *self.addresses)
        added = Store(at).add(self.bundles[1]).address
        healthy(Store(at), *self.addresses, added)
        tidy(Store(at))


class Prune(Place):
    """Removes the older of two bundles."""

    def do(self, at: Path) -> object:
        """Keeps the latest only."""
        return Store(at).prune(Retention(latest=1), time.time(), remove=True)

    def check(self, at: Path) -> None:
        """The younger is there, the older can be removed."""
        healthy(Store(at), self.addresses[1])
        self.do(at)
        assert [entry.address for entry in Store(at).entries()] == self.addresses[1:]
        healthy(Store(at))
        tidy(Store(at))


class Archive(Place):
    """Writes a bundle of the store out as an archive."""

    def do(self, at: Path) -> object:
        """Writes the archive beside the store."""
        return Store(at).get(self.addresses[0], at.parent / "out.tar")

    def check(self, at: Path) -> None:
        """The archive is whole or can be written, and nothing lies beside it."""
        out = at.parent / "out.tar"
        # What is there already is never written over.
        with pytest.raises(BundleError, match="exists already") if out.exists() else contextlib.nullcontext():
            self.do(at)
        assert verify(out).address == self.addresses[0]
        assert {path.name for path in at.parent.iterdir()} == {"out.tar", "store"}
        healthy(Store(at), *self.addresses)


class Seal(Place):
    """Seals again over a bundle that is there."""

    def do(self, at: Path) -> object:
        """Seals the run of the bundle that is there."""
        folder = at.parent / "evidence" / self.bundles[0].name
        run = FinishedRun(next((self.work / "runs" / "fetch").iterdir()))
        return write_bundle(folder, {"fetch": run}, {"schema_version": 1}, [], signing_key(self.work, environment={}))

    def copy(self) -> Path:
        """Returns a fresh copy with a sealed bundle beside it."""
        fresh = super().copy()
        shutil.copytree(self.bundles[0], fresh.parent / "evidence" / self.bundles[0].name)
        return fresh

    def check(self, at: Path) -> None:
        """The bundle is whole or can be sealed, and can be added."""
        folder = at.parent / "evidence" / self.bundles[0].name
        if folder.exists():
            verify(folder)
        self.do(at)
        verify(folder)
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
        assert Store(at).add(folder)
        healthy(Store(at), *self.addresses)


JOBS: dict[str, type[Place]] = {"add": Add, "prune": Prune, "archive": Archive, "seal": Seal}


def kills(place: Place, every: int) -> Iterator[int]:
    """Kills the job of `place` at every so many steps; yields each step at which it was killed."""
    at = place.copy()
    kinds = in_child(lambda: place.do(at), None)
    assert kinds is not None
    sys.stdout.write(json.dumps({"events": kinds}) + "\n")
    sys.stdout.flush()
    # The last step is always among them: it is the one that ends the work.
    total = sum(kinds.values())
    for last in sorted({*range(1, total + 1, every), total}):
        at = place.copy()
        ended = in_child(lambda at=at: place.do(at), last)  # type: ignore[misc]
        assert ended is None, f"step {last} was not reached"
        place.check(at)
        shutil.rmtree(at.parent)
        yield last


def main() -> None:
    """Runs one job as the command line says."""
    # Found by trying to write there, once: not among the steps of a job.
    tempfile.gettempdir()
    work, job, every = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    count = sum(1 for _ in kills(JOBS[job](work), every))
    sys.stdout.write(json.dumps({"kills": count}) + "\n")


if __name__ == "__main__":
    main()
