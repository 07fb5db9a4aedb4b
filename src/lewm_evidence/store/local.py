"""The store on this machine.

Adding: copy into `tmp/`, verify the copy, replace each file by a hard link to the blob of its content, rename. What is
kept is thereby exactly what was verified, and a reader sees a whole bundle or none. Removing renames a bundle into
`tmp/` first and then unlinks every blob that has no other name, so a blob goes only when no bundle holds it.
"""

import errno
import glob
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lewm_evidence.errors import BundleError, RefusedError
from lewm_evidence.seal.archive import unpack, write_archive
from lewm_evidence.seal.bundle import BAG, SIDECAR
from lewm_evidence.seal.documents import Bundle, canonical_document, checked
from lewm_evidence.seal.keys import AllowedSigners
from lewm_evidence.seal.statement import SIGNATURE, SIGNERS, STATEMENT
from lewm_evidence.seal.tree import Limits, Stored, blocks, open_plain, scan, stored
from lewm_evidence.seal.verify import Verified, verify
from lewm_evidence.store.layout import ADDRESS, Layout, make_folder, sync, told
from lewm_evidence.store.retention import Entry, Retention

SIDECARS = (SIDECAR, STATEMENT, SIGNATURE, SIGNERS)
# A bundle in a store is made of hard links, which a bundle from elsewhere must not have.
IN_STORE = Limits(links=True)
_SHORTEST = 8


@dataclass(frozen=True)
class Added:
    """What `Store.add` found.

    Attributes:
        address: of the bundle.
        new: whether it was not there before.
    """

    address: str
    new: bool


@dataclass(frozen=True)
class Finding:
    """A part of the store that was verified.

    Attributes:
        what: `bundle <address>` or `blob <sha256>`.
        fault: why it is refused; None when it is as it was when it was added.
    """

    what: str
    fault: str | None


@dataclass(frozen=True)
class Pruned:
    """What a prune removes, or would remove.

    Attributes:
        bundles: the bundles that go, oldest first.
        blobs: number of contents that no bundle holds then.
        size: their bytes.
        unfinished: number of things that killed processes left.
    """

    bundles: list[Entry]
    blobs: int
    size: int
    unfinished: int


