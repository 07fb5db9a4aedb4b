"""The bundle folder `evidence/<key>/`: bag, archive and `bundle.json`, put in place as a whole."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lewm_evidence.canonical import canonical_json, sha256_file
from lewm_evidence.errors import BundleError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.seal.archive import write_archive
from lewm_evidence.seal.bag import TAG_MANIFEST, write_bag
from lewm_evidence.seal.documents import Archive, Bundle
from lewm_evidence.seal.tree import Limits, scan

BAG, SIDECAR = "bag", "bundle.json"


def evidence_folder(seal_run: Path) -> Path:
    """Returns the bundle folder of the seal run at `<runs>/seal/<key>`: `<runs>/../evidence/<key>`."""
    beside_runs = os.path.normpath(seal_run.parent.parent / os.pardir)
    return Path(beside_runs) / "evidence" / seal_run.name


def write_bundle(
    folder: Path, runs: Mapping[str, FinishedRun], config: Mapping[str, Any], locks: Iterable[Path] = ()
) -> Bundle:
    """Seals `runs` into `folder`, whose name is the key of the seal run, and returns `bundle.json`.

    The bundle is made in a hidden folder beside `folder` and renamed, so `folder` is never half-written; one that
    is there already is removed when the new one is ready. The caller makes sure that nobody else writes it.

    Raises:
        BundleError: naming the file of a run that is not as it was when the run finished.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        new = work / folder.name
        new.mkdir()
        bundle = _build(new, folder.name, runs, config, locks)
        _swap(folder, new, work / "old")
    except OSError as error:
        raise BundleError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work)
    return bundle


def _swap(folder: Path, new: Path, old: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise


def _build(
    folder: Path, key: str, runs: Mapping[str, FinishedRun], config: Mapping[str, Any], locks: Iterable[Path]
) -> Bundle:
    bag = folder / BAG
    index = write_bag(bag, runs, config, locks)
    archive = write_archive(bag, key, folder / f"{key}.tar")
    payload = scan(bag / "data", Limits()).files
    bundle = Bundle(
        key=key,
        address=sha256_file(bag / TAG_MANIFEST),
        result_digest=index.result_digest,
        files=len(payload),
        size=sum(payload.values()),
        archive=Archive(file=f"{key}.tar", sha256=archive.sha256, size=archive.size),
    )
    (folder / SIDECAR).write_bytes(canonical_json(bundle.model_dump()))
    return bundle
