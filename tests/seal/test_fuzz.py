"""Fuzz targets for unpacker and verifier: a corpus of real bundles, altered at random, is never misread.

Whatever comes in, the outcome is a refusal, or the very bundle that was sealed; no other exception, nothing left.
`FUZZ_EXAMPLES=100000 pytest tests/seal/test_fuzz.py` looks longer.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import example_runs
from lewm_evidence.canonical import sha256_bytes
from lewm_evidence.errors import RefusedError
from lewm_evidence.seal.bag import write_bag
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.crate import check_crate
from lewm_evidence.seal.documents import Index, canonical_document, checked
from lewm_evidence.seal.keys import SigningKey
from lewm_evidence.seal.runs import parse_manifest
from lewm_evidence.seal.tree import Limits, Stored
from lewm_evidence.seal.verify import verify

KEY = "0123456789abcdef0123"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
LIMITS = Limits(files=200, size=1 << 22, document=1 << 20)
many = settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
# A place and a length as shares, so that one strategy fits every size; what to put there instead.
piece = st.binary(max_size=600) | st.sampled_from(
    [b"\0" * 512, b"../", b"/", b"\xff", b"0" * 64, b'"@id":"../x"', b"{}"]
)
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 600), piece), min_size=1, max_size=4)
Edits = list[tuple[float, int, bytes]]


def edited(data: bytes, changes: Edits) -> bytes:
    """Returns `data` with pieces replaced."""
    for share, length, new in changes:
        place = int(share * len(data))
        data = data[:place] + new + data[place + length :]
    return data


@pytest.fixture(scope="module")
def corpus(signer: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small bundle folder with a plain archive, and one with a compressed archive. Read only."""
    project = tmp_path_factory.mktemp("project")
    run = example_runs.finished(project / "runs", "fetch", example_runs.write_fetch)
    for name, config in (("plain", {}), ("pressed", {"seal": {"compress": True}})):
        write_bundle(project / name / KEY, {"fetch": run}, config, key=signer)
    return {name: project / name / KEY for name in ("plain", "pressed")}


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("form", ["plain", "pressed"])
@many
@given(changes=edits)
def test_an_altered_archive(form: str, changes: Edits, corpus: dict[str, Path], private: Path) -> None:
    """Plain and compressed."""
    (archive,) = corpus[form].glob(f"{KEY}.tar*")
    path = private.parent / "altered"
    path.write_bytes(edited(archive.read_bytes(), changes))
    try:
        found = verify(path, LIMITS)
    except RefusedError as error:
        assert str(error).isprintable()
    else:
        assert found.address == verify(corpus[form]).address
    assert list(private.iterdir()) == []


@many
@given(changes=edits, share=st.floats(0, 1, exclude_max=True))
def test_an_altered_file_of_the_folder(changes: Edits, share: float, corpus: dict[str, Path], tmp_path: Path) -> None:
    """Any file of the bundle, sidecars included."""
    files = sorted(path.relative_to(corpus["plain"]) for path in corpus["plain"].rglob("*") if path.is_file())
    name = files[int(share * len(files))]
    copy = tmp_path / KEY
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(corpus["plain"], copy)
    good = (copy / name).read_bytes()
    bad = edited(good, changes)
    (copy / name).write_bytes(bad)
    if bad == good:
        verify(copy, LIMITS)
    else:
        with pytest.raises(RefusedError):
            verify(copy, LIMITS)


@many
@given(changes=edits)
def test_altered_documents(changes: Edits, corpus: dict[str, Path]) -> None:
    """The readers behind the digests, which only a forger's bag reaches, know nothing but refusals either."""
    bag = corpus["plain"] / "bag"
    (run,) = (bag / "data" / "runs" / "fetch").iterdir()
    readers = {
        bag / "ro-crate-metadata.json": lambda data: check_crate(data, {"data/x": Stored(sha256_bytes(b""), 0)}),
        bag / "data" / "index.json": lambda data: checked(Index, canonical_document(data, "index"), "index"),
        run / "manifest.json": lambda data: parse_manifest(data, "manifest"),
    }
    for path, read in readers.items():
        data = edited(path.read_bytes(), changes)
        with contextlib.suppress(RefusedError):
            read(data)


def test_the_corpus_is_what_is_sealed(corpus: dict[str, Path], tmp_path: Path) -> None:
    """The unaltered corpus passes within the limits of these tests."""
    assert {verify(path, LIMITS).kind for path in corpus.values()} == {"folder"}
    write_bag(tmp_path / "bag", {}, {})
    assert verify(tmp_path / "bag", LIMITS).runs == {}