class Store:
    """The store at `root`.

    Safe for any number of processes at once, on a file system with hard links and `flock`.

    Args:
        root: its folder.
        create: make it when it is not there.
        waiting: called when another process has to finish first.

    Raises:
        BundleError: when there is no store at `root`, or it cannot be used.
    """

    def __init__(self, root: Path, create: bool = False, waiting: Callable[[], None] = lambda: None) -> None:
        self.layout = Layout(root)
        self._waiting = waiting
        if not create and not self.layout.bundles.is_dir():
            raise BundleError(f"{root} is not a store; `lewm-evidence store add` makes one")
        if create and root.is_dir() and not (root / "bundles").is_dir() and any(root.iterdir()):
            raise BundleError(f"{root} is a folder with other things in it; name a new folder for the store")
        with told(root):
            self.layout.make()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Keeps everybody from removing anything meanwhile."""
        with told(self.layout.root), self.layout.lock(alone=False, waiting=self._waiting):
            yield

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with told(self.layout.root), self.layout.lock(alone=True, waiting=self._waiting):
            yield

    @contextmanager
    def work(self) -> Iterator[Path]:
        """Gives a new folder in `tmp/`, which is removed at the end; hold the store meanwhile."""
        work = Path(tempfile.mkdtemp(dir=self.layout.tmp))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def add(self, path: Path, allowed: AllowedSigners | None = None) -> Added:
        """Takes in the bundle folder, or the archive with its sidecars beside it, at `path`.

        Raises:
            RefusedError: when it does not verify; the store is as it was.
            BundleError: when the store has this bundle with other sidecars, or cannot be written.
        """
        if not path.exists():
            raise BundleError(f"{path} does not exist; give a bundle folder or an archive")
        with self.shared(), self.work() as work:
            new = work / "bundle"
            new.mkdir()
            if path.is_dir():
                _copy_folder(path, new)
            else:
                _copy_archive(path, new, work)
            found = verify(new, allowed=allowed)
            for name in sorted(scan(new, Limits()).files):
                self.adopt(new / name)
            return Added(found.address, self.commit(new, found.address))

    def adopt(self, file: Path) -> None:
        """Makes `file`, which nobody else writes, a link to the blob of its content, and that durable."""
        sha256 = stored(file).sha256
        blob = self.layout.blob(sha256)
        file.chmod(0o444)
        sync(file)
        make_folder(blob.parent)
        try:
            os.link(file, blob)
        except FileExistsError:
            self._join(file, blob, sha256)
        sync(blob.parent)

    def _join(self, file: Path, blob: Path, sha256: str) -> None:
        beside = file.with_name(f"{file.name}.link")
        if stored(blob).sha256 != sha256:
            # A damaged blob must not spread. The good content takes its place; bundles that hold the damaged one keep
            # it, and verifying names them.
            os.link(file, beside)
            beside.replace(blob)
            return
        try:
            os.link(blob, beside)
        except OSError as error:
            # A file has a limited number of names. This bundle then keeps its own copy.
            if error.errno != errno.EMLINK:
                raise
            return
        beside.replace(file)

    def fill(self, file: Path, sha256: str, size: int, fetch: Callable[[], Iterator[bytes]]) -> bool:
        """Makes the new `file` a link to the blob `sha256`; calls `fetch` for its content only when it has to.

        Returns:
            Whether it had to. What was fetched is durable then, also when what follows fails.

        Raises:
            RefusedError: when what is fetched is another content.
        """
        blob = self.layout.blob(sha256)
        if blob.exists() and stored(blob) == Stored(sha256, size):
            try:
                os.link(blob, file)
            except OSError as error:
                if error.errno != errno.EMLINK:
                    raise
                _copy(blob, file)
            return False
        left, digest = size, hashlib.sha256()
        with file.open("xb") as copy:
            for block in fetch():
                left -= len(block)
                if left < 0:
                    break
                digest.update(block)
                copy.write(block)
        if left or digest.hexdigest() != sha256:
            raise RefusedError(
                f"what arrived as {sha256} has another content or size; the source or the way is damaged"
            )
        self.adopt(file)
        return True

    def commit(self, new: Path, address: str) -> bool:
        """Puts the whole, verified bundle folder `new` in its place; returns whether there was none before."""
        for folder in sorted((path for path in new.rglob("*") if path.is_dir()), reverse=True):
            sync(folder)
        sync(new)
        target = self.layout.bundles / address
        try:
            new.rename(target)
        except OSError as error:
            # The rename never replaces a folder that holds something.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            _same_sidecars(new, target)
            return False
        sync(self.layout.bundles)
        return True

    def entries(self) -> list[Entry]:
        """Returns the bundles, oldest first."""
        with self.shared():
            return self._entries()

    def _entries(self) -> list[Entry]:
        found = []
        for folder in self.layout.bundles.iterdir():
            if ADDRESS.fullmatch(folder.name):
                files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
                pinned = (self.layout.pins / folder.name).exists()
                found.append(Entry(folder.name, folder.stat().st_mtime, len(files), sum(files), pinned))
        return sorted(found, key=lambda entry: (entry.added, entry.address))

    def locate(self, name: str) -> Path:
        """Returns the folder of the bundle whose address is `name`, or starts with it."""
        wanted = name.removeprefix("sha256:")
        found = sorted(path for path in self.layout.bundles.glob("*") if path.name.startswith(wanted))
        if len(wanted) < _SHORTEST or not all(letter in "0123456789abcdef" for letter in wanted):
            raise BundleError(f"{name!r} is not an address; give {_SHORTEST} or more of its hexadecimal digits")
        if len(found) != 1:
            told_by = "`lewm-evidence store list` shows what is there"
            raise BundleError(f"{len(found) or 'no'} bundles in {self.layout.root} begin with {name}; {told_by}")
        return found[0]

    def verify_bundle(self, name: str, allowed: AllowedSigners | None = None) -> Verified:
        """Verifies one bundle of the store; raises `RefusedError` when it is not as it was sealed."""
        with self.shared():
            folder = self.locate(name)
            found = verify(folder, IN_STORE, allowed)
        if found.address != folder.name:
            raise RefusedError(f"{folder.name}: this is another bundle, address {found.address}")
        return found

    def verify(self, names: Sequence[str] = ()) -> Iterator[Finding]:
        """Verifies the bundles named, or all of them and every blob, and yields what it finds."""
        with self.shared():
            for name in names or [entry.address for entry in self._entries()]:
                yield _finding(f"bundle {name}", partial(self.verify_bundle, name))
            for blob in [] if names else sorted(self.layout.blobs.glob("*/*")):
                yield _finding(f"blob {blob.name}", partial(_check_blob, blob))

    def get(self, name: str, target: Path) -> str:
        """Writes a bundle to the new path `target` and returns its address.

        A `target` that ends in `.tar` becomes the archive, one that ends in `.tar.zst` the compressed archive that was
        added; any other the bundle folder. What was written is verified, then renamed to `target`. Nobody else may be
        writing to `target` at the same time.
        """
        unfinished = f".{target.name}.unfinished-"
        for left in target.parent.glob(f"{glob.escape(unfinished)}*"):
            shutil.rmtree(left)
        if target.exists() or target.is_symlink():
            raise BundleError(f"{target} exists already; name a new path")
        with self.shared(), tempfile.TemporaryDirectory(dir=target.parent, prefix=unfinished) as private:
            folder = self.locate(name)
            new = Path(private) / target.name
            if target.name.endswith((".tar", ".tar.zst")):
                _get_archive(folder, new)
            else:
                new.mkdir()
                _copy_folder(folder, new, IN_STORE)
            if verify(new).address != folder.name:
                raise RefusedError(f"{folder.name}: this is another bundle")
            new.rename(target)
        return folder.name

    def pin(self, name: str) -> str:
        """Keeps a bundle whatever its age; returns its address."""
        with self.shared():
            address = self.locate(name).name
            (self.layout.pins / address).touch()
            sync(self.layout.pins)
        return address

    def unpin(self, name: str) -> str:
        """Takes the pin away; returns the address."""
        with self.shared():
            address = self.locate(name).name
            (self.layout.pins / address).unlink(missing_ok=True)
            sync(self.layout.pins)
        return address

    def prune(self, retention: Retention, now: float, remove: bool = False) -> Pruned:
        """Removes the bundles that `retention` does not keep, and every blob that no bundle holds.

        Args:
            retention: what to keep.
            now: seconds since 1970.
            remove: without it nothing is removed, only counted.
        """
        with self._alone():
            plan = self._plan(retention, now)
            if not remove:
                return plan
            for entry in plan.bundles:
                gone = Path(tempfile.mkdtemp(dir=self.layout.tmp)) / entry.address
                (self.layout.bundles / entry.address).rename(gone)
                sync(self.layout.bundles)
            for left in self.layout.tmp.iterdir():
                # Nobody else is at work, so whoever made it was killed.
                shutil.rmtree(left)
            for blob in self.layout.blobs.glob("*/*"):
                if blob.stat().st_nlink == 1:
                    blob.unlink()
            return plan

    def _plan(self, retention: Retention, now: float) -> Pruned:
        goes = retention.goes(self._entries(), now)
        leftovers = list(self.layout.tmp.iterdir())
        gone = [*leftovers, *(self.layout.bundles / entry.address for entry in goes)]
        lost = Counter(path.stat().st_ino for folder in gone for path in folder.rglob("*") if path.is_file())
        states = [blob.stat() for blob in self.layout.blobs.glob("*/*")]
        sizes = [state.st_size for state in states if state.st_nlink == 1 + lost[state.st_ino]]
        return Pruned(goes, len(sizes), sum(sizes), len(leftovers))


def _finding(what: str, check: Callable[[], object]) -> Finding:
    try:
        check()
    except BundleError as error:
        return Finding(what, str(error))
    return Finding(what, None)


def _check_blob(blob: Path) -> None:
    if stored(blob).sha256 != blob.name:
        raise RefusedError(f"{blob}: its content has another sha256; the bundles that hold it are damaged too")


def _copy_folder(source: Path, target: Path, limits: Limits | None = None) -> None:
    if not (source / SIDECAR).exists():
        raise BundleError(f"{source} is not a bundle folder: it has no {SIDECAR}")
    tree = scan(source, limits or Limits())
    for folder in sorted(tree.folders):
        (target / folder).mkdir()
    for name in sorted(tree.files):
        _copy(source / name, target / name)


def _copy_archive(archive: Path, target: Path, work: Path) -> None:
    for name in SIDECARS:
        if not (archive.parent / name).exists():
            raise BundleError(f"{name} does not lie beside {archive}; a store keeps bundles with their signatures")
        _copy(archive.parent / name, target / name)
    _copy(archive, target / archive.name)
    unpacked = work / "unpacked"
    unpacked.mkdir()
    top, _ = unpack(target / archive.name, unpacked)
    (unpacked / top).rename(target / BAG)


def _copy(source: Path, target: Path) -> None:
    with open_plain(source) as original, target.open("xb") as copy:
        for block in blocks(original):
            copy.write(block)


def _get_archive(folder: Path, new: Path) -> None:
    data = (folder / SIDECAR).read_bytes()
    bundle = checked(Bundle, canonical_document(data, SIDECAR), SIDECAR)
    if new.name.endswith(".tar"):
        write_archive(folder / BAG, bundle.key, new, IN_STORE)
        if stored(new).sha256 != bundle.archive.sha256:
            raise RefusedError(f"{folder.name}: packing it again gives another archive than was sealed")
    elif bundle.archive.file.endswith(".tar.zst"):
        _copy(folder / bundle.archive.file, new)
    else:
        raise BundleError(f"{folder.name} was added with the archive {bundle.archive.file}; ask for a .tar")


def _same_sidecars(new: Path, old: Path) -> None:
    for name in sorted(path.name for path in new.iterdir() if path.name != BAG):
        if not (old / name).exists() or stored(old / name) != stored(new / name):
            raise BundleError(
                f"the store has {old.name} already, with another {name}; it keeps the one it has. "
                "To keep both, add this one to another store"
            )
