"""A policy's files arrive whole and as pinned, or not at all."""

from pathlib import Path
from typing import Any

import pytest

import hub_server
import stage_runs
from lewm_evidence.config import PolicySource, parse_config
from lewm_evidence.errors import CheckpointError, ConfigError, StageError
from lewm_evidence.records import FinishedRun
from lewm_evidence.stages import fetch_policy
from lewm_evidence.stages.policy_files import checked

FILES = {"config.json": b'{"type": "diffusion"}', "model.safetensors": b"weights", "policy_preprocessor.json": b"{}"}


def fetch(runs: Path, **source: Any) -> FinishedRun:
    """Runs the stage on one source."""
    config = PolicySource.model_validate(source).model_dump()
    return stage_runs.run_stage(runs, "fetch_policy", fetch_policy.run, config)


def test_from_the_hub_and_from_a_folder_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records name the same files; nothing of them is among the results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine").mkdir()
    for name, data in FILES.items():
        (tmp_path / "mine" / name).write_bytes(data)
    with hub_server.serve(hub_server.Hub("lerobot/small", FILES)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        pinned = {"repo": hub.repo, "revision": hub_server.REVISION, "files": hub.sha256()}
        runs = [fetch(tmp_path / "a", **pinned), fetch(tmp_path / "b", folder="mine", files=hub.sha256())]
    for run in runs:
        assert {path.name: path.read_bytes() for path in (run.path / "logs" / "policy").iterdir()} == FILES
        assert [event.fields["name"] for event in run.events("policy/file")] == sorted(FILES)
        assert set(stage_runs.digests(run)) == {"records.jsonl", "spec.json"}
    assert runs[0].events("policy/file") == runs[1].events("policy/file")


def test_another_file_than_pinned_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it comes from the hub or from a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine").mkdir()
    for name in FILES:
        (tmp_path / "mine" / name).write_bytes(b"another")
    with hub_server.serve(hub_server.Hub("lerobot/small", FILES)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        wrong = hub.sha256() | {"model.safetensors": "0" * 64}
        with pytest.raises(CheckpointError, match=r"model.safetensors has sha256"):
            fetch(tmp_path / "runs", repo=hub.repo, revision=hub_server.REVISION, files=wrong)
        with pytest.raises(CheckpointError, match=r"config.json has sha256 .* nothing was kept"):
            fetch(tmp_path / "runs", folder="mine", files=hub.sha256())
    with pytest.raises(CheckpointError, match=r"nowhere/config.json is not there"):
        fetch(tmp_path / "runs", folder="nowhere", files=wrong)
    left = [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and path.name != "spec.json"]
    assert not left


def test_a_file_changed_afterwards_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies are not sealed, so who takes one up checks it again."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name, data in FILES.items():
        (tmp_path / "mine" / name).write_bytes(data)
    run = fetch(tmp_path, folder="mine", files=hub_server.Hub("a/b", FILES).sha256())
    folder = run.path / "logs" / "policy"
    assert checked(run, folder) == folder
    (folder / "config.json").write_bytes(b"{}")
    with pytest.raises(StageError, match=r"config.json is not the file that fetch_policy/\w+ recorded"):
        checked(run, folder)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"repo": "a/b"}, "give repo and revision, or folder"),
        ({"folder": "x", "repo": "a/b", "revision": "0" * 40}, "give repo and revision, or folder"),
        ({"repo": "a/b", "revision": "main"}, "policy.source.revision = 'main' is not allowed"),
        ({"folder": "/etc"}, "inside the project"),
        ({"folder": "x", "files": {"weights.pt": "0" * 64}}, r"policy.source.files.weights.pt"),
        ({"folder": "x", "files": {"config.json": "0" * 64}}, "config.json and model.safetensors"),
    ],
)
def test_an_unpinned_source_is_refused(source: dict[str, Any], said: str) -> None:
    """Also one with pickles, or outside of the project."""
    both = dict.fromkeys(("config.json", "model.safetensors"), "0" * 64)
    with pytest.raises(ConfigError, match=said):
        parse_config({"policy": {"source": {"files": both, **source}}})
