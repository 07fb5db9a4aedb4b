"""The store on this machine."""

import os
import shutil
import stat
import time
from pathlib import Path

import pytest

from lewm_evidence.errors import BundleError, RefusedError
from lewm_evidence.seal.bundle import SIDECAR, write_bundle
from lewm_evidence.seal.keys import signing_key
from lewm_evidence.seal.tree import Limits, scan
from lewm_evidence.seal.verify import verify
from lewm_evidence.store.local import IN_STORE, Store
from lewm_evidence.store.retention import Retention

NOTHING = Retention()


def contents(folder: Path, limits: Limits = IN_STORE) -> dict[str, bytes]:
    """Returns every file below `folder` by its path."""
    return {name: (folder / name).read_bytes() for name in scan(folder, limits).files}


def faults(store: Store) -> list[str]:
    """Returns what verifying the store finds."""
    return [f"{finding.what}: {finding.fault}" for finding in store.verify() if finding.fault]


def archive_of(bundle: Path) -> Path:
    """Returns the archive in a bundle folder."""
    return next(path for path in bundle.iterdir() if ".tar" in path.name)


def damage(path: Path) -> None:
    """Flips one bit of a file that is read only."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_keeps_what_was_added(store: Store, bundles: list[Path]) -> None:
    """Every file is there byte for byte, under the address, read only and as a link to the blob of its content."""
    added = store.add(bundles[0])
    assert added.new
    folder = store.locate(added.address)
    assert added.address == verify(bundles[0]).address == folder.name
    assert contents(folder) == contents(bundles[0])
    blobs = {blob.stat().st_ino: blob for blob in store.layout.blobs.glob("*/*")}
    for name in contents(folder):
        state = (folder / name).stat()
        assert stat.S_IMODE(state.st_mode) == 0o444 and state.st_ino in blobs
    assert faults(store) == []
    assert list(store.layout.tmp.iterdir()) == []


def test_an_archive_gives_the_same_as_its_folder(store: Store, bundles: list[Path], tmp_path: Path) -> None:
    """The archive with its sidecars beside it is kept as the bundle folder it was made with."""
    added = store.add(archive_of(bundles[0]))
    assert contents(store.locate(added.address)) == contents(bundles[0])
    assert store.add(bundles[0]) == type(added)(added.address, new=False)


def test_an_archive_needs_its_sidecars(store: Store, bundles: list[Path], tmp_path: Path) -> None:
    """An archive alone is not taken in, because its signatures would be lost."""
    alone = shutil.copy(archive_of(bundles[0]), tmp_path)
    with pytest.raises(BundleError, match=r"bundle\.json does not lie beside"):
        store.add(Path(alone))


def test_contents_are_kept_once(store: Store, bundles: list[Path]) -> None:
    """What two bundles share takes its space once."""
    pages = [next(bundle.rglob("page.html")).relative_to(bundle) for bundle in bundles[:2]]
    folders = [store.locate(store.add(bundle).address) for bundle in bundles[:2]]
    first, second = ((folder / page).stat() for folder, page in zip(folders, pages, strict=True))
    assert first.st_ino == second.st_ino and first.st_nlink == 3


def test_refuses_what_does_not_verify(store: Store, bundles: list[Path], tmp_path: Path) -> None:
    """An altered bundle is refused with the verifier's reason and leaves nothing in the store."""
    altered = tmp_path / "altered"
    shutil.copytree(bundles[0], altered)
    damage(next(altered.rglob("page.html")))
    with pytest.raises(RefusedError, match=r"page\.html: does not have the sha256"):
        store.add(altered)
    os.link(bundles[0] / SIDECAR, tmp_path / "link")
    try:
        with pytest.raises(RefusedError, match="is a hard link"):
            store.add(bundles[0])
    finally:
        (tmp_path / "link").unlink()
    assert store.entries() == [] and list(store.layout.blobs.glob("*/*")) == list(store.layout.tmp.iterdir()) == []
    assert store.add(bundles[0]).new


def test_says_what_is_not_a_bundle(store: Store, tmp_path: Path) -> None:
    """A folder without sidecars, and a path that is not there, are answered with a sentence."""
    with pytest.raises(BundleError, match="is not a bundle folder"):
        store.add(tmp_path)
    with pytest.raises(BundleError, match="does not exist"):
        store.add(tmp_path / "nothing")


def test_keeps_the_sidecars_it_has(store: Store, bundles: list[Path], work: Path, tmp_path: Path) -> None:
    """The same bag signed by another key is refused; the first signatures stay."""
    added = store.add(bundles[0])
    before = contents(store.locate(added.address))
    resealed = _sealed_by_another(work, bundles[0], tmp_path)
    assert verify(resealed).address == added.address
    with pytest.raises(BundleError, match="keeps the one it has"):
        store.add(resealed)
    assert contents(store.locate(added.address)) == before


def _sealed_by_another(work: Path, bundle: Path, tmp_path: Path) -> Path:
    from lewm_evidence.records import FinishedRun

    run = FinishedRun(next(bundle.glob("bag/data/runs/fetch/*")))
    original = FinishedRun(work / "runs" / "fetch" / run.path.name)
    folder = tmp_path / "other" / "evidence" / bundle.name
    write_bundle(folder, {"fetch": original}, {"schema_version": 1}, [], signing_key(tmp_path / "key", environment={}))
    return folder


