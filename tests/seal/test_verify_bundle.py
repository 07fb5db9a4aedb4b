"""The verifier: the good bundle passes, and every way to alter it is found and named."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lewm_evidence.canonical import canonical_json, sha256_file
from lewm_evidence.errors import BundleError, RefusedError
from lewm_evidence.seal import verify as module
from lewm_evidence.seal.archive import write_archive
from lewm_evidence.seal.bag import manifest_text
from lewm_evidence.seal.documents import Index, bundle_digest
from lewm_evidence.seal.tree import Limits
from lewm_evidence.seal.verify import verify

KEY = "0123456789abcdef0123"
CRATE = "ro-crate-metadata.json"
TAR = f"{KEY}.tar"


@pytest.fixture(autouse=True)
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which must be empty after every test."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def refusal(path: Path) -> str:
    """Returns why `path` is refused."""
    with pytest.raises(RefusedError) as refused:
        verify(path)
    return str(refused.value)


def reseal(bundle: Path, *, sidecar: bool = True) -> None:
    """Makes manifests, archive and sidecar anew, as somebody would who wants to hide a change."""
    bag = bundle / "bag"
    payload = sorted(path for path in (bag / "data").rglob("*") if path.is_file())
    sizes = sum(path.stat().st_size for path in payload)
    info = re.sub(r"Oxum: .*", f"Oxum: {sizes}.{len(payload)}", (bag / "bag-info.txt").read_text())
    (bag / "bag-info.txt").write_text(info)
    digests = {path.relative_to(bag).as_posix(): sha256_file(path) for path in payload}
    (bag / "manifest-sha256.txt").write_bytes(manifest_text(digests))
    redescribe(bag, {name: (sha256, str((bag / name).stat().st_size)) for name, sha256 in digests.items()})
    reseal_tags(bundle, sidecar=sidecar)


def redescribe(bag: Path, files: dict[str, tuple[str, str]]) -> None:
    """Makes the crate describe `files`, sha256 and size by name, and no others."""
    document = json.loads((bag / CRATE).read_bytes())
    others = [entity for entity in document["@graph"] if "File" not in entity["@type"]]
    described = [
        {"@id": name, "@type": "File", "contentSize": size, "sha256": sha256} for name, (sha256, size) in files.items()
    ]
    (bag / CRATE).write_bytes(canonical_json(document | {"@graph": others + described}))


def reseal_tags(bundle: Path, *, sidecar: bool = True) -> None:
    """Makes tag manifest, archive and sidecar anew."""
    bag = bundle / "bag"
    tags = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", CRATE)
    (bag / "tagmanifest-sha256.txt").write_bytes(manifest_text({name: sha256_file(bag / name) for name in tags}))
    if sidecar:
        reseal_sidecar(bundle)


def reseal_sidecar(bundle: Path) -> None:
    """Makes archive and sidecar anew."""
    bag = bundle / "bag"
    (bundle / TAR).unlink()
    archive = write_archive(bag, KEY, bundle / TAR)
    fields = json.loads((bundle / "bundle.json").read_bytes())
    fields["address"] = sha256_file(bag / "tagmanifest-sha256.txt")
    fields["archive"] |= {"sha256": archive.sha256, "size": archive.size}
    (bundle / "bundle.json").write_bytes(canonical_json(fields))


def flip(path: Path, place: int) -> None:
    """Changes one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_accepts_the_bundle_in_its_three_forms(sealed: Path, private: Path) -> None:
    """Folder, bag and archive are accepted and tell the same; temporary files are gone."""
    found = {verify(path).kind: verify(path) for path in (sealed, sealed / "bag", sealed / TAR)}
    assert set(found) == {"folder", "bag", "archive"}
    assert len({(one.address, one.result_digest, one.files, one.size) for one in found.values()}) == 1
    assert found["folder"].archive_sha256 == found["archive"].archive_sha256 == sha256_file(sealed / TAR)
    assert found["bag"].address == sha256_file(sealed / "bag" / "tagmanifest-sha256.txt")
    assert set(found["bag"].runs) == {"fetch", "showcase", "evaluate"}
    assert list(private.iterdir()) == []


def test_a_renamed_bundle_is_still_accepted(sealed: Path, tmp_path: Path) -> None:
    """The name of the folder or of the archive is the reader's business."""
    shutil.copytree(sealed, tmp_path / "my evidence")
    shutil.copy(sealed / TAR, tmp_path / "download (1).bin")
    (tmp_path / "link").symlink_to(tmp_path / "my evidence")
    for name in ("my evidence", "download (1).bin", "link"):
        assert verify(tmp_path / name).files > 0


