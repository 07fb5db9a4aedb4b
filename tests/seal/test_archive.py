"""The deterministic archive and its strict reader."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lewm_evidence.errors import RefusedError
from lewm_evidence.seal.archive import MTIME, archive_digest, header, unpack, write_archive
from lewm_evidence.seal.names import Names, fault_in
from lewm_evidence.seal.tree import Limits, parents, scan


def plant(root: Path, files: dict[str, bytes]) -> Path:
    """Writes `files` below the new folder `root`."""
    root.mkdir(parents=True)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def contents(root: Path) -> dict[str, bytes]:
    """Returns every file below `root` by its path."""
    return {name: (root / name).read_bytes() for name in scan(root, Limits()).files}


def closed(*parts: bytes) -> bytes:
    """Returns an archive of the given headers and bodies, ended and padded as it must be."""
    data = b"".join(parts) + bytes(1024)
    return data + bytes(-len(data) % 10240)


component = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"], exclude_characters="/"), max_size=40
)
paths = st.lists(component, min_size=1, max_size=4).map("/".join).filter(lambda path: fault_in(path) is None)


def fits_together(files: dict[str, bytes]) -> bool:
    """Returns whether the paths can be in one tree."""
    names = Names()
    folders = {folder for path in files for folder in parents(path)}
    return not folders & files.keys() and not any(names.fault(path) for path in sorted(folders | files.keys()))


trees = st.dictionaries(paths, st.binary(max_size=2000), max_size=6).filter(fits_together)


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(files=trees, name=component.filter(lambda name: fault_in(name) is None))
def test_round_trip(files: dict[str, bytes], name: str, tmp_path: Path) -> None:
    """Any tree of portable names comes out of its archive as it went in, and packs to the same bytes again."""
    work = tmp_path / "work"
    shutil.rmtree(work, ignore_errors=True)
    bag = plant(work / "bag", files)
    sealed = write_archive(bag, name, work / "a.tar")
    (work / "out").mkdir()
    assert unpack(work / "a.tar", work / "out") == (name, sealed.sha256)
    assert contents(work / "out" / name) == files
    assert archive_digest(work / "out" / name, name) == sealed.sha256
    assert sealed.size == (work / "a.tar").stat().st_size


def test_bytes_depend_on_content_alone(tmp_path: Path) -> None:
    """Times, modes and the order of creation do not matter, and the bytes are those of the first version."""
    files = {"b.txt": b"two", "a/long-" + "x" * 120: b"one", "a-b": b"", "ü": b"three" * 300}
    one = plant(tmp_path / "one", files)
    two = plant(tmp_path / "two", dict(reversed(files.items())))
    (two / "b.txt").chmod(0o755)
    os.utime(two / "b.txt", (1, 1))
    digest = archive_digest(one, "bag")
    assert archive_digest(two, "bag") == digest
    # Written down from this version on Python 3.11; a change means that old archives do not verify any more.
    assert digest == "2e171e71d3b7866cc1b32b2174a9965672b5f3aa91fbf2e272045968cd59f672"


def test_other_readers_agree(tmp_path: Path) -> None:
    """The standard library and GNU tar read the same names and contents."""
    files = {"a": b"1", "b/c": b"2" * 600, "ü" + "x" * 110: b"3"}
    write_archive(plant(tmp_path / "bag", files), "top", tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        found = {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}  # type: ignore[union-attr]
        assert found == {f"top/{name}": content for name, content in files.items()}
        assert {info.mtime for info in tar.getmembers()} == {MTIME}
    if shutil.which("tar") is None:
        pytest.skip("no tar on this machine")
    (tmp_path / "out").mkdir()
    told = subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path / "out"], capture_output=True, check=True)
    assert told.stderr == b""
    assert contents(tmp_path / "out" / "top") == files


def altered(change: Callable[[tarfile.TarInfo], None], name: str = "top/x") -> bytes:
    """Returns an archive whose one member was changed by `change` before it was written."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = 3, MTIME, 0o644
    change(info)
    body = b"abc".ljust(512, b"\0") if info.isreg() else b""
    return closed(header("top", None), info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"), body)


def kind(type_: bytes, link: str = "") -> bytes:
    """Returns an archive with a member of another kind."""

    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = type_, link, 0

    return altered(change)


def with_field(**fields: object) -> bytes:
    """Returns an archive with a member that has other fields."""

    def change(info: tarfile.TarInfo) -> None:
        for name, value in fields.items():
            setattr(info, name, value)

    return altered(change)


BODY = b"abc".ljust(512, b"\0")
TOP, FILE = header("top", None), header("top/x", 3) + BODY
PAX = header("top/" + "a" * 120, 0)
GOOD = closed(TOP, FILE)
ATTACKS: dict[str, tuple[bytes, str]] = {
    "truncated in a body": (GOOD[:1100], "ends at byte"),
    "truncated in a header": (GOOD[:700], "ends at byte"),
    "truncated at the end": (GOOD[:-512], "ends at byte"),
    "nothing": (b"", "ends at byte"),
    "empty": (closed(), "empty"),
    "trailing zeros": (GOOD + bytes(512), "goes on after its end"),
    "trailing garbage": (GOOD + b"x", "goes on after its end"),
    "garbage in the last record": (GOOD[:-1] + b"x", "other bytes than zeros"),
    "garbage after a body": (closed(TOP, header("top/x", 3) + b"abcd".ljust(512, b"\0")), "not zero"),
    "second archive": (GOOD + GOOD, "goes on after its end"),
    "duplicate": (closed(TOP, FILE, FILE), "top/x: is in the archive twice"),
    "reordered": (closed(TOP, header("top/z", 0), FILE), "top/x: is not in its place"),
    "two tops": (closed(TOP, header("top2", None)), "top2: the archive holds one folder"),
    "file at the top": (closed(header("x", 3) + BODY), "x: the archive holds one folder"),
    "no folder before": (closed(TOP, header("top/a/x", 0)), "its folder top/a is not"),
    "file as folder": (closed(TOP, FILE, header("top/x/y", 0)), "its folder top/x is not"),
    "absolute": (closed(header("/top", None)), "absolute"),
    "way up": (closed(TOP, header("top/../../x", 0)), "'..'"),
    "dot": (closed(header("./top", None)), "'.'"),
    "case": (closed(TOP, header("top/X", 0), header("top/x", 0)), "by case only"),
    "decomposed": (closed(TOP, header("top/e\u0301", 0)), "normal form"),
    "newline": (closed(TOP, header("top/a\nb", 0)), "invisible"),
    "bidi": (closed(TOP, header("top/a\u202eb", 0)), "invisible"),
    "not UTF-8": (closed(TOP, header("top/x", 0).replace(b"top/x", b"top/\xff")), "not UTF-8"),
    "backslash": (closed(TOP, header("top/a\\b", 0)), "holds"),
    "drive": (closed(TOP, header("top/C:", 0)), "holds ':'"),
    "device name": (closed(TOP, header("top/CON", 0)), "device"),
    "long name": (closed(TOP, header("top/" + "a" * 300, 0)), "longer"),
    "symlink": (kind(tarfile.SYMTYPE, "/etc/passwd"), "top/x: is a symbolic link"),
    "hard link": (kind(tarfile.LNKTYPE, "top/y"), "top/x: is a hard link"),
    "fifo": (kind(tarfile.FIFOTYPE), "top/x: is a fifo"),
    "device": (kind(tarfile.CHRTYPE), "top/x: is a character device"),
    "sparse": (kind(tarfile.GNUTYPE_SPARSE), "top/x: is a sparse file"),
    "GNU long name": (kind(tarfile.GNUTYPE_LONGNAME), "top/x: is a GNU long name"),
    "old file": (kind(tarfile.AREGTYPE), "top/x: is a file of the old tar format"),
    "set-user": (with_field(mode=0o4755), "top/x: its header"),
    "mode": (with_field(mode=0o755), "top/x: its header"),
    "owner": (with_field(uid=1000), "top/x: its header"),
    "owner name": (with_field(uname="somebody"), "top/x: its header"),
    "time": (with_field(mtime=MTIME + 1), "top/x: its header"),
    "pax comment": (with_field(pax_headers={"comment": "hello"}), "other records than a path"),
    "large size": (with_field(size=8**11 - 1), "up to here"),
    "size in base 256": (closed(TOP, header("top/x", 3)[:124] + b"\x80" + bytes(10) + b"\3"), "11 octal digits"),
    "large pax header": (closed(PAX[:124] + b"00077777777\0" + PAX[136:]), "more than a path"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_refuses_what_it_would_not_have_written(attack: str, tmp_path: Path) -> None:
    """Each attack is refused with its own reason, and nothing lands outside the folder given."""
    (tmp_path / "good.tar").write_bytes(GOOD)
    (tmp_path / "good").mkdir()
    assert unpack(tmp_path / "good.tar", tmp_path / "good")[0] == "top"
    data, reason = ATTACKS[attack]
    (tmp_path / "bad.tar").write_bytes(data)
    (tmp_path / "bad").mkdir()
    before = set(tmp_path.iterdir())
    with pytest.raises(RefusedError) as refusal:
        unpack(tmp_path / "bad.tar", tmp_path / "bad", Limits(size=1 << 20))
    assert reason in str(refusal.value)
    assert set(tmp_path.iterdir()) == before
    assert all(path.is_relative_to(tmp_path / "bad" / "top") for path in (tmp_path / "bad").rglob("*"))


def test_refuses_more_than_its_limits(tmp_path: Path) -> None:
    """More members or bytes than allowed are refused before they are written."""
    (tmp_path / "a.tar").write_bytes(GOOD)
    for number, limits in enumerate((Limits(files=1), Limits(size=2))):
        out = tmp_path / str(number)
        out.mkdir()
        with pytest.raises(RefusedError, match="up to here"):
            unpack(tmp_path / "a.tar", out, limits)
        assert not (out / "top" / "x").exists()


def test_every_flipped_bit_of_a_small_archive_shows(tmp_path: Path) -> None:
    """A change in any byte is refused, or unpacks to another content or digest; none goes unseen."""
    good = hashlib.sha256(GOOD).hexdigest()
    for place in range(0, len(GOOD), 61):
        data = bytearray(GOOD)
        data[place] ^= 1 << (place % 8)
        (tmp_path / "a.tar").write_bytes(data)
        out = tmp_path / "out"
        out.mkdir()
        try:
            _, sha256 = unpack(tmp_path / "a.tar", out)
            # Only the file's own three bytes, which the bag's manifest covers, may pass the archive's rules.
            assert sha256 != good and 1024 <= place < 1027
        except RefusedError:
            pass
        shutil.rmtree(out)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=3000))
def test_noise_is_refused(data: bytes, tmp_path: Path) -> None:
    """Arbitrary bytes raise a refusal and nothing else."""
    (tmp_path / "a.tar").write_bytes(data)
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    with pytest.raises(RefusedError):
        unpack(tmp_path / "a.tar", out)


def test_refuses_to_pack_links(tmp_path: Path) -> None:
    """The writer takes plain files only, as the reader does."""
    bag = plant(tmp_path / "bag", {"a": b"1"})
    (bag / "b").symlink_to("a")
    with pytest.raises(RefusedError, match="'b': is a symbolic link"):
        archive_digest(bag, "bag")


def test_refuses_to_pack_a_file_that_its_header_cannot_hold() -> None:
    """Sizes of more than 11 octal digits are refused with a sentence."""
    with pytest.raises(RefusedError, match="holds files up to"):
        header("x", 8**11)
