"""Is this bundle exactly what was sealed? The strictest of its readers; needs the base installation only.

The plan. A bundle folder takes steps 1 and 3 to 11, a bare bag 3 to 9, an archive 2 to 10, and 11 when its sidecars
lie beside it.

 1. The bundle folder holds `bag/`, the four sidecars and the archive that `bundle.json` names, nothing else.
 2. An archive is unpacked into a private folder by the strict reader of `archive`, which refuses every byte that
    sealing would not have written; the folder is removed whatever happens.
 3. The bag's tree is scanned without following anything: plain files and folders, portable names, within limits.
 4. The tag manifest is there and well-formed, lists exactly the tag files, and each has the digest it gives.
    There is no other file at the top: no `fetch.txt`, no manifest of another algorithm.
 5. The payload manifest is well-formed and lists exactly the payload files, and each has the digest it gives.
    Every folder holds a file.
 6. The declaration is BagIt 1.0 in UTF-8, and `Payload-Oxum` is the payload's.
 7. Index and configuration are canonical JSON; the index agrees with its own result digest; the payload is index,
    configuration, model card, locks, workflow and the runs of the index.
 8. Each run's manifest lists exactly the run's files with the digests found in step 5; its result digest, role by
    role, and its key, from `spec.json`, come out the same when computed again. The crate describes the payload files,
    each with the digest and size found in step 5, and no others.
 9. The address is the sha256 of the tag manifest.
10. `bundle.json` gives that address, digest and size; the archive has the sha256 and size it gives, and packing the
    bag again gives the same archive. (An archive alone: packing what came out gives the same archive.)
11. One key signed the tag manifest and the statement, the statement is about this address, configuration and result,
    and `allowed_signers` and `bundle.json` name that key. With a list of allowed signers, it is one of them.

What this does not show without such a list: who sealed the bundle. Whoever can write all of it can seal something
else and sign with a key made for that; compare the address or the key with one that you know from elsewhere.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.errors import BundleError, RefusedError
from lewm_evidence.records.manifest import MANIFEST
from lewm_evidence.seal.archive import archive_content, archive_digest, unpack
from lewm_evidence.seal.bag import (
    CARD,
    CONFIG,
    DECLARATION,
    INDEX,
    LOCKS,
    PAYLOAD_MANIFEST,
    RUNS,
    TAG_FILES,
    TAG_MANIFEST,
    WORKFLOW,
    oxum,
)
from lewm_evidence.seal.bundle import BAG, SIDECAR
from lewm_evidence.seal.crate import CRATE, check_crate
from lewm_evidence.seal.documents import Archive, Bundle, Index, Signer, bundle_digest, canonical_document, checked
from lewm_evidence.seal.keys import AllowedSigners
from lewm_evidence.seal.names import fault_in
from lewm_evidence.seal.progress import each
from lewm_evidence.seal.runs import SPEC, compare_files, compare_identity, parse_manifest
from lewm_evidence.seal.statement import (
    SIGNATURE,
    SIGNERS,
    STATEMENT,
    check_statement,
    external_parameters,
    read_ssh,
    read_statement,
    signers_text,
)
from lewm_evidence.seal.tree import Limits, Stored, Tree, open_plain, parents, scan, stored

_SIGNED = (STATEMENT, SIGNATURE, SIGNERS)


@dataclass(frozen=True)
class SignedBy:
    """The key that signed a bundle.

    Attributes:
        kind: what `bundle.json` says of it: `self-signed`, or `key`.
        fingerprint: `SHA256:…`.
        principal: who that is by the list of allowed signers; None without one.
    """

    kind: Literal["self-signed", "key"]
    fingerprint: str
    principal: str | None


@dataclass(frozen=True)
class Verified:
    """A bundle that was accepted.

    Attributes:
        path: what was verified.
        kind: how it was given.
        address: sha256 of the tag manifest.
        result_digest: of all runs together; two identical pipelines agree on it.
        archive_sha256: of the archive; None for a bare bag.
        runs: `<stage>/<key>` by the name the index gives it.
        files: number of payload files.
        size: their bytes.
        signed_by: the key; None for a bag or an archive without sidecars.
    """

    path: str
    kind: Literal["folder", "bag", "archive"]
    address: str
    result_digest: str
    archive_sha256: str | None
    runs: dict[str, str]
    files: int
    size: int
    signed_by: SignedBy | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields, for JSON."""
        return asdict(self)