def test_one_changed_byte_in_every_file_is_found_and_named(bundle: Path) -> None:
    """First, middle or last byte, in each file of the bundle: refused, and the file is named."""
    files = [path for path in sorted(bundle.rglob("*")) if path.is_file()]
    assert len(files) > 40
    for path in files:
        name = path.relative_to(bundle).as_posix()
        size = path.stat().st_size
        for place in {0, size // 2, size - 1} if size else set():
            verify(bundle) if place == 0 else None
            flip(path, place)
            assert name in refusal(bundle)
            if name.startswith("bag/"):
                assert name.removeprefix("bag/") in refusal(bundle / "bag")
            flip(path, place)
    verify(bundle)


def test_one_changed_byte_in_the_archive_is_found(bundle: Path, private: Path) -> None:
    """A flip anywhere in the archive is refused, from the archive alone too, and leaves nothing behind."""
    size = (bundle / TAR).stat().st_size
    for place in range(0, size, size // 23):
        flip(bundle / TAR, place)
        assert refusal(bundle / TAR).startswith(f"{TAR}: ")
        assert list(private.iterdir()) == []
        flip(bundle / TAR, place)
    verify(bundle / TAR)


def test_a_missing_file_is_found_and_named(bundle: Path) -> None:
    """Each file of the bundle in turn: without it the bundle is refused, and the file is named."""
    for path in [path for path in sorted(bundle.rglob("*")) if path.is_file()]:
        data = path.read_bytes()
        path.unlink()
        assert path.name in refusal(bundle)
        path.write_bytes(data)
    verify(bundle)


def test_an_extra_file_is_found_and_named(bundle: Path) -> None:
    """In each folder of the bundle in turn: a file more is refused and named; so is an empty folder."""
    for folder in [bundle, *(path for path in sorted(bundle.rglob("*")) if path.is_dir())]:
        for extra in (folder / "extra.txt", folder / ".hidden"):
            extra.touch()
            assert extra.name in refusal(bundle)
            extra.unlink()
            extra.mkdir()
            assert extra.name in refusal(bundle)
            extra.rmdir()
    verify(bundle)


def make_symlink(path: Path) -> None:
    """Puts a link to the same bytes in the place of a file."""
    outside = Path(tempfile.mkdtemp()) / "outside"
    path.rename(outside)
    path.symlink_to(outside)


def make_hardlink(path: Path) -> None:
    """Gives a file a second name outside."""
    os.link(path, Path(tempfile.mkdtemp()) / "outside")


def make_fifo(path: Path) -> None:
    """Puts a fifo in the place of a file."""
    path.unlink()
    os.mkfifo(path)


def make_setuid(path: Path) -> None:
    """Sets the set-user bit."""
    path.chmod(0o4755)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (make_symlink, "is a symbolic link"),
        (make_hardlink, "is a hard link"),
        (make_fifo, "is a special file"),
        (make_setuid, "set-user"),
    ],
)
@pytest.mark.parametrize("name", ["bag/data/index.json", "bag/bagit.txt", TAR, "bundle.json"])
def test_anything_but_a_plain_file_is_refused(
    change: Callable[[Path], None], reason: str, name: str, bundle: Path, private: Path
) -> None:
    """A link or special file in the place of a file is refused, though its bytes may be right."""
    verify(bundle)
    change(bundle / name)
    told = refusal(bundle)
    assert name in told and (reason in told or "not a plain file" in told)
    shutil.rmtree(private)


def test_a_linked_folder_is_refused(bundle: Path, tmp_path: Path) -> None:
    """A folder of the bag, or the bag itself, that lies elsewhere is refused."""
    verify(bundle)
    for name in ("bag/data/runs", "bag"):
        (bundle / name).rename(tmp_path / "elsewhere")
        (bundle / name).symlink_to(tmp_path / "elsewhere")
        assert name in refusal(bundle)
        (bundle / name).unlink()
        (tmp_path / "elsewhere").rename(bundle / name)


