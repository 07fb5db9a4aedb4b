"""Writing a BagIt 1.0 bag (RFC 8493) of finished runs. Equal runs give equal bytes: no clock, no host.

bagit.txt  bag-info.txt  manifest-sha256.txt  tagmanifest-sha256.txt
ro-crate-metadata.json             the bag as a run crate, see `crate`
data/index.json                    which run is what and what is not here, see `documents.Index`
data/README.md                     the model card
data/config.json                   the whole configuration the runs were planned from
data/requirements/                 the package locks: pip's *.txt, and flake.lock
data/workflow/…                    the Snakefile and its rules
data/runs/<stage>/<key>/…          every file of a run but local ones
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lewm_evidence import __version__
from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.errors import BundleError, RefusedError, StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.manifest import MANIFEST, Manifest
from lewm_evidence.seal.card import model_card
from lewm_evidence.seal.crate import CRATE, Facts, crate
from lewm_evidence.seal.documents import Index, SealedRun, bundle_digest
from lewm_evidence.seal.gate import inspect
from lewm_evidence.seal.names import Names
from lewm_evidence.seal.progress import Progress, each
from lewm_evidence.seal.runs import SPEC, compare_files, compare_identity, parse_manifest, sealable_files
from lewm_evidence.seal.skipped import skipped
from lewm_evidence.seal.tree import Limits, Stored, blocks, open_plain, scan

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
PAYLOAD_MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
# What the tag manifest lists.
TAG_FILES = ("bag-info.txt", "bagit.txt", PAYLOAD_MANIFEST, CRATE)
INDEX, CONFIG, CARD = "data/index.json", "data/config.json", "data/README.md"
LOCKS, WORKFLOW, RUNS = "data/requirements", "data/workflow", "data/runs"
SNAKEFILE = f"{WORKFLOW}/Snakefile"


class _Writer:
    """A bag being written; remembers digest and size of every payload file."""

    def __init__(self, bag: Path, progress: Progress) -> None:
        self.bag = bag
        self.progress = progress
        self.payload: dict[str, Stored] = {}
        self._names = Names()

    def put(self, name: str, data: bytes) -> None:
        with self._place(name).open("xb") as file:
            file.write(data)
        self.payload[name] = Stored(sha256_bytes(data), len(data))

    def copy(self, source: Path, name: str) -> Stored:
        """Copies a plain file and returns what was copied, hashed from the same bytes."""
        return self.copy_all({name: source})[name]

    def copy_all(self, sources: Mapping[str, Path]) -> dict[str, Stored]:
        """Copies plain files, several at a time, and returns what was copied by the new name."""
        for name in sources:
            self._place(name)
        found = each(lambda name: self._copy(sources[name], self.bag / name), sources)
        self.payload |= dict(zip(sources, found, strict=True))
        return {name: self.payload[name] for name in sources}

    def _copy(self, source: Path, target: Path) -> Stored:
        digest, size = hashlib.sha256(), 0
        with open_plain(source) as original, target.open("xb") as file:
            for block in blocks(original):
                digest.update(block)
                size += file.write(block)
                self.progress.add(len(block))
        return Stored(digest.hexdigest(), size)

    def _place(self, name: str) -> Path:
        if fault := self._names.fault(name):
            raise BundleError(f"{name!r} cannot be sealed: {fault}; rename it where it is made")
        path = self.bag / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def write_bag(
    bag: Path,
    runs: Mapping[str, FinishedRun],
    config: Mapping[str, Any],
    locks: Iterable[Path] = (),
    bagging_date: str | None = None,
    workflow: Mapping[str, Path] | None = None,
    say: Callable[[str], None] | None = None,
) -> Index:
    """Writes the bag of `runs` to the new folder `bag` and returns its index.

    Every file is hashed while it is copied and compared with its run's manifest, the result digest is computed
    again from these, and the key from `spec.json`.

    Args:
        bag: must not exist; nothing is left there on failure.
        runs: finished runs by the name they are known by.
        config: the whole resolved configuration.
        locks: package locks to put beside it.
        bagging_date: `YYYY-MM-DD` for `bag-info.txt`; without it the bag holds no date.
        workflow: `Snakefile` and what it includes, by the name they get below `data/workflow/`.
        say: is told now and then how far it is.

    Raises:
        BundleError: naming the first file that is not as it was when its run finished, or the files that hold
            what must not leave this machine.
    """
    try:
        bag.mkdir(parents=True)
    except FileExistsError as error:
        raise BundleError(f"{bag} exists already; a bag is written to a new folder") from error
    try:
        index = _fill(
            _Writer(bag, Progress("copying", _size(runs), say)), runs, config, locks, bagging_date, workflow or {}
        )
        inspect({name: bag / name for name in scan(bag, Limits()).files})
        return index
    except BaseException:
        shutil.rmtree(bag)
        raise


def _size(runs: Mapping[str, FinishedRun]) -> int:
    """Returns about how many bytes will be copied; what cannot be read shows when it is."""
    files = (file for run in runs.values() for file in run.path.rglob("*"))
    return sum(file.lstat().st_size for file in files if not file.is_symlink() and file.is_file())


def _fill(
    out: _Writer,
    runs: Mapping[str, FinishedRun],
    config: Mapping[str, Any],
    locks: Iterable[Path],
    bagging_date: str | None,
    workflow: Mapping[str, Path],
) -> Index:
    sealed = {name: _copy_run(out, runs[name]) for name in sorted(runs)}
    out.put(CONFIG, canonical_json(dict(config)))
    for lock in locks:
        out.copy(lock, f"{LOCKS}/{lock.name}")
    for name, path in sorted(workflow.items()):
        out.copy(path, f"{WORKFLOW}/{name}")
    copies = {run.folder: FinishedRun(out.bag / run.folder) for run in sealed.values()}
    manifests = {folder: run.manifest for folder, run in copies.items()}
    specs = {folder: run.spec for folder, run in copies.items()}
    missing = skipped(
        manifests,
        specs,
        config,
        locks=sum(name.startswith(f"{LOCKS}/") for name in out.payload),
        workflow=SNAKEFILE in out.payload,
    )
    index = Index(result_digest=bundle_digest(sealed), runs=sealed, skipped=missing)
    evaluate = next((run for folder, run in sorted(copies.items()) if specs[folder].stage == "evaluate"), None)
    out.put(INDEX, canonical_json(index.model_dump()))
    out.put(CARD, model_card(config, index.result_digest, evaluate))
    facts = Facts(
        runs=sealed,
        manifests=manifests,
        specs=specs,
        payload=dict(sorted(out.payload.items())),
        config=config,
        workflow=SNAKEFILE if SNAKEFILE in out.payload else None,
        skipped=missing,
    )
    _write_tag_files(out, bagging_date, crate(facts))
    return index


def _copy_run(out: _Writer, run: FinishedRun) -> SealedRun:
    where = run.path.as_posix()
    try:
        with open_plain(run.path / MANIFEST) as file:
            data = file.read()
        manifest = parse_manifest(data, f"{where}/{MANIFEST}")
        sealed = SealedRun(stage=manifest.stage, key=manifest.key, result_digest=manifest.result_digest)
        if f"{RUNS}/{run.name}" != sealed.folder:
            raise RefusedError(f"{where}/{MANIFEST}: is the manifest of {manifest.stage}/{manifest.key}")
        if f"{sealed.folder}/{MANIFEST}" not in out.payload:
            _copy_files(out, run.path, manifest, sealed.folder)
            out.put(f"{sealed.folder}/{MANIFEST}", data)
    except FileNotFoundError as error:
        raise BundleError(f"{error.filename} is missing; is the run finished? Make it again") from error
    except (RefusedError, StageError) as error:
        raise BundleError(f"{error}\nNothing was sealed. Remove {where} and run its stage again.") from error
    return sealed


def _copy_files(out: _Writer, run: Path, manifest: Manifest, folder: str) -> None:
    copied = out.copy_all({f"{folder}/{name}": run / name for name in sealable_files(run)})
    found = {name.removeprefix(f"{folder}/"): file for name, file in copied.items()}
    compare_files(manifest, found, run.as_posix())
    # The copy, not the original: it is what was hashed.
    name = folder.removeprefix(f"{RUNS}/")
    compare_identity(manifest, (out.bag / folder / SPEC).read_bytes(), name, run.as_posix())


def _write_tag_files(out: _Writer, bagging_date: str | None, crate_data: bytes) -> None:
    info = {
        "Bag-Software-Agent": f"lewm-evidence {__version__}",
        "Payload-Oxum": oxum(out.payload),
    }
    if bagging_date is not None:
        info["Bagging-Date"] = bagging_date
    tags = {
        "bag-info.txt": "".join(f"{label}: {info[label]}\n" for label in sorted(info)).encode(),
        "bagit.txt": DECLARATION,
        CRATE: crate_data,
        PAYLOAD_MANIFEST: manifest_text({name: file.sha256 for name, file in out.payload.items()}),
    }
    digests = {name: sha256_bytes(data) for name, data in tags.items()}
    for name, data in (tags | {TAG_MANIFEST: manifest_text(digests)}).items():
        with (out.bag / name).open("xb") as file:
            file.write(data)


def oxum(payload: Mapping[str, Stored]) -> str:
    """Returns the `Payload-Oxum` of a payload: bytes, a dot, number of files."""
    return f"{sum(file.size for file in payload.values())}.{len(payload)}"


def manifest_text(digests: Mapping[str, str]) -> bytes:
    """Returns a BagIt manifest: one line `<sha256>  <path>` a file, sorted by the bytes of the path."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests, key=str.encode)).encode()
