"""Putting the bundle folder in place."""

from pathlib import Path

import pytest

from lewm_evidence.errors import BundleError
from lewm_evidence.records import FinishedRun
from lewm_evidence.seal import bundle as module
from lewm_evidence.seal.bundle import evidence_folder, write_bundle
from lewm_evidence.seal.keys import SigningKey
from lewm_evidence.seal.verify import verify

KEY = "0123456789abcdef0123"


@pytest.mark.parametrize(("runs", "folder"), [("runs", "evidence"), ("/p/runs", "/p/evidence"), (".", "../evidence")])
def test_lies_beside_the_runs(runs: str, folder: str) -> None:
    """The bundle of `<runs>/seal/<key>` is `<runs>/../evidence/<key>`."""
    assert evidence_folder(Path(runs) / "seal" / KEY) == Path(folder) / KEY


def test_two_seals_are_byte_equal(
    examples: dict[str, FinishedRun], sealed: Path, lock: Path, signer: SigningKey, tmp_path: Path
) -> None:
    """Sealing the same runs again with the same key gives the same bag, archive and sidecars."""
    again = tmp_path / KEY
    write_bundle(again, examples, {"schema_version": 1}, [lock], signer)
    for path in sealed.rglob("*"):
        if path.is_file():
            assert (again / path.relative_to(sealed)).read_bytes() == path.read_bytes()


def test_the_key_changes_nothing_but_the_signatures(
    examples: dict[str, FinishedRun], sealed: Path, lock: Path, tmp_path: Path
) -> None:
    """Another key gives the same address, result and archive, and other sidecars."""
    other = tmp_path / "evidence" / KEY
    made = write_bundle(other, examples, {"schema_version": 1}, [lock])
    assert (tmp_path / ".lewm-evidence" / "signing-key").stat().st_mode & 0o777 == 0o600
    differing = {
        path.relative_to(sealed).as_posix()
        for path in sealed.rglob("*")
        if path.is_file() and (other / path.relative_to(sealed)).read_bytes() != path.read_bytes()
    }
    assert differing == {"bundle.json", "statement.dsse.json", "tagmanifest-sha256.txt.sig", "allowed_signers"}
    assert (verify(other).address, verify(other).result_digest) == (made.address, verify(sealed).result_digest)


def test_replaces_a_bundle_and_what_a_killed_job_left(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """An existing bundle gives way to the new one, and nothing else stays beside it."""
    write_bundle(tmp_path / KEY, {"fetch": examples["fetch"]}, {})
    old = verify(tmp_path / KEY)
    (tmp_path / f".{KEY}.killed" / "bag").mkdir(parents=True)
    write_bundle(tmp_path / KEY, examples, {})
    assert verify(tmp_path / KEY).address != old.address
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_a_failure_leaves_the_old_bundle(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """When a run cannot be sealed, the bundle that was there is untouched."""
    write_bundle(tmp_path / KEY, {"fetch": examples["fetch"]}, {})
    old = verify(tmp_path / KEY)
    with pytest.raises(BundleError, match="is the run finished"):
        write_bundle(tmp_path / KEY, {"fetch": FinishedRun(tmp_path / "runs" / "fetch" / KEY)}, {})
    assert verify(tmp_path / KEY) == old
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_a_full_disk_is_told_in_a_sentence(
    examples: dict[str, FinishedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the system while writing becomes a sentence, and nothing stays behind."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(module, "write_archive", full)
    with pytest.raises(BundleError, match="somewhere cannot be written: No space left"):
        write_bundle(tmp_path / KEY, examples, {})
    assert list(tmp_path.iterdir()) == []