def test_names_a_damaged_content(store: Store, bundles: list[Path]) -> None:
    """One changed bit is found in the blob and in each bundle that holds it, and nowhere else."""
    first, second = (store.add(bundle).address for bundle in bundles[:2])
    damage(next(store.locate(second).rglob("records.jsonl")))
    found = [finding.what.split()[0] for finding in store.verify() if finding.fault]
    assert found == ["bundle", "blob"]
    with pytest.raises(RefusedError, match=r"records\.jsonl"):
        store.verify_bundle(second)
    assert store.verify_bundle(first).address == first
    assert [finding.fault for finding in store.verify([first])] == [None]


def test_a_damaged_blob_does_not_spread(store: Store, bundles: list[Path]) -> None:
    """A bundle that is added after a shared content was damaged gets the good content, which also mends the blob."""
    first = store.add(bundles[0]).address
    damage(next(store.locate(first).rglob("page.html")))
    second = store.add(bundles[1]).address
    assert store.verify_bundle(second).address == second
    assert [finding.what for finding in store.verify() if finding.fault] == [f"bundle {first}"]


def test_gives_the_bundle_back(store: Store, bundles: list[Path], tmp_path: Path) -> None:
    """A folder and an archive come out as they went in, as plain files that verify."""
    address = store.add(bundles[0]).address
    assert store.get(address[:8], tmp_path / "out") == address
    assert contents(tmp_path / "out", Limits()) == contents(bundles[0])
    assert verify(tmp_path / "out").address == address
    store.get(f"sha256:{address}", tmp_path / "out.tar")
    assert verify(tmp_path / "out.tar").archive_sha256 == verify(bundles[0]).archive_sha256
    with pytest.raises(BundleError, match="exists already"):
        store.get(address, tmp_path / "out")
    assert not list(tmp_path.glob(".out*"))


def test_does_not_give_out_a_damaged_bundle(store: Store, bundles: list[Path], tmp_path: Path) -> None:
    """What is written is verified before it gets its name."""
    address = store.add(bundles[0]).address
    damage(next(store.locate(address).rglob("page.html")))
    with pytest.raises(RefusedError):
        store.get(address, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("name", ["", "abc", "../../..", "zzzzzzzz", "*" * 8, "0" * 64])
def test_names_are_addresses(name: str, store: Store, bundles: list[Path]) -> None:
    """Only an address, or enough of one, names a bundle."""
    store.add(bundles[0])
    with pytest.raises(BundleError):
        store.locate(name)


def test_prune_shows_before_it_removes(store: Store, bundles: list[Path]) -> None:
    """A prune tells what goes and removes it only when it is told to; the others stay whole."""
    addresses = [store.add(bundle).address for bundle in bundles]
    before = contents(store.layout.root)
    shown = store.prune(Retention(latest=1), time.time())
    assert contents(store.layout.root) == before
    assert [entry.address for entry in shown.bundles] == addresses[:2]
    done = store.prune(Retention(latest=1), time.time(), remove=True)
    assert (done.bundles, done.blobs, done.size) == (shown.bundles, shown.blobs, shown.size)
    assert [entry.address for entry in store.entries()] == addresses[2:]
    held = {path.stat().st_ino for path in store.locate(addresses[2]).rglob("*") if path.is_file()}
    assert {blob.stat().st_ino for blob in store.layout.blobs.glob("*/*")} == held
    assert faults(store) == []
    assert store.prune(NOTHING, time.time(), remove=True).blobs == 0


def test_a_pin_outlives_a_prune(store: Store, bundles: list[Path]) -> None:
    """A pinned bundle stays whatever the rules say, until it is unpinned."""
    address = store.add(bundles[0]).address
    assert store.pin(address[:8]) == address
    assert store.prune(Retention(latest=0), time.time(), remove=True).bundles == []
    assert store.entries()[0].pinned
    store.unpin(address)
    assert len(store.prune(Retention(latest=0), time.time(), remove=True).bundles) == 1


def test_age_is_that_of_adding(store: Store, bundles: list[Path]) -> None:
    """A bundle is as old as its time in this store."""
    old, young = (store.add(bundle).address for bundle in bundles[:2])
    then = time.time() - 40 * 86_400
    os.utime(store.locate(old), (then, then))
    gone = store.prune(Retention(days=30), time.time(), remove=True).bundles
    assert [entry.address for entry in gone] == [old] and store.locate(young)


def test_prune_clears_what_killed_processes_left(store: Store, bundles: list[Path]) -> None:
    """Unfinished work and contents without a bundle go; nothing else does."""
    address = store.add(bundles[0]).address
    (store.layout.tmp / "left").mkdir()
    (store.layout.tmp / "left" / "half").write_bytes(b"x")
    orphan = store.layout.blob("ab" * 32)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"orphan")
    plan = store.prune(NOTHING, time.time(), remove=True)
    assert (plan.blobs, plan.size, plan.unfinished) == (1, 6, 1)
    assert not orphan.exists() and list(store.layout.tmp.iterdir()) == []
    assert store.verify_bundle(address) and faults(store) == []


def test_a_store_is_not_made_over_other_things(tmp_path: Path) -> None:
    """A folder that holds something else is not turned into a store, and what is no store is not read as one."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BundleError, match="other things in it"):
        Store(tmp_path, create=True)
    with pytest.raises(BundleError, match="is not a store"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
