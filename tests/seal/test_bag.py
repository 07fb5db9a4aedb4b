"""Writing the bag."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import bagit
import pytest

import example_runs
from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.errors import BundleError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.seal.bag import write_bag
from lewm_evidence.seal.documents import Index


def tiny(runs: Path) -> FinishedRun:
    """Returns a finished run of four files and a local one."""

    def write(run: Run) -> None:
        run.scalar("tiny/number", 1.5)
        (run.path / "views").mkdir()
        (run.path / "views" / "page.html").write_text("<p>")
        (run.path / "logs").mkdir()
        (run.path / "logs" / "console.log").write_text("on this machine")

    return example_runs.finished(runs, "fetch", write)


def test_holds_the_runs_without_local_files(tmp_path: Path, lock: Path) -> None:
    """The payload is every file that the manifests list, the manifests, index, configuration and locks."""
    run = tiny(tmp_path / "runs")
    index = write_bag(tmp_path / "bag", {"fetch": run}, {"seed": 1}, [lock])
    names = {path.relative_to(tmp_path / "bag").as_posix() for path in (tmp_path / "bag").rglob("*") if path.is_file()}
    files = ("manifest.json", "records.jsonl", "spec.json", "timing.jsonl", "views/page.html")
    assert names == {
        *(f"data/runs/{run.name}/{file}" for file in files),
        *("data/index.json", "data/config.json", "data/requirements/cpu.txt", "data/README.md"),
        *("ro-crate-metadata.json", "bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"),
    }
    assert (tmp_path / "bag" / "data" / "config.json").read_bytes() == b'{"seed":1}\n'
    rows = [["fetch", run.path.name, run.manifest.result_digest]]
    assert index.result_digest == sha256_bytes(canonical_json(rows))
    assert Index.model_validate_json((tmp_path / "bag" / "data" / "index.json").read_bytes()) == index


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    """Two bags of equal runs in two folders are the same, file by file; neither holds a date."""
    for side in ("one", "two"):
        write_bag(tmp_path / side / "bag", {"fetch": tiny(tmp_path / side / "runs")}, {})
    files = [path for path in sorted((tmp_path / "one" / "bag").rglob("*")) if path.is_file()]
    for path in files:
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
    info = (tmp_path / "one" / "bag" / "bag-info.txt").read_text()
    assert "Bagging-Date" not in info and "Bag-Software-Agent: lewm-evidence " in info


def test_takes_a_date_when_given(tmp_path: Path) -> None:
    """A date is written only because the caller names it."""
    write_bag(tmp_path / "bag", {}, {}, bagging_date="2026-01-31")
    assert "Bagging-Date: 2026-01-31\n" in (tmp_path / "bag" / "bag-info.txt").read_text()


def test_bagit_accepts_it(sealed: Path) -> None:
    """The reference implementation validates the bag, with and without reading every byte."""
    bag = bagit.Bag(str(sealed / "bag"))
    bag.validate(processes=1)
    bag.validate(fast=True)
    assert bag.version_info == (1, 0) and bag.algorithms == ["sha256"]


def test_sha256sum_accepts_both_manifests(sealed: Path) -> None:
    """Coreutils agree with both manifests, without a warning."""
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum on this machine")
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        told = subprocess.run(
            ["sha256sum", "-c", "--strict", manifest], cwd=sealed / "bag", capture_output=True, text=True, check=False
        )
        assert (told.returncode, told.stderr) == (0, ""), told.stdout


def change_file(name: str) -> Callable[[Path], None]:
    """Returns what changes the last byte of a file of a run."""

    def change(run: Path) -> None:
        data = bytearray((run / name).read_bytes())
        data[-2] ^= 1
        (run / name).write_bytes(data)

    return change


def edit_manifest(old: str, new: str) -> Callable[[Path], None]:
    """Returns what replaces a piece of a run's manifest."""

    def change(run: Path) -> None:
        text = (run / "manifest.json").read_text()
        assert old in text
        (run / "manifest.json").write_text(text.replace(old, new, 1))

    return change


def rename_run(run: Path) -> None:
    """Gives a run another key."""
    run.rename(run.with_name("f" * 20))
    edit_manifest(f'"key": "{run.name}', f'"key": "{"f" * 20}')(run.with_name("f" * 20))


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a result": (change_file("records.jsonl"), "records.jsonl: sha256 is"),
    "a timing": (change_file("timing.jsonl"), "timing.jsonl: sha256 is"),
    "a view": (change_file("views/page.html"), "views/page.html: sha256 is"),
    "a missing file": (lambda run: (run / "views" / "page.html").unlink(), "views/page.html: is missing"),
    "an extra file": (lambda run: (run / "notes.txt").touch(), "notes.txt: is not in manifest.json"),
    "a link": (lambda run: (run / "link").symlink_to("spec.json"), "link: a run holds plain files only"),
    "no manifest": (lambda run: (run / "manifest.json").unlink(), "manifest.json is missing"),
    "another role": (edit_manifest('"role": "result"', '"role": "timing"'), "gives records.jsonl the role timing"),
    "another digest": (edit_manifest('"result_digest": "', '"result_digest": "0'), "result_digest is not as it must"),
    "another stage": (edit_manifest('"stage": "fetch"', '"stage": "train"'), "is the manifest of train/"),
    "a key twice": (edit_manifest('"stage"', '"key": "x",\n "stage"'), "same key twice"),
    "another key": (rename_run, "spec.json: is the spec of fetch/"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_seals_only_what_is_as_it_was(name: str, tmp_path: Path) -> None:
    """A run that changed after it finished is refused, the file is named, and no bag is left."""
    run = tiny(tmp_path / "runs")
    write_bag(tmp_path / "good", {"fetch": run}, {})
    change, reason = CHANGES[name]
    change(run.path)
    (path,) = (tmp_path / "runs" / "fetch").iterdir()
    with pytest.raises(BundleError) as refusal:
        write_bag(tmp_path / "bag", {"fetch": FinishedRun(path)}, {})
    assert reason in str(refusal.value)
    assert "run its stage again" in str(refusal.value) or "Make it again" in str(refusal.value)
    assert not (tmp_path / "bag").exists()


def test_refuses_a_name_that_is_not_portable(tmp_path: Path) -> None:
    """A file that some system could not unpack is refused before it is sealed."""
    run = example_runs.finished(tmp_path / "runs", "fetch", lambda run: (run.path / "a:b").touch())
    with pytest.raises(BundleError, match="lists 'a:b': its name holds ':'"):
        write_bag(tmp_path / "bag", {"fetch": run}, {})


def test_does_not_write_over_a_folder(tmp_path: Path) -> None:
    """A folder that is there is neither filled nor removed."""
    (tmp_path / "bag").mkdir()
    with pytest.raises(BundleError, match="exists already"):
        write_bag(tmp_path / "bag", {}, {})
    assert (tmp_path / "bag").is_dir()