def verify(path: Path, limits: Limits | None = None, allowed: AllowedSigners | None = None) -> Verified:
    """Verifies the bundle folder, the bag or the archive at `path`.

    Args:
        path: what to verify; the sidecars of an archive are looked for beside it.
        limits: how much it may hold.
        allowed: who may have signed; without it a signature shows integrity, no identity.

    Raises:
        RefusedError: it is not exactly what was sealed; the message starts with the file and says why.
        BundleError: it could not be read, so nothing is known about it.
    """
    limits = limits or Limits()
    try:
        if not path.exists():
            raise BundleError(f"{path} does not exist")
        if path.is_file():
            return _verify_archive(path, limits, allowed)
        if (path / BAG).exists() or (path / SIDECAR).exists():
            return _verify_folder(path, limits, allowed)
        if allowed is not None:
            raise RefusedError(f"{path}: is a bare bag, which nobody signed; verify the bundle folder around it")
        return _verify_bag(path, limits, str(path), "bag")
    except OSError as error:
        raise BundleError(f"{error.filename or path} cannot be read: {error.strerror or error}") from error


def _verify_folder(folder: Path, limits: Limits, allowed: AllowedSigners | None) -> Verified:
    # 1. The bundle folder and its sidecars.
    sidecar = _read_sidecar(folder, limits)
    # 3. to 9. The bag.
    with _inside(BAG):
        bag = _verify_bag(folder / BAG, limits, str(folder), "folder", sidecar.address)
    # 10. What bundle.json repeats, and the archive.
    if (sidecar.result_digest, sidecar.files, sidecar.size) != (bag.result_digest, bag.files, bag.size):
        raise RefusedError(f"{SIDECAR}: its result_digest, files or size are not those of {BAG}/")
    name = sidecar.archive.file
    _check_archive_file(folder / name, sidecar.archive)
    with _inside(BAG):
        again = archive_digest(folder / BAG, sidecar.key, limits)
    if again != sidecar.archive.sha256:
        raise RefusedError(f"{name}: is not the archive of {BAG}/, which has sha256 {again}")
    # 11. The signatures.
    signer = _check_signatures(folder, folder / BAG, bag, sidecar.signer, limits, allowed)
    return replace(bag, archive_sha256=again, signed_by=signer)


def _check_archive_file(path: Path, told: Archive) -> None:
    lies_there = told.compressed or told
    if stored(path) != Stored(lies_there.sha256, lies_there.size):
        raise RefusedError(f"{path.name}: does not have the sha256 and size that {SIDECAR} gives")
    if told.compressed is not None:
        with _inside(path.name, ": "):
            content = archive_content(path, told.size)
        if content != Stored(told.sha256, told.size):
            raise RefusedError(f"{path.name}: does not hold the archive that {SIDECAR} gives")


def _verify_archive(archive: Path, limits: Limits, allowed: AllowedSigners | None) -> Verified:
    # 2. Unpack strictly; what comes out is removed again.
    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as private, _inside(archive.name, ": "):
        name, sha256 = unpack(archive.resolve(), Path(private), limits)
        # 3. to 9. The bag.
        bag = _verify_bag(Path(private) / name, limits, str(archive), "archive")
        if archive_digest(Path(private) / name, name, limits) != sha256:
            raise RefusedError("packing its content again gives other bytes")
        # 11. The signatures, where they are.
        signer = _signer_beside(archive.resolve(), Path(private) / name, bag, limits, allowed)
    return replace(bag, archive_sha256=sha256, signed_by=signer)


