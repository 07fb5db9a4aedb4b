"""Compressed archives: the same bundle, read as strictly, and never more of it than its limits allow."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lewm_evidence.canonical import sha256_file
from lewm_evidence.errors import RefusedError
from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.archive import unpack
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.keys import SigningKey
from lewm_evidence.seal.tree import Limits
from lewm_evidence.seal.verify import verify
from lewm_evidence.seal.zstd import Writer, open_archive

KEY = "0123456789abcdef0123"
ZST = f"{KEY}.tar.zst"
CHECKED = {zstd.CompressionParameter.checksum_flag: 1}


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which must be empty after every test."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def packed(
    examples: dict[str, FinishedRun], lock: Path, signer: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle with a compressed archive. Read only."""
    folder = tmp_path_factory.mktemp("project") / "evidence" / KEY
    write_bundle(folder, examples, {"schema_version": 1, "seal": {"compress": True}}, [lock], signer)
    return folder


def test_is_the_same_archive_smaller(packed: Path, private: Path) -> None:
    """Folder and archive are accepted; the digest is that of the tar, which the zstd tool gives too."""
    folder, archive = verify(packed), verify(packed / ZST)
    assert folder.archive_sha256 == archive.archive_sha256 != sha256_file(packed / ZST)
    assert folder.address == archive.address and archive.signed_by == folder.signed_by is not None
    assert list(private.iterdir()) == []
    if shutil.which("zstd") is None:
        pytest.skip("no zstd on this machine")
    told = subprocess.run(["zstd", "-dc", packed / ZST], capture_output=True, check=True)
    (private.parent / "a.tar").write_bytes(told.stdout)
    assert sha256_file(private.parent / "a.tar") == folder.archive_sha256


def test_other_bytes_of_the_same_archive_are_as_good_alone(packed: Path, tmp_path: Path) -> None:
    """Compressed anew by somebody else it is still this bundle; beside `bundle.json` it must be as it was."""
    data = zstd.decompress((packed / ZST).read_bytes())
    (tmp_path / "again.zst").write_bytes(
        zstd.compress(data, options={**CHECKED, zstd.CompressionParameter.compression_level: 9})
    )
    assert verify(tmp_path / "again.zst").address == verify(packed).address
    shutil.copytree(packed, tmp_path / KEY)
    shutil.copy(tmp_path / "again.zst", tmp_path / KEY / ZST)
    with pytest.raises(RefusedError, match=f"{ZST}: does not have the sha256"):
        verify(tmp_path / KEY)


def test_a_flip_anywhere_is_found(packed: Path, tmp_path: Path, private: Path) -> None:
    """In the folder every flip; in the archive alone every flip that changes what comes out."""
    shutil.copytree(packed, tmp_path / KEY)
    path = tmp_path / KEY / ZST
    good = path.read_bytes()
    address = verify(path).address
    for place in [*range(12), *range(12, len(good), len(good) // 20), len(good) - 1]:
        data = bytearray(good)
        data[place] ^= 1 << (place % 8)
        path.write_bytes(data)
        with pytest.raises(RefusedError, match=ZST):
            verify(tmp_path / KEY)
        # A bit of the window's size may pass; what comes out is then the same, byte for byte.
        with contextlib.suppress(RefusedError):
            assert verify(path).address == address
        assert list(private.iterdir()) == []


def framed(data: bytes, **options: int) -> bytes:
    """Returns a frame with a checksum and other options."""
    return zstd.compress(data, options=CHECKED | {getattr(zstd.CompressionParameter, k): v for k, v in options.items()})


def lying(good: bytes) -> bytes:
    """Returns a frame of 512 bytes that says it holds more."""
    frame = bytearray(framed(good[:512]))
    assert frame[4] >> 6 == 1, "a content size of two bytes"
    frame[5 if frame[4] & 0x20 else 6] ^= 1
    return bytes(frame)


ATTACKS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "bomb of zeros": (lambda _: framed(bytes(1 << 28)), "goes on after its end"),
    "bomb in a file": (lambda tar: framed(tar[:512] + _large() + bytes(1 << 26)), "up to here"),
    "truncated": (lambda tar: framed(tar)[:-200], "ends in the middle"),
    "only its start": (lambda tar: framed(tar)[:4], "no checksum"),
    "no checksum": (lambda tar: zstd.compress(tar), "no checksum"),
    "other checksum": (lambda tar: framed(tar)[:-4] + b"\0\0\0\0", "cannot be read"),
    "lying size": (lying, "cannot be read"),
    "trailing bytes": (lambda tar: framed(tar) + b"x", "goes on after its end"),
    "second frame": (lambda tar: framed(tar) + framed(b""), "goes on after its end"),
    "skippable frame behind": (lambda tar: framed(tar) + b"\x50\x2a\x4d\x18\0\0\0\0", "goes on after its end"),
    "skippable frame before": (lambda tar: b"\x50\x2a\x4d\x18\0\0\0\0" + framed(tar), "11 octal digits|ends at|size"),
    "large window": (lambda tar: framed(tar + bytes(1 << 25), window_log=25, content_size_flag=0), "cannot be read"),
    "compressed twice": (lambda tar: framed(framed(tar)), "name|octal|ends|header|size"),
}


def _large() -> bytes:
    from lewm_evidence.seal.archive import header

    return header(f"{KEY}/x", 1 << 40 >> 8)


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_is_refused_with_its_own_reason(attack: str, packed: Path, tmp_path: Path, private: Path) -> None:
    """Nothing is left, nothing is written outside, and the good archive passes."""
    assert verify(packed / ZST).files > 0
    tar = zstd.decompress((packed / ZST).read_bytes())
    change, reason = ATTACKS[attack]
    (tmp_path / "bad.zst").write_bytes(change(tar))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RefusedError, match=reason):
        verify(tmp_path / "bad.zst", Limits(size=1 << 22))
    assert sorted(tmp_path.rglob("*")) == before and list(private.iterdir()) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), start=st.sampled_from([b"", b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd\x04"]))
def test_noise_is_refused(data: bytes, start: bytes, tmp_path: Path) -> None:
    """Arbitrary bytes, also behind a frame's start, raise a refusal and nothing else."""
    (tmp_path / "a").write_bytes(start + data)
    (tmp_path / "out").mkdir(exist_ok=True)
    with pytest.raises(RefusedError):
        unpack(tmp_path / "a", tmp_path / "out")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=5000))
def test_round_trip(data: bytes, tmp_path: Path) -> None:
    """What is written is what is read."""
    path = tmp_path / "a.zst"
    path.unlink(missing_ok=True)
    with Writer(path) as out:
        out.write(data[:100])
        out.write(data[100:])
    with open_archive(path) as file:
        assert file.read() == data