def edit(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    """Returns what changes the text of a file in the bag and hides that as well as it can."""

    def attack(bundle: Path) -> None:
        path = bundle / "bag" / name
        text = path.read_text()
        assert change(text) != text
        path.write_text(change(text))
        if name.startswith("data/"):
            reseal(bundle)
        elif name == "tagmanifest-sha256.txt":
            reseal_sidecar(bundle)
        else:
            reseal_tags(bundle)

    return attack


def put(name: str, text: str = "x\n", *, hide: bool = True) -> Callable[[Path], None]:
    """Returns what adds a file to the bag; with `hide` the manifests are made anew."""

    def attack(bundle: Path) -> None:
        (bundle / "bag" / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / "bag" / name).write_text(text)
        if hide:
            reseal(bundle)

    return attack


def a_run(bundle: Path) -> Path:
    """Returns the fetch run in the bag."""
    (run,) = (bundle / "bag" / "data" / "runs" / "fetch").iterdir()
    return run


def alter_run(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Returns what changes a file of a sealed run and makes the bag's manifests anew."""

    def attack(bundle: Path) -> None:
        path = a_run(bundle) / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
        reseal(bundle)

    return attack


def drop_run_file(bundle: Path) -> None:
    """Removes a file of a run and its line in the bag's manifest."""
    (a_run(bundle) / "timing.jsonl").unlink()
    reseal(bundle)


def drop_run(bundle: Path) -> None:
    """Removes a run from the index only."""
    path = bundle / "bag" / "data" / "index.json"
    index = Index.model_validate_json(path.read_bytes())
    runs = {name: run for name, run in index.runs.items() if name != "fetch"}
    path.write_bytes(canonical_json(Index(result_digest=bundle_digest(runs), runs=runs).model_dump()))
    reseal(bundle)


def change_digest_in_index(bundle: Path) -> None:
    """Gives a run another result digest, consistently within the index."""
    path = bundle / "bag" / "data" / "index.json"
    index = Index.model_validate_json(path.read_bytes())
    runs = dict(index.runs) | {"fetch": index.runs["fetch"].model_copy(update={"result_digest": "0" * 64})}
    path.write_bytes(canonical_json(Index(result_digest=bundle_digest(runs), runs=runs).model_dump()))
    reseal(bundle)


def move_run(bundle: Path) -> None:
    """Gives a run another key in every document but its spec."""
    run = a_run(bundle)
    new = "f" * 20
    manifest = (run / "manifest.json").read_text().replace(f'"key": "{run.name}', f'"key": "{new}')
    (run / "manifest.json").write_text(manifest)
    path = bundle / "bag" / "data" / "index.json"
    index = Index.model_validate_json(path.read_bytes())
    runs = dict(index.runs) | {"fetch": index.runs["fetch"].model_copy(update={"key": new})}
    path.write_bytes(canonical_json(Index(result_digest=bundle_digest(runs), runs=runs).model_dump()))
    run.rename(run.with_name(new))
    reseal(bundle)


def in_sidecar(**fields: object) -> Callable[[Path], None]:
    """Returns what changes fields of `bundle.json`."""

    def attack(bundle: Path) -> None:
        found = json.loads((bundle / "bundle.json").read_bytes())
        (bundle / "bundle.json").write_bytes(canonical_json(found | fields))

    return attack


def named(file: str, sha256: str = "0" * 64, size: int = 1) -> dict[str, object]:
    """Returns what `bundle.json` says of an archive."""
    return {"compressed": None, "file": file, "sha256": sha256, "size": size}


def other_archive(bundle: Path) -> None:
    """Puts the archive of another bag beside the bag, and says so in the sidecar."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(bundle / "bag", Path(folder) / "bag")
        (Path(folder) / "bag" / "extra").touch()
        (bundle / TAR).unlink()
        archive = write_archive(Path(folder) / "bag", KEY, bundle / TAR)
    in_sidecar(archive=named(TAR, archive.sha256, archive.size))(bundle)


def md5_instead(bundle: Path) -> None:
    """Replaces the manifest by one of a weaker algorithm."""
    bag = bundle / "bag"
    (bag / "manifest-sha256.txt").rename(bag / "manifest-md5.txt")


def first_line(text: str) -> str:
    """Returns the first line with its end."""
    return text.split("\n")[0] + "\n"


M, T = "manifest-sha256.txt", "tagmanifest-sha256.txt"
ATTACKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "manifest line removed": (edit(M, lambda t: t.replace(first_line(t), "")), "data/README.md: is not in manifest"),
    "manifest line twice": (
        edit(M, lambda t: first_line(t) + t),
        "manifest-sha256.txt:2: data/README.md is listed t",
    ),
    "manifest out of order": (edit(M, lambda t: t.replace(first_line(t), "") + first_line(t)), "out of order"),
    "upper-case digest": (edit(M, lambda t: t[:64].upper() + t[64:]), "manifest-sha256.txt:1: is not a lower-case"),
    "short digest": (edit(M, lambda t: t[32:]), "manifest-sha256.txt:1: is not a lower-case"),
    "binary mark": (edit(M, lambda t: t.replace("  ", " *", 1)), "manifest-sha256.txt:1: is not a lower-case"),
    "line of the way up": (edit(M, lambda t: "0" * 64 + "  ../x\n" + t), "manifest-sha256.txt:1: lists '../x'"),
    "absolute line": (edit(M, lambda t: "0" * 64 + "  /etc/passwd\n" + t), "is absolute"),
    "home line": (edit(M, lambda t: t + "0" * 64 + "  ~/x\n"), "~/x: is missing"),
    "line of nothing": (edit(M, lambda t: t + "0" * 64 + "  data/zzz\n"), "data/zzz: is missing"),
    "carriage return": (edit(M, lambda t: t.replace("\n", "\r\n")), M),
    "no newline": (edit(M, lambda t: t[:-1]), "does not end with a newline"),
    "empty manifest": (edit(M, lambda t: ""), "does not end with a newline"),
    "tag line removed": (edit(T, lambda t: t.replace(first_line(t), "")), "tagmanifest-sha256.txt: lists"),
    "tag line added": (edit(T, lambda t: t + "0" * 64 + "  tagmanifest-sha256.txt\n"), "tagmanifest-sha256.txt: lists"),
    "tag manifest deleted": (lambda b: (b / "bag" / T).unlink(), f"{T}: is missing"),
    "manifest deleted": (lambda b: (b / "bag" / M).unlink(), f"{M}: is missing"),
    "fetch.txt": (put("fetch.txt", "http://x 1 data/x\n"), "fetch.txt: the bag wants files"),
    "md5 beside": (put("manifest-md5.txt", hide=False), "manifest-md5.txt: is a manifest of another"),
    "md5 instead": (md5_instead, "manifest-md5.txt: is a manifest of another"),
    "sha512 tags": (put("tagmanifest-sha512.txt"), "tagmanifest-sha512.txt: is a manifest of another"),
    "crate deleted": (lambda b: (b / "bag" / CRATE).unlink(), f"{CRATE}: is missing"),
    "crate of other bytes": (edit(CRATE, lambda t: t.replace("File", "Fils", 1)), f"{CRATE}: "),
    "extra tag file": (put("README.txt"), "'README.txt': does not belong to the bag's top"),
    "extra tag folder": (put("tags/x.txt"), "tags/x.txt: is not in"),
    "older BagIt": (edit("bagit.txt", lambda t: t.replace("1.0", "0.97")), "bagit.txt: does not declare"),
    "other encoding": (edit("bagit.txt", lambda t: t.replace("UTF-8", "UTF-16")), "bagit.txt: does not declare"),
    "wrong Oxum": (edit("bag-info.txt", lambda t: t.replace("Oxum: ", "Oxum: 1")), "bag-info.txt: Payload-Oxum is"),
    "no Oxum": (edit("bag-info.txt", lambda t: first_line(t)), "bag-info.txt: Payload-Oxum is None"),
    "Oxum twice": (edit("bag-info.txt", lambda t: t + "Payload-Oxum: 1.1\n"), "bag-info.txt: the line"),
    "extra payload, hidden": (put("data/extra.txt"), "data/extra.txt: belongs to no run"),
    "extra run, hidden": (put("data/runs/fetch/x/spec.json"), "data/runs/fetch/x/spec.json: belongs to no run"),
    "run dropped from index": (drop_run, "belongs to no run of data/index.json"),
    "index digest": (change_digest_in_index, "data/index.json: gives data/runs/fetch/"),
    "index not canonical": (
        edit("data/index.json", lambda t: t.replace(":", ": ")),
        "data/index.json: is not canonical",
    ),
    "index with a key twice": (
        edit("data/index.json", lambda t: '{"runs":{},' + t[1:]),
        "data/index.json: is not strict",
    ),
    "config with NaN": (edit("data/config.json", lambda t: '{"a":NaN}\n'), "data/config.json: is not strict JSON"),
    "result changed, hidden": (alter_run("records.jsonl", "1234567", "1234568"), "records.jsonl: sha256 is"),
    "timing changed, hidden": (alter_run("timing.jsonl", "1.5", "1.4"), "timing.jsonl: sha256 is"),
    "run file dropped, hidden": (drop_run_file, "timing.jsonl: is missing; manifest.json lists it"),
    "spec changed, hidden": (alter_run("spec.json", "pusht", "other"), "spec.json: sha256 is"),
    "role changed": (
        alter_run("manifest.json", '"role": "result"', '"role": "timing"'),
        "the role timing, it is result",
    ),
    "result digest of a run": (
        alter_run("manifest.json", 'digest": "', 'digest": "0000'),
        "manifest.json: result_digest",
    ),
    "inputs of a run": (alter_run("manifest.json", '"inputs": {}', '"inputs": {"a": "b/c"}'), "inputs are not those"),
    "NaN in a run's manifest": (alter_run("manifest.json", '"python": "3.11"', '"python": NaN'), "not strict JSON"),
    "unknown field": (alter_run("manifest.json", '"stage"', '"extra": 1,\n "stage"'), "extra is not as it must be"),
    "other key": (move_run, "spec.json: is the spec of fetch/"),
    "other address": (in_sidecar(address="0" * 64), "bundle.json is another"),
    "other result digest": (in_sidecar(result_digest="0" * 64), "bundle.json: its result_digest"),
    "other size": (in_sidecar(size=1), "bundle.json: its result_digest, files or size"),
    "archive elsewhere": (in_sidecar(archive=named("../x.tar")), "not after the key"),
    "archive digest": (in_sidecar(archive=named(TAR)), f"{TAR}: does not have the"),
    "archive of another bag": (other_archive, f"{TAR}: is not the archive of bag/"),
    "other key in the sidecar": (in_sidecar(key="f" * 20), "not after the key"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_is_refused_with_its_own_reason(attack: str, bundle: Path, private: Path) -> None:
    """The good bundle passes, the altered one is refused, and the reason names the file."""
    verify(bundle)
    change, reason = ATTACKS[attack]
    change(bundle)
    assert reason in refusal(bundle)
    assert list(private.iterdir()) == []


@pytest.mark.parametrize("attack", ["extra payload, hidden", "result changed, hidden", "fetch.txt", "wrong Oxum"])
def test_an_altered_bag_in_a_well_formed_archive_is_refused(attack: str, bundle: Path, private: Path) -> None:
    """The archive alone is held to the same rules as the folder."""
    verify(bundle / TAR)
    change, reason = ATTACKS[attack]
    change(bundle)
    assert reason in refusal(bundle / TAR)
    assert list(private.iterdir()) == []


def test_a_name_that_is_not_utf8_is_refused_in_printable_form(bundle: Path) -> None:
    """A name made to disturb a terminal is shown escaped."""
    for name in (b"\xff", b"a\x1b[2J", b"a\nb"):
        path = os.fsencode(bundle / "bag" / "data") + b"/" + name
        with open(path, "wb"):  # noqa: PTH123 - bytes path
            pass
        assert refusal(bundle / "bag").isprintable()
        os.unlink(path)  # noqa: PTH108
    verify(bundle)


def test_refuses_more_than_its_limits(sealed: Path) -> None:
    """Too many files, too many bytes and too large a document are refused, not read."""
    for limits in (Limits(files=10), Limits(size=1000), Limits(document=100)):
        for path in (sealed, sealed / "bag", sealed / TAR):
            with pytest.raises(RefusedError, match=r"more than|larger than"):
                verify(path, limits)


def test_a_file_swapped_while_verifying_is_noticed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is parsed is what was hashed, also when somebody swaps the file in between."""
    original = module._check_declaration

    def swap(*args: object) -> None:
        original(*args)  # type: ignore[arg-type]
        path = bundle / "bag" / "data" / "index.json"
        path.write_bytes(path.read_bytes().replace(b"fetch", b"other"))

    monkeypatch.setattr(module, "_check_declaration", swap)
    assert "data/index.json: changed while it was verified" in refusal(bundle / "bag")


def test_what_cannot_be_read_is_not_called_refused(tmp_path: Path) -> None:
    """A path that is not there is an error of the call; an empty folder or file is a refusal."""
    with pytest.raises(BundleError, match="does not exist") as error:
        verify(tmp_path / "nothing")
    assert not isinstance(error.value, RefusedError)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert "is missing" in refusal(tmp_path / "folder")
    assert "the archive ends" in refusal(tmp_path / "file")


def test_needs_the_base_installation_only(sealed: Path) -> None:
    """Verifying in a fresh interpreter imports none of the pipeline's packages."""
    code = (
        "import sys, pathlib\n"
        "from lewm_evidence.seal.verify import verify\n"
        "verify(pathlib.Path(sys.argv[1])); verify(pathlib.Path(sys.argv[2]))\n"
        "heavy = {'numpy', 'torch', 'snakemake', 'safetensors', 'PIL', 'tensorboard', 'rerun', 'huggingface_hub'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, sealed, sealed / TAR], capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"