def _signer_beside(
    archive: Path, bag: Path, found: Verified, limits: Limits, allowed: AllowedSigners | None
) -> SignedBy | None:
    there = [name for name in (*_SIGNED, SIDECAR) if (archive.parent / name).exists()]
    # A list of signers alone may be the reader's own.
    if not {STATEMENT, SIGNATURE}.intersection(there):
        if allowed is not None:
            raise RefusedError(f"nobody signed it: {STATEMENT} and the other sidecars must lie beside the archive")
        return None
    for name in (*_SIGNED, SIDECAR):
        if name not in there:
            raise RefusedError(f"{name}: is missing beside the archive, other sidecars are there")
    sidecar = _parse_sidecar(archive.parent, limits)
    if sidecar.address != found.address:
        raise RefusedError(f"{SIDECAR}: is that of another bundle, address {sidecar.address}")
    return _check_signatures(archive.parent, bag, found, sidecar.signer, limits, allowed)


def _check_signatures(
    folder: Path, bag: Path, found: Verified, told: Signer, limits: Limits, allowed: AllowedSigners | None
) -> SignedBy:
    tags = _read(bag / TAG_MANIFEST, TAG_MANIFEST, limits)
    config = _read(bag / CONFIG, CONFIG, limits)
    if sha256_bytes(tags) != found.address:
        raise RefusedError(f"{TAG_MANIFEST}: changed while it was verified")
    key = read_ssh(_read(folder / SIGNATURE, SIGNATURE, limits), tags)
    if _read(folder / SIGNERS, SIGNERS, limits) != signers_text(key):
        raise RefusedError(f"{SIGNERS}: does not name the key that signed, {key.fingerprint}, and only that")
    if (told.fingerprint, told.public_key) != (key.fingerprint, key.pem):
        raise RefusedError(f"{SIDECAR}: names another key than the one that signed, {key.fingerprint}")
    said = read_statement(_read(folder / STATEMENT, STATEMENT, limits), key)
    check_statement(said, found.address, external_parameters(config, found.result_digest))
    principal = allowed.name_of(key) if allowed else None
    if allowed and principal is None:
        raise RefusedError(f"{SIGNATURE}: is by {key.fingerprint}, a key that {allowed.where} does not list")
    return SignedBy(told.kind, key.fingerprint, principal)


def _verify_bag(
    bag: Path,
    limits: Limits,
    path: str,
    kind: Literal["folder", "bag", "archive"],
    known_address: str | None = None,
) -> Verified:
    # 3. The tree.
    tree = scan(bag, limits)
    # 4. The tag manifest. The address known from bundle.json comes first: a change in the tag manifest itself must
    # not be blamed on a file that it lists.
    tags = _read_tag_files(bag, tree, limits)
    address = sha256_bytes(tags[TAG_MANIFEST])
    if known_address not in (None, address):
        raise RefusedError(f"{TAG_MANIFEST}: its sha256 is {address}, the address in {SIDECAR} is another")
    _check_tag_manifest(tags)
    # 5. The payload manifest.
    payload = _check_payload(bag, tree, tags[PAYLOAD_MANIFEST])
    # 6. The declaration.
    _check_declaration(tags, payload)
    # 7. Index, configuration, layout.
    documents = _Documents(bag, payload, limits)
    index = _check_index(documents, payload)
    # 8. The runs.
    for run in index.runs.values():
        _check_run(documents, payload, run.folder, run.result_digest)
    check_crate(tags[CRATE], payload)
    # 9. The address.
    size = sum(file.size for file in payload.values())
    runs = {name: f"{run.stage}/{run.key}" for name, run in sorted(index.runs.items())}
    return Verified(path, kind, address, index.result_digest, None, runs, len(payload), size)


@contextmanager
def _inside(name: str, sign: str = "/") -> Iterator[None]:
    """Puts `name` in front of what a refusal names."""
    try:
        yield
    except RefusedError as error:
        raise RefusedError(f"{name}{sign}{error}") from error


