"""From a repository's name to a configuration entry that works."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import save

from hub_checkpoints import REPO, VIT, published, torch_file
from hub_server import REVISION, Hub
from lewm_evidence.checkpoint.hub import fetch_hub
from lewm_evidence.checkpoint.pinning import entry, make_pin
from lewm_evidence.cli import main
from lewm_evidence.config import HubCheckpoint, parse_config
from lewm_evidence.errors import CheckpointError, ConfigError
from lewm_evidence.presets import presets
from tiny import NORMALIZATION

OTHER = "f" * 40
DATE = "2026-11-20"


def read(text: str) -> dict[str, Any]:
    """Returns the `checkpoint` part of an entry."""
    part: dict[str, Any] = yaml.safe_load(text)["checkpoint"]
    return part


def test_the_entry_is_a_configuration_that_fetches(hub: Hub, tmp_path: Path) -> None:
    """Commit and both sha256 are there, with date, licence and size; the weights themselves were not asked for."""
    text = entry(make_pin(REPO, world="pusht"), DATE)
    assert [line for line in hub.asked() if line.startswith("GET")] == ["GET main", "GET config.json"]
    size = len(hub.files["weights.pt"])
    assert text.splitlines()[:2] == [
        f"# {REPO}, pinned {DATE} by `lewm-evidence pin`.",
        f"# Licence, as its model card says: mit. weights.pt: {size:,} bytes, sha256 as the hub keeps it, not fetched.",
    ]
    assert read(text) == {
        "source": "hub",
        "repo": REPO,
        "revision": REVISION,
        "files": hub.sha256(),
        "world": "pusht",
        "action_mean": [-0.008, 0.007],
        "action_std": [0.208, 0.206],
    }
    found = parse_config(yaml.safe_load(text)).checkpoint
    assert isinstance(found, HubCheckpoint)
    fetch_hub(found, tmp_path / "checkpoint")


def test_what_is_not_known_must_be_filled_in(hub: Hub) -> None:
    """Without a known world the entry says what is missing, and the configuration refuses it as it is."""
    text = entry(make_pin(REPO), DATE)
    assert "which for 5 steps a block are 2 per action" in text
    with pytest.raises(ConfigError, match=r"checkpoint\.world is still \?\?\? and must be filled in") as caught:
        parse_config(yaml.safe_load(text))
    assert "checkpoint.action_std is still ???" in str(caught.value)


def test_a_published_repository_is_recognised(hub: Hub) -> None:
    """The world and, where they are known, the statistics of a published checkpoint come from the table."""
    preset = presets()["tworoom"]
    hub.repo = preset.repo
    found = read(entry(make_pin(preset.repo), DATE))
    assert (found["world"], found["action_mean"]) == ("tworoom", "???")


def test_a_branch_that_moves_meanwhile_changes_nothing(hub: Hub) -> None:
    """Everything is about the commit that the branch named when it was asked for, once."""
    moved = {"config.json": b"{}", "weights.pt": b"another"}
    hub.older[OTHER], hub.moves = moved, OTHER
    pin = make_pin(REPO)
    assert (pin.repository.revision, pin.files) == (REVISION, hub.sha256())
    assert sum(path.endswith("/main") for _, path, _ in hub.requests) == 1
    with pytest.raises(CheckpointError, match=r"weights\.pt is not a whole file of nothing but tensors"):
        make_pin(REPO, OTHER, download=True)


def test_downloading_hashes_and_loads(hub: Hub) -> None:
    """With the weights at hand their sha256 is computed, and the model must load."""
    pin = make_pin(REPO, download=True)
    assert pin.files == hub.sha256()
    assert "bytes, fetched, hashed and loaded." in entry(pin, DATE)
    hub.older[OTHER] = hub.files | {"weights.pt": torch_file({"a": published(VIT).popitem()[1]})}
    with pytest.raises(CheckpointError, match="the weights do not fit the configuration"):
        make_pin(REPO, OTHER, download=True)


def test_a_body_that_is_not_the_announced_one_is_refused(hub: Hub) -> None:
    """A small file is compared with the id that git gives it, the weights with the sha256 that the hub keeps."""
    hub.altered["weights.pt"] = hub.files["weights.pt"][:-1] + b"x"
    with pytest.raises(CheckpointError, match=r"weights\.pt has sha256"):
        make_pin(REPO, download=True)
    hub.altered["config.json"] = hub.files["config.json"][:-1] + b" "
    with pytest.raises(CheckpointError, match=r"config\.json has sha256 .*, the hub announced"):
        make_pin(REPO)


def test_safetensors_are_preferred_and_our_own_statistics_are_read(hub: Hub) -> None:
    """A repository that holds our own layout needs nothing filled in."""
    own = NORMALIZATION.model_copy(update={"image_size": 28})
    hub.files |= {"model.safetensors": save(published(VIT)), "normalization.json": own.model_dump_json().encode()}
    text = entry(make_pin(REPO), DATE)
    found = read(text)
    assert list(found["files"]) == ["config.json", "model.safetensors"]
    assert (found["world"], found["action_mean"], found["action_std"]) == ("pusht", [-0.01, 0.02], [0.3, 0.4])
    assert "the repository's normalization.json" in text


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"config.json": b"{}"}, "holds no checkpoint: .*there is config.json"),
        ({"README.md": b"# hello", "weights.pt": b""}, "there is README.md, weights.pt"),
        ({}, "there is nothing"),
        ({"config.json": b"{", "weights.pt": b""}, "config.json is not JSON"),
        ({"config.json": b'{"_target_": "os.system"}', "weights.pt": b""}, "encoder must be an object"),
    ],
)
def test_a_repository_without_a_checkpoint_is_refused(hub: Hub, files: dict[str, bytes], match: str) -> None:
    """What is missing, or wrong, is named."""
    hub.files = files
    with pytest.raises(CheckpointError, match=match):
        make_pin(REPO)


@pytest.mark.parametrize(
    ("name", "revision", "match"),
    [
        ("someone/else", "main", "someone/else@main: no such repository"),
        (REPO, "v9", "@v9: this repository has no such revision"),
        ("no name", "main", "not the name of a repository"),
    ],
)
def test_what_does_not_exist_is_named(hub: Hub, name: str, revision: str, match: str) -> None:
    """Repository and revision are in the sentence."""
    with pytest.raises(CheckpointError, match=match):
        make_pin(name, revision)


def test_weights_outside_the_large_file_storage_are_hashed(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hub keeps no sha256, the file is fetched for it."""
    monkeypatch.setattr("hub_server.LARGE", ())
    pin = make_pin(REPO)
    assert (pin.files, pin.hashed) == (hub.sha256(), True)


