"""A bundle opened for reading, however it was given, after it was verified."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lewm_evidence.errors import BundleError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.manifest import MANIFEST
from lewm_evidence.seal.archive import unpack
from lewm_evidence.seal.bag import CONFIG, INDEX, LOCKS
from lewm_evidence.seal.bundle import BAG
from lewm_evidence.seal.documents import Index, canonical_document, checked
from lewm_evidence.seal.keys import AllowedSigners
from lewm_evidence.seal.runs import check_run
from lewm_evidence.seal.verify import Verified, verify


@dataclass(frozen=True)
class Opened:
    """What is in a bundle, or a single run.

    Attributes:
        path: as it was given.
        address: of the bundle; None for a run.
        runs: by the name the bundle gives each.
        config: the whole configuration of a bundle, the stage's part for a run.
        locks: names of the package locks in it.
        signer: who signed the bundle, in words.
    """

    path: str
    address: str | None
    runs: dict[str, FinishedRun]
    config: dict[str, Any]
    locks: tuple[str, ...]
    signer: str = "nobody"


@contextmanager
def opened(path: Path, allowed: AllowedSigners | None = None) -> Iterator[Opened]:
    """Verifies the bundle folder, bag, archive or run directory at `path` and yields what it holds.

    Args:
        path: what to open.
        allowed: who may have signed a bundle; without it anybody.

    Raises:
        RefusedError: it is not as it was sealed, or signed by somebody else.
        BundleError: it could not be read, or is a run that changed after it finished.
    """
    if (path / MANIFEST).is_file():
        check_run(path)
        run = FinishedRun(path.absolute())
        yield Opened(str(path), None, {run.spec.stage: run}, run.spec.config, ())
        return
    verified = verify(path, allowed=allowed)
    if path.is_dir():
        bag = path / BAG if (path / BAG).is_dir() else path
        yield _read(path, bag.absolute(), verified)
        return
    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as private:
        name, _ = unpack(path.resolve(), Path(private))
        yield _read(path, Path(private) / name, verified)


def _read(path: Path, bag: Path, verified: Verified) -> Opened:
    try:
        index = checked(Index, canonical_document((bag / INDEX).read_bytes(), INDEX), INDEX)
        config = canonical_document((bag / CONFIG).read_bytes(), CONFIG)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.filename}: {error.strerror}") from error
    runs = {name: FinishedRun(bag / run.folder) for name, run in sorted(index.runs.items())}
    locks = tuple(sorted(lock.name for lock in (bag / LOCKS).glob("*")))
    return Opened(str(path), verified.address, runs, config, locks, _signer(verified))


def _signer(verified: Verified) -> str:
    signer = verified.signed_by
    if signer is None:
        return "nobody"
    return f"{signer.fingerprint} ({signer.principal or 'of whom nothing is known here'})"