def _parse_sidecar(folder: Path, limits: Limits) -> Bundle:
    if (folder / SIDECAR).is_symlink() or not (folder / SIDECAR).is_file():
        raise RefusedError(f"{SIDECAR}: is missing or not a plain file")
    data = _read(folder / SIDECAR, SIDECAR, limits)
    bundle = checked(Bundle, canonical_document(data, SIDECAR), SIDECAR)
    if canonical_json(bundle.model_dump()) != data:
        raise RefusedError(f"{SIDECAR}: is not the whole document; fields are missing")
    return bundle


def _read_sidecar(folder: Path, limits: Limits) -> Bundle:
    bundle = _parse_sidecar(folder, limits)
    ending = "tar" if bundle.archive.compressed is None else "tar.zst"
    if bundle.archive.file != f"{bundle.key}.{ending}":
        raise RefusedError(f"{SIDECAR}: the archive is named {bundle.archive.file!r}, not after the key")
    names = {BAG, SIDECAR, bundle.archive.file, *_SIGNED}
    _same_names(names, {entry.name for entry in folder.iterdir()}, "the bundle folder")
    if (folder / BAG).is_symlink() or not (folder / BAG).is_dir():
        raise RefusedError(f"{BAG}: is not a folder")
    scan(folder, limits)
    return bundle


def _same_names(wanted: set[str], found: set[str], where: str) -> None:
    for name in sorted(wanted | found):
        if name not in found:
            raise RefusedError(f"{name}: is missing")
        if name not in wanted:
            raise RefusedError(f"{name!r}: does not belong to {where}; it was added after sealing")


def _read(path: Path, where: str, limits: Limits) -> bytes:
    with open_plain(path) as file:
        data = file.read(limits.document + 1)
    if len(data) > limits.document:
        raise RefusedError(f"{where}: is larger than {limits.document} bytes")
    return data


def _read_tag_files(bag: Path, tree: Tree, limits: Limits) -> dict[str, bytes]:
    top = {name for name in tree.files if "/" not in name}
    for name in sorted(top):
        if name == "fetch.txt":
            raise RefusedError("fetch.txt: the bag wants files from elsewhere; a bundle is complete")
        if re.fullmatch(r"(tag)?manifest-.+\.txt", name) and name not in (PAYLOAD_MANIFEST, TAG_MANIFEST):
            raise RefusedError(f"{name}: is a manifest of another algorithm; a bundle has sha256 only")
    _same_names({*TAG_FILES, TAG_MANIFEST}, top, "the bag's top folder")
    return {name: _read(bag / name, name, limits) for name in sorted(top)}


