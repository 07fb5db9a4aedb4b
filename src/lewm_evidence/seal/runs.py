"""Does a run directory hold exactly what its manifest says? Asked before sealing and when verifying."""

from collections.abc import Mapping
from pathlib import Path

from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import BundleError, RefusedError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.manifest import MANIFEST, Manifest, list_files, result_digest, role_of
from lewm_evidence.records.run import run_key
from lewm_evidence.records.schema import Spec
from lewm_evidence.seal.documents import canonical_document, checked, strict_json
from lewm_evidence.seal.names import fault_in
from lewm_evidence.seal.tree import Stored, open_plain, stored

SPEC = "spec.json"


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Returns the run manifest in `data`; raises `RefusedError` when it is not one."""
    manifest = checked(Manifest, strict_json(data, where), where)
    names = [entry.path for entry in manifest.files]
    if names != sorted(set(names), key=str.encode):
        raise RefusedError(f"{where}: files are not in order, or one is listed twice")
    for entry in manifest.files:
        if fault := fault_in(entry.path):
            raise RefusedError(f"{where}: lists {entry.path!r}: {fault}")
        if entry.role != role_of(entry.path):
            raise RefusedError(f"{where}: gives {entry.path} the role {entry.role}, it is {role_of(entry.path)}")
    for local in manifest.local:
        if role_of(local.path) != "local":
            raise RefusedError(f"{where}: calls {local.path!r} local, it is {role_of(local.path)}")
    return manifest


def compare_files(manifest: Manifest, found: Mapping[str, Stored], where: str) -> None:
    """Raises `RefusedError` naming the first file in which `found` differs from `manifest`.

    Args:
        manifest: of the run.
        found: every file of the run that is there, but `manifest.json` and local files.
        where: the run, for messages.
    """
    listed = {entry.path: entry for entry in manifest.files}
    for name in sorted(listed.keys() | found.keys(), key=str.encode):
        if name not in found:
            raise RefusedError(f"{where}/{name}: is missing; {MANIFEST} lists it")
        if name not in listed:
            raise RefusedError(f"{where}/{name}: is not in {MANIFEST}; it was added after the run finished")
        if (listed[name].sha256, listed[name].size) != (found[name].sha256, found[name].size):
            raise RefusedError(
                f"{where}/{name}: sha256 is {found[name].sha256} ({found[name].size} bytes), {MANIFEST} says "
                f"{listed[name].sha256} ({listed[name].size} bytes)"
            )


def compare_identity(manifest: Manifest, spec_data: bytes, name: str, where: str) -> None:
    """Raises `RefusedError` when the result digest, or key, stage and inputs by `spec.json`, are others.

    Args:
        manifest: of the run.
        spec_data: the bytes of the run's `spec.json`.
        name: `<stage>/<key>` by the folder the run lies in.
        where: the run, for messages.
    """
    digest = result_digest(manifest.files)
    if digest != manifest.result_digest:
        raise RefusedError(f"{where}/{MANIFEST}: result_digest is not that of the files listed, {digest}")
    spec = checked(Spec, canonical_document(spec_data, f"{where}/{SPEC}"), f"{where}/{SPEC}")
    if canonical_json(spec.model_dump()) != spec_data:
        raise RefusedError(f"{where}/{SPEC}: is not the whole spec; fields are missing")
    key = run_key(spec)
    if name != f"{spec.stage}/{key}":
        raise RefusedError(f"{where}/{SPEC}: is the spec of {spec.stage}/{key}, not of this run")
    if (manifest.stage, manifest.key, manifest.inputs) != (spec.stage, key, spec.inputs):
        raise RefusedError(f"{where}/{MANIFEST}: stage, key or inputs are not those of {SPEC}")


def sealable_files(run: Path) -> list[str]:
    """Returns the paths of the files of a run that are not local, `manifest.json` left out."""
    return [name for name in list_files(run) if role_of(name) != "local"]


def check_run(run: Path) -> Manifest:
    """Hashes every file of the finished run at `run` and returns its manifest.

    Raises `BundleError` naming the first file that is not as it was when the run finished.
    """
    where = run.as_posix()
    try:
        with open_plain(run / MANIFEST) as file:
            manifest = parse_manifest(file.read(), f"{where}/{MANIFEST}")
        compare_files(manifest, {name: stored(run / name) for name in sealable_files(run)}, where)
        compare_identity(manifest, (run / SPEC).read_bytes(), FinishedRun(run.absolute()).name, where)
    except FileNotFoundError as error:
        raise BundleError(f"{error.filename}: is missing; is the run finished?") from error
    return manifest
