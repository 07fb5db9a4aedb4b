"""The bundle folder `evidence/<key>/`, put in place as a whole.

bag/                                     what is sealed
<key>.tar or <key>.tar.zst               its archive
bundle.json                              address, digests, archive and signer, for programs
statement.dsse.json                      what is said about the bag, signed
tagmanifest-sha256.txt.sig               the same key's SSH signature of the tag manifest
allowed_signers                          that key, for ssh-keygen
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lewm_evidence import __version__
from lewm_evidence.canonical import canonical_json, sha256_file
from lewm_evidence.errors import BundleError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.seal.archive import write_archive
from lewm_evidence.seal.bag import CONFIG, LOCKS, TAG_MANIFEST, write_bag
from lewm_evidence.seal.documents import Archive, Bundle, Compressed, Index, Signer, Skipped
from lewm_evidence.seal.keys import SigningKey, signing_key
from lewm_evidence.seal.statement import (
    SIGNATURE,
    SIGNERS,
    STATEMENT,
    external_parameters,
    sign_ssh,
    sign_statement,
    signers_text,
    statement,
)
from lewm_evidence.seal.tree import Limits, scan, stored

BAG, SIDECAR = "bag", "bundle.json"


def evidence_folder(seal_run: Path) -> Path:
    """Returns the bundle folder of the seal run at `<runs>/seal/<key>`: `<runs>/../evidence/<key>`."""
    beside_runs = os.path.normpath(seal_run.parent.parent / os.pardir)
    return Path(beside_runs) / "evidence" / seal_run.name


def write_bundle(
    folder: Path,
    runs: Mapping[str, FinishedRun],
    config: Mapping[str, Any],
    locks: Iterable[Path] = (),
    key: SigningKey | None = None,
    workflow: Mapping[str, Path] | None = None,
    say: Callable[[str], None] | None = None,
) -> Bundle:
    """Seals `runs` into `folder`, whose name is the key of the seal run, and returns `bundle.json`.

    The bundle is made in a hidden folder beside `folder` and renamed, so `folder` is never half-written; one that
    is there already is removed when the new one is ready. The caller makes sure that nobody else writes it.

    Args:
        folder: `<project>/evidence/<key>`.
        runs: finished runs by name.
        config: the whole resolved configuration; `seal.compress` asks for a compressed archive.
        locks: package locks.
        key: to sign with; without it what the environment names, or the project's own.
        workflow: the Snakefile and what it includes, see `bag.write_bag`.
        say: is told now and then how far it is.

    Raises:
        BundleError: naming the file of a run that is not as it was when the run finished, or the key that cannot
            be used.
    """
    key = key or signing_key(folder.parent.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        new = work / folder.name
        new.mkdir()
        bundle = _build(new, runs, config, locks, key, workflow, say)
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
    folder: Path,
    runs: Mapping[str, FinishedRun],
    config: Mapping[str, Any],
    locks: Iterable[Path],
    key: SigningKey,
    workflow: Mapping[str, Path] | None,
    say: Callable[[str], None] | None,
) -> Bundle:
    bag = folder / BAG
    index = write_bag(bag, runs, config, locks, workflow=workflow, say=say)
    archive = _archive(bag, folder, bool((config.get("seal") or {}).get("compress")), say)
    payload = scan(bag / "data", Limits()).files
    bundle = Bundle(
        key=folder.name,
        address=sha256_file(bag / TAG_MANIFEST),
        result_digest=index.result_digest,
        files=len(payload),
        size=sum(payload.values()),
        archive=archive,
        signer=Signer(kind=key.kind, fingerprint=key.public.fingerprint, public_key=key.public.pem),
        skipped=[_NO_IDENTITY] if key.kind == "self-signed" else [],
    )
    (folder / SIDECAR).write_bytes(canonical_json(bundle.model_dump()))
    write_signatures(folder, index, key)
    return bundle


def _archive(bag: Path, folder: Path, compress: bool, say: Callable[[str], None] | None) -> Archive:
    path = folder / (f"{folder.name}.tar.zst" if compress else f"{folder.name}.tar")
    tar = write_archive(bag, folder.name, path, say=say)
    there = stored(path) if compress else None
    compressed = Compressed(sha256=there.sha256, size=there.size) if there else None
    return Archive(file=path.name, sha256=tar.sha256, size=tar.size, compressed=compressed)


_NO_IDENTITY = Skipped(
    what="signature by a known identity",
    reason="no signing key was given; the project's own key shows that nothing changed since sealing, not who sealed",
)


def write_signatures(folder: Path, index: Index, key: SigningKey) -> None:
    """Writes the three signed sidecars of the bag in `folder`."""
    tags = (folder / BAG / TAG_MANIFEST).read_bytes()
    external = external_parameters((folder / BAG / CONFIG).read_bytes(), index.result_digest)
    dependencies = _dependencies(folder / BAG, index)
    said = statement(sha256_file(folder / BAG / TAG_MANIFEST), external, dependencies, __version__, folder.name)
    (folder / STATEMENT).write_bytes(sign_statement(said, key))
    (folder / SIGNATURE).write_bytes(sign_ssh(tags, key))
    (folder / SIGNERS).write_bytes(signers_text(key.public))


def _dependencies(bag: Path, index: Index) -> list[dict[str, Any]]:
    """Returns in-toto resource descriptors of what the runs were made from: checkpoint, package locks, commit."""
    found: dict[str, dict[str, Any]] = {}
    for run in index.runs.values():
        for path in sorted((bag / run.folder / "checkpoint").glob("*")):
            name = path.relative_to(bag).as_posix()
            found[name] = {"name": name, "digest": {"sha256": sha256_file(path)}}
        git = FinishedRun(bag / run.folder).manifest.environment.get("git")
        if git:
            commit = git["commit"]
            found[f"git {commit}"] = {"name": "lewm-evidence", "digest": {"gitCommit": commit}}
    for path in sorted((bag / LOCKS).glob("*")):
        name = path.relative_to(bag).as_posix()
        found[name] = {"name": name, "digest": {"sha256": sha256_file(path)}}
    return [found[name] for name in sorted(found)]