def _parse_manifest(data: bytes, where: str) -> dict[str, str]:
    """Returns sha256 by path from a BagIt manifest in the one form that sealing writes."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"{where}: is not UTF-8") from error
    if not text.endswith("\n"):
        raise RefusedError(f"{where}: does not end with a newline")
    found: dict[str, str] = {}
    last = b""
    for number, line in enumerate(text[:-1].split("\n"), 1):
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if match is None:
            raise RefusedError(f"{where}:{number}: is not a lower-case sha256, two spaces and a path")
        sha256, path = match.groups()
        if fault := fault_in(path):
            raise RefusedError(f"{where}:{number}: lists {path!r}: {fault}")
        if path.encode() <= last:
            raise RefusedError(f"{where}:{number}: {path} is listed {'twice' if path in found else 'out of order'}")
        found[path], last = sha256, path.encode()
    return found


def _check_tag_manifest(tags: dict[str, bytes]) -> None:
    listed = _parse_manifest(tags[TAG_MANIFEST], TAG_MANIFEST)
    if set(listed) != set(TAG_FILES):
        raise RefusedError(f"{TAG_MANIFEST}: lists {sorted(listed)}, not {sorted(TAG_FILES)}")
    for name in TAG_FILES:
        if sha256_bytes(tags[name]) != listed[name]:
            raise RefusedError(f"{name}: does not have the sha256 that {TAG_MANIFEST} gives")


def _check_payload(bag: Path, tree: Tree, manifest: bytes) -> dict[str, Stored]:
    listed = _parse_manifest(manifest, PAYLOAD_MANIFEST)
    there = {name for name in tree.files if "/" in name}
    for name in sorted(listed.keys() | there, key=str.encode):
        if name not in there:
            raise RefusedError(f"{name}: is missing; {PAYLOAD_MANIFEST} lists it")
        if name not in listed:
            raise RefusedError(f"{name}: is not in {PAYLOAD_MANIFEST}; it was added after sealing")
    used = {folder for name in there for folder in parents(name)}
    for folder in sorted(tree.folders - used):
        raise RefusedError(f"{folder}: is an empty folder; it was added after sealing")
    payload = dict(zip(listed, each(lambda name: stored(bag / name), listed), strict=True))
    for name in listed:
        if payload[name].sha256 != listed[name]:
            raise RefusedError(f"{name}: does not have the sha256 that {PAYLOAD_MANIFEST} gives")
    return payload


def _check_declaration(tags: dict[str, bytes], payload: dict[str, Stored]) -> None:
    if tags["bagit.txt"] != DECLARATION:
        raise RefusedError("bagit.txt: does not declare BagIt 1.0 in UTF-8, and only that")
    lines = tags["bag-info.txt"].decode("utf-8", "replace").removesuffix("\n").split("\n")
    labels: dict[str, str] = {}
    for line in lines:
        match = re.fullmatch(r"([A-Z][A-Za-z-]*): (\S.*)", line)
        if match is None or match[1] in labels:
            raise RefusedError(f"bag-info.txt: the line {line!r} is not `Label: value`, or the label is there twice")
        labels[match[1]] = match[2]
    if labels.get("Payload-Oxum") != oxum(payload):
        raise RefusedError(f"bag-info.txt: Payload-Oxum is {labels.get('Payload-Oxum')!r}, must be {oxum(payload)!r}")


class _Documents:
    """Reads payload documents again, and only if they still are what was hashed."""

    def __init__(self, bag: Path, payload: dict[str, Stored], limits: Limits) -> None:
        self._bag, self._payload, self._limits = bag, payload, limits

    def read(self, name: str) -> bytes:
        if name not in self._payload:
            raise RefusedError(f"{name}: is missing; every bundle has it")
        data = _read(self._bag / name, name, self._limits)
        if sha256_bytes(data) != self._payload[name].sha256:
            raise RefusedError(f"{name}: changed while it was verified")
        return data


def _check_index(documents: _Documents, payload: dict[str, Stored]) -> Index:
    index = checked(Index, canonical_document(documents.read(INDEX), INDEX), INDEX)
    canonical_document(documents.read(CONFIG), CONFIG)
    if index.result_digest != bundle_digest(index.runs):
        raise RefusedError(f"{INDEX}: its result_digest is not that of the runs it lists")
    folders = {run.folder for run in index.runs.values()}
    for name in payload:
        run = "/".join(name.split("/")[:4])
        lock = re.fullmatch(rf"{LOCKS}/([^/]+\.txt|flake\.lock)", name)
        own = name in (INDEX, CONFIG, CARD) or lock or name.startswith(f"{WORKFLOW}/")
        if not own and run not in folders:
            raise RefusedError(f"{name}: belongs to no run of {INDEX}")
    return index


def _check_run(documents: _Documents, payload: dict[str, Stored], folder: str, digest: str) -> None:
    manifest = parse_manifest(documents.read(f"{folder}/{MANIFEST}"), f"{folder}/{MANIFEST}")
    below = {name.removeprefix(f"{folder}/"): file for name, file in payload.items() if name.startswith(f"{folder}/")}
    del below[MANIFEST]
    compare_files(manifest, below, folder)
    name = folder.removeprefix(f"{RUNS}/")
    compare_identity(manifest, documents.read(f"{folder}/{SPEC}"), name, folder)
    if manifest.result_digest != digest:
        raise RefusedError(f"{INDEX}: gives {folder} another result_digest than its {MANIFEST}")


__all__ = ["Limits", "Verified", "verify"]
