"""The stages seal and verify, started as the rules start them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import example_runs
from lewm_evidence.canonical import canonical_json, sha256_file
from lewm_evidence.records import FinishedRun, Spec
from lewm_evidence.records.run import run_key
from lewm_evidence.seal.keys import make_key
from lewm_evidence.seal.verify import verify


def start(folder: Path, stage: str, config: dict[str, object], **inputs: str) -> tuple[FinishedRun, str]:
    """Runs a stage in `folder` as a rule does; returns the run and what it printed, with the exit status."""
    spec = Spec(stage=stage, config=config, code="0", packages={}, device=None, precision=None, inputs=inputs)
    text = canonical_json(spec.model_dump()).decode()
    told = subprocess.run(
        [sys.executable, "-m", f"lewm_evidence.stages.{stage}", "--runs", "runs", "--spec", text],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return FinishedRun(folder / "runs" / stage / run_key(spec)), f"{told.stdout}{told.stderr}exit {told.returncode}"


def pipeline(folder: Path, wall_time: float) -> dict[str, FinishedRun]:
    """Seals and verifies two small runs in the project folder `folder`; the machine took `wall_time` for one."""
    (folder / "requirements").mkdir(parents=True)
    (folder / "requirements" / "cpu.txt").write_text("pydantic==2.11.0\n")
    (folder / "flake.lock").write_text("{}\n")
    fetch = example_runs.finished(folder / "runs", "fetch", example_runs.write_fetch)
    evaluate = example_runs.finished(
        folder / "runs", "evaluate", lambda run: run.timing("evaluate/solve", wall_time), checkpoint=fetch.name
    )
    seal, _ = start(folder, "seal", {"config": {"seed": 1}}, fetch=fetch.name, evaluate=evaluate.name)
    checked, _ = start(folder, "verify", {}, seal=seal.name)
    return {"fetch": fetch, "seal": seal, "verify": checked}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, FinishedRun]]:
    """A project folder with everything sealed and verified. Read only."""
    folder = tmp_path_factory.mktemp("one")
    return folder, pipeline(folder, 0.25)


def test_makes_the_bundle_beside_the_runs(project: tuple[Path, dict[str, FinishedRun]]) -> None:
    """The bundle lies in `evidence/<key>`, holds runs, configuration and locks, and the records describe it."""
    folder, runs = project
    bundle = folder / "evidence" / runs["seal"].path.name
    assert [path.name for path in (folder / "evidence").iterdir()] == [bundle.name]
    found = verify(bundle)
    assert set(found.runs) == {"fetch", "evaluate"}
    assert (bundle / "bag" / "data" / "requirements" / "cpu.txt").read_text() == "pydantic==2.11.0\n"
    assert (bundle / "bag" / "data" / "requirements" / "flake.lock").read_text() == "{}\n"
    assert (bundle / "bag" / "data" / "config.json").read_bytes() == b'{"seed":1}\n'
    assert runs["seal"].last("seal/files") == found.files
    assert runs["seal"].events("seal/bundle")[0].fields == {"result_digest": found.result_digest}
    assert json.loads((runs["seal"].path / "views" / "bundle.json").read_bytes())["address"] == found.address
    assert [event.fields["name"] for event in runs["seal"].events("seal/run")] == ["evaluate", "fetch"]


def test_verify_records_what_it_checked(project: tuple[Path, dict[str, FinishedRun]]) -> None:
    """Folder and archive were both verified, and are the bundle that the seal run made."""
    _, runs = project
    digest = runs["seal"].events("seal/bundle")[0].fields["result_digest"]
    for kind in ("folder", "archive"):
        assert runs["verify"].events(f"verify/{kind}")[0].fields == {"result_digest": digest}
        assert runs["verify"].last(f"verify/{kind}/runs") == 2
    assert {timing.tag for timing in runs["verify"].timings()} >= {"verify/folder", "verify/archive"}


def test_identical_pipelines_have_equal_results(project: tuple[Path, dict[str, FinishedRun]], tmp_path: Path) -> None:
    """In another folder, at another speed: other addresses, the same result digests."""
    folder, one = project
    two = pipeline(tmp_path, 0.5)
    for stage in ("seal", "verify"):
        assert two[stage].manifest.result_digest == one[stage].manifest.result_digest
    key = one["seal"].path.name
    assert verify(tmp_path / "evidence" / key).address != verify(folder / "evidence" / key).address


def test_a_changed_run_is_not_sealed(tmp_path: Path) -> None:
    """A run that was altered after it finished stops the stage with a sentence; there is no bundle."""
    run = example_runs.finished(tmp_path / "runs", "fetch", example_runs.write_fetch)
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(b"{}\n")
    seal, told = start(tmp_path, "seal", {"config": {}}, fetch=run.name)
    assert "records.jsonl: sha256 is" in told and told.endswith("exit 1") and "Traceback" not in told
    assert not (seal.path / "manifest.json").exists()
    assert list((tmp_path / "evidence").iterdir()) == []


def test_verify_fails_on_an_altered_or_another_bundle(tmp_path: Path) -> None:
    """A changed byte, and a valid bundle that is not the one sealed, both fail with a sentence."""
    runs = pipeline(tmp_path, 0.25)
    seal = runs["seal"]
    bundle = tmp_path / "evidence" / seal.path.name
    (runs["verify"].path / "manifest.json").unlink()
    index = bundle / "bag" / "data" / "index.json"
    good = index.read_bytes()
    index.write_bytes(good.replace(b"fetch", b"fetcn", 1))
    _, told = start(tmp_path, "verify", {}, seal=seal.name)
    assert "bag/data/index.json: does not have the sha256" in told and told.endswith("exit 1")
    index.write_bytes(good)
    view = seal.path / "views" / "bundle.json"
    view.write_bytes(view.read_bytes().replace(sha256_file(bundle / f"{bundle.name}.tar").encode(), b"0" * 64))
    _, told = start(tmp_path, "verify", {}, seal=seal.name)
    assert "not the one that the seal run made" in told and told.endswith("exit 1")


def test_a_given_key_signs_and_shows_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a path or as text in the environment: the run and its result stay the same, and no file holds the key."""
    own = pipeline(tmp_path / "own", 0.25)
    make_key(tmp_path / "key")
    text = (tmp_path / "key").read_text()
    for name, given in (("path", str(tmp_path / "key")), ("text", text)):
        monkeypatch.setenv("LEWM_EVIDENCE_SIGNING_KEY", given)
        runs = pipeline(tmp_path / name, 0.25)
        assert runs["seal"].name == own["seal"].name
        assert runs["seal"].manifest.result_digest == own["seal"].manifest.result_digest
        signed = verify(tmp_path / name / "evidence" / runs["seal"].path.name).signed_by
        assert signed is not None and signed.kind == "key"
        assert not (tmp_path / name / ".lewm-evidence").exists()
        pieces = [line.encode() for line in text.splitlines()[1:-1]] + [str(tmp_path / "key").encode()]
        for path in (tmp_path / name).rglob("*"):
            assert not path.is_file() or not any(piece in path.read_bytes() for piece in pieces), path