def test_pinning_needs_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pin is what the hub says now; offline there is none, and the sentence says why."""
    make_pin(REPO)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE is set, and the list of files is not in the cache"):
        make_pin(REPO)


def test_the_command_prints_or_writes(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a new file only; failures have status 2 and a sentence."""
    assert main(["pin", REPO, "--world", "pusht"]) == 0
    printed = capsys.readouterr().out
    assert read(printed)["revision"] == REVISION
    file = tmp_path / "mine.yaml"
    assert main(["pin", REPO, "--world", "pusht", "--output", str(file)]) == 0
    assert capsys.readouterr().out == f"wrote {file}: {REPO}@{REVISION}\n"
    assert file.read_text() == printed
    assert main(["pin", REPO, "--output", str(file)]) == 2
    assert capsys.readouterr().err == f"lewm-evidence: {file} exists already; name a new file\n"
    assert main(["pin", "someone/else"]) == 2
    assert "no such repository" in capsys.readouterr().err


def test_a_policy_is_pinned_too(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights and processors with their statistics; the weights are not sent, other files are left out."""
    hub.files = {
        "README.md": b"a card",
        "config.json": b'{"type": "diffusion"}',
        "model.safetensors": b"weights",
        "policy_preprocessor.json": b"{}",
        "policy_preprocessor_step_3_normalizer_processor.safetensors": b"statistics",
        "train_config.json": b"{}",
    }
    assert main(["pin", REPO, "--policy"]) == 0
    assert "GET model.safetensors" not in hub.asked()
    policy = parse_config(yaml.safe_load(capsys.readouterr().out)).policy
    assert policy is not None
    assert (policy.source.repo, policy.source.revision) == (REPO, REVISION)
    assert policy.source.files == {
        name: digest for name, digest in hub.sha256().items() if name not in ("README.md", "train_config.json")
    }
    del hub.files["model.safetensors"]
    assert main(["pin", REPO, "--policy"]) == 2
    assert "holds no policy: there must be config.json and model.safetensors" in capsys.readouterr().err
