"""Making runs again: order, what is skipped, what fails, and what the command says."""

import json
import shutil
from pathlib import Path

import pytest

import example_runs
from lewm_evidence.cli import main
from lewm_evidence.errors import BundleError, RefusedError
from lewm_evidence.records import FinishedRun
from lewm_evidence.reproduce import again
from lewm_evidence.reproduce.again import reproduce, topological
from lewm_evidence.reproduce.environment import changes
from lewm_evidence.seal.bag import write_bag


@pytest.fixture(scope="module")
def bag(examples: dict[str, FinishedRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of the made-up runs. Read only."""
    bag = tmp_path_factory.mktemp("made") / "bag"
    write_bag(bag, examples, {})
    return bag


def test_inputs_come_before_users(examples: dict[str, FinishedRun]) -> None:
    """Whatever the names are."""
    named = {"z": examples["fetch"], "a": examples["evaluate"], "m": examples["showcase"]}
    assert topological(named) == ["z", "a", "m"]


def test_what_follows_a_different_stage_is_not_run(bag: Path, tmp_path: Path) -> None:
    """The made-up checkpoint is not the shipped one: fetch differs and names the file, the others say why not."""
    told: list[str] = []
    found = reproduce(bag, tmp_path / "into", tell=told.append)
    assert found.verdict == "different"
    assert [(stage.name, stage.outcome) for stage in found.stages] == [
        ("fetch", "different"),
        ("evaluate", "skipped"),
        ("showcase", "skipped"),
    ]
    assert found.first_difference is not None and found.first_difference.name == "fetch"
    comparison = found.first_difference.comparison
    assert comparison is not None and comparison.first is not None
    assert comparison.first.file.startswith("checkpoint/")
    assert found.stages[1].reason == "its input fetch is different"
    assert found.other_code == ["fetch", "evaluate", "showcase"]
    assert any("numpy" in change.what and change.sealed == "2.4.0" for change in found.changes)
    assert any("not the sealed code" in line for line in told) and any("python 3.11" in line for line in told)
    assert (tmp_path / "into" / "logs" / "fetch.log").is_file()


def test_a_stage_that_cannot_run_says_so(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last lines of its output are the reason, and the verdict is neither yes nor no."""
    found = reproduce(bag, tmp_path / "into", only=["evaluate"])
    (evaluate,) = [stage for stage in found.stages if stage.outcome != "skipped"]
    assert evaluate.outcome == "failed" and "exit status 1" in evaluate.reason
    assert found.verdict == "could not run"
    # Its input was taken from the bundle.
    assert (tmp_path / "into" / "runs" / "fetch").is_dir()


def test_a_stage_of_another_version_says_so(tmp_path: Path) -> None:
    """A stage that this installation does not have cannot run."""
    run = example_runs.finished(tmp_path / "runs", "levitate")
    write_bag(tmp_path / "bag", {"levitate": run}, {})
    (stage,) = reproduce(tmp_path / "bag", tmp_path / "into").stages
    assert stage.outcome == "failed" and "levitate does not exist" in stage.reason


def test_a_checkpoint_that_cannot_be_fetched_need_not_stop_the_rest(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way on without a network is named."""
    monkeypatch.setattr(again._Work, "start", lambda *_: "exit status 1: the hub cannot be reached")
    fetch, evaluate, _ = reproduce(bag, tmp_path / "into").stages
    assert fetch.outcome == "failed" and fetch.reason.endswith("name other stages with --only")
    assert evaluate.reason == "its input fetch failed"


def test_a_missing_package_says_so(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the remedy."""
    from lewm_evidence.errors import StageError

    def missing(packages: object) -> None:
        raise StageError("package 'torch' is not installed; install lewm-evidence[pipeline]")

    monkeypatch.setattr(again, "resolved_versions", missing)
    found = reproduce(bag, tmp_path / "into")
    assert found.stages[0].outcome == "failed" and "pipeline" in found.stages[0].reason
    assert found.stages[1].reason == "its input fetch failed"


def test_the_folder_must_be_empty_and_the_stages_known(bag: Path, tmp_path: Path) -> None:
    """Nothing is mixed with what is there."""
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "mine").touch()
    with pytest.raises(BundleError, match="not an empty folder"):
        reproduce(bag, tmp_path / "into")
    with pytest.raises(BundleError, match="holds no stage 'levitate'; it holds evaluate, fetch, showcase"):
        reproduce(bag, tmp_path / "new", only=["levitate"])
    with pytest.raises(BundleError, match="is a run, not a bundle"):
        reproduce(next((bag / "data" / "runs" / "fetch").iterdir()), tmp_path / "new")


def test_an_altered_bundle_is_refused_before_anything_runs(bag: Path, tmp_path: Path) -> None:
    """Its own reason is given, and the command ends with 1."""
    copy = tmp_path / "bag"
    shutil.copytree(bag, copy)
    with next(copy.glob("data/runs/fetch/*/records.jsonl")).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(RefusedError, match=r"records\.jsonl"):
        reproduce(copy, tmp_path / "into")
    assert not (tmp_path / "into").exists()
    assert main(["reproduce", str(copy)]) == 1
    assert main(["diff", str(copy), str(bag)]) == 1


def test_the_command_says_the_verdict(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As lines for a person and as one line of JSON; progress goes elsewhere then."""
    assert main(["reproduce", str(bag), "--only", "fetch", "--json", "--into", str(tmp_path / "into")]) == 1
    told = capsys.readouterr()
    outcome = json.loads(told.out)
    assert outcome["verdict"] == "different" and outcome["stages"][0]["comparison"]["files"]
    assert "running   fetch" in told.err
    assert main(["reproduce", str(tmp_path / "nothing")]) == 2


def test_the_environment_is_compared() -> None:
    """Only what was recorded is; what is the same is not told."""
    import platform

    same = {"packages": {}, "python": platform.python_version(), "threads": 1, "git": None}
    assert changes(same, 1) == []
    other = same | {"packages": {"levitation": "1.0"}, "python": "2.7"}
    assert [str(change) for change in changes(other, 2)] == [
        "package levitation: sealed with 1.0, here none",
        f"python: sealed with 2.7, here {platform.python_version()}",
        "threads: sealed with 1, here 2",
    ]


def test_only_allowed_signers_and_bundles_of_the_store(
    examples: dict[str, FinishedRun],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bundle is found in the store by its address; with a list of signers, another key is refused."""
    from lewm_evidence.seal.bundle import write_bundle
    from lewm_evidence.seal.keys import signing_key
    from lewm_evidence.store.local import Store

    folder = tmp_path / "project" / "evidence" / ("0" * 20)
    mine, other = (signing_key(tmp_path / name, environment={}) for name in ("mine", "other"))
    address = write_bundle(folder, {"fetch": examples["fetch"]}, {}, key=mine).address
    Store(tmp_path / "store", create=True).add(folder)
    monkeypatch.setenv("LEWM_EVIDENCE_STORE", str(tmp_path / "store"))
    for key, status, word in ((mine, 1, "signed by SHA256:"), (other, 1, "refused")):
        (tmp_path / "people.txt").write_text(f'me namespaces="file" {key.public.line}\n')
        told = ["--allowed-signers", str(tmp_path / "people.txt")]
        assert main(["reproduce", address[:12], *told]) == status
        assert word in capsys.readouterr().out
    assert main(["diff", address[:12], str(folder)]) == 0
