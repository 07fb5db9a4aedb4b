"""The real hub client against a loopback server."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

import reference
from hub_server import REVISION, Hub, serve
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.checkpoint.hub import fetch_hub
from lewm_evidence.checkpoint.names import to_published
from lewm_evidence.config import HubCheckpoint
from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import LeWM, ModelConfig
from lewm_evidence.model.config import VitConfig
from tiny import CONFIG, tiny_state_dict

REPO = "someone/a-model"
SECRET = "hf_a1b2c3d4e5f6"
VIT = ModelConfig(
    encoder=VitConfig(image_size=28, patch_size=14, width=16, depth=2, heads=2, mlp_dim=32),
    predictor=CONFIG.predictor,
    dim=16,
    projector_dim=32,
)


def torch_file(content: Any) -> bytes:
    """Returns what `torch.save` writes for `content`."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def published(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Returns seeded weights for `config` under the names of transformers 4."""
    torch.manual_seed(3)
    return {to_published(name): tensor for name, tensor in LeWM(config).state_dict().items()}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that offers a small model with `weights.pt` under published names."""
    files = {"config.json": VIT.model_dump_json().encode(), "weights.pt": torch_file(published(VIT))}
    with serve(Hub(REPO, files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


def pin(hub: Hub, **changes: Any) -> HubCheckpoint:
    """Returns a configuration that pins what `hub` offers."""
    fields = {
        "source": "hub",
        "repo": REPO,
        "revision": REVISION,
        "files": hub.sha256(),
        "world": "pusht",
        "action_mean": [-0.008, 0.007],
        "action_std": [0.208, 0.206],
    }
    return HubCheckpoint.model_validate(fields | changes)


def refused(pinned: HubCheckpoint, folder: Path, match: str) -> str:
    """Asserts that fetching fails with a message like `match` and leaves nothing; returns the message."""
    with pytest.raises(CheckpointError, match=match) as caught:
        fetch_hub(pinned, folder / "checkpoint")
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_published_weights_become_safetensors(hub: Hub, tmp_path: Path) -> None:
    """A `weights.pt` with published names is converted, and its numbers arrive unchanged."""
    fetch_hub(pin(hub), tmp_path / "checkpoint")
    model = load_checkpoint(tmp_path / "checkpoint")
    weights = published(VIT)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[to_published(name)]), name
    assert model.normalization.action_std == (0.208, 0.206)
    assert (model.normalization.frameskip, model.normalization.renderer) == (5, "pusht")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "config.json",
        "model.safetensors",
        "normalization.json",
        "provenance.json",
    ]
    provenance = json.loads((tmp_path / "checkpoint" / "provenance.json").read_text())
    assert provenance == {"source": "hub", "repo": REPO, "revision": REVISION, "files": hub.sha256()}


def test_the_official_model_arrives_in_parity(hub: Hub, tmp_path: Path) -> None:
    """The official architecture, as published, gives the recorded costs after the fetch."""
    config = json.dumps(reference.PUBLISHED, indent=4) + "\n"
    hub.files = {"config.json": config.encode(), "weights.pt": torch_file(reference.published_weights())}
    fetch_hub(pin(hub), tmp_path / "checkpoint")
    model = load_checkpoint(tmp_path / "checkpoint")
    given, golden = reference.inputs(), reference.golden()
    found = model.cost(given["start"], given["goal"], torch.from_numpy(given["candidates"][:20])).numpy()
    assert np.max(np.abs(found - golden["cost"][:20]) / golden["cost"][:20]) < 1e-5


def test_fetching_twice_gives_equal_bytes(hub: Hub, tmp_path: Path) -> None:
    """Two fetches of the same pins write the same bytes."""
    for name in ("one", "two"):
        fetch_hub(pin(hub), tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_safetensors_are_fetched(hub: Hub, tmp_path: Path) -> None:
    """A repository with `model.safetensors` and our own config works too."""
    weights = tiny_state_dict(4)
    hub.files = {"config.json": CONFIG.model_dump_json().encode(), "model.safetensors": save(weights)}
    fetch_hub(pin(hub), tmp_path / "checkpoint")
    model = load_checkpoint(tmp_path / "checkpoint")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", ["config.json", "weights.pt"])
def test_a_wrong_byte_is_refused(hub: Hub, tmp_path: Path, name: str) -> None:
    """One flipped byte in any file fails, naming the file and both digests."""
    data = bytearray(hub.files[name])
    data[len(data) // 2] ^= 1
    hub.altered[name] = bytes(data)
    message = refused(pin(hub), tmp_path, f"{name} has sha256")
    assert hub.sha256()[name] in message


def test_a_truncated_body_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A body shorter than the hub announced fails."""
    hub.altered["weights.pt"] = hub.files["weights.pt"][:-100]
    refused(pin(hub), tmp_path, "weights.pt did not arrive whole")


def test_a_dropped_connection_is_resumed(hub: Hub, tmp_path: Path) -> None:
    """A connection that breaks in the middle is taken up again, and the pins still decide."""
    hub.drops = 1
    fetch_hub(pin(hub), tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint" / "model.safetensors").exists()


class _Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def test_a_hostile_pickle_does_not_run(hub: Hub, tmp_path: Path) -> None:
    """A pickle that would call `os.system` is refused unrun, even when its sha256 is the pinned one."""
    mark = tmp_path / "ran"
    work = tmp_path / "work"
    work.mkdir()
    hub.files["weights.pt"] = torch_file({"encoder.weight": _Payload(f"touch {mark}")})
    refused(pin(hub), work, "nothing in it was run")
    assert not mark.exists()


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"a": 1}, {3: torch.zeros(2)}])
def test_a_torch_file_without_a_state_dict_is_refused(hub: Hub, tmp_path: Path, content: Any) -> None:
    """Only tensors by name are taken from a `weights.pt`."""
    hub.files["weights.pt"] = torch_file(content)
    refused(pin(hub), tmp_path, "must hold a state dict")


def test_a_file_that_is_not_torch_is_refused(hub: Hub, tmp_path: Path) -> None:
    """Any other bytes are refused, whatever their digest."""
    hub.files["weights.pt"] = b"<html>not found</html>"
    refused(pin(hub), tmp_path, "weights.pt")


def test_weights_of_another_model_are_refused(hub: Hub, tmp_path: Path) -> None:
    """A missing, an unexpected and a misshapen tensor are named."""
    whole = published(VIT)
    name = "encoder.encoder.layer.0.output.dense.bias"
    for weights, match in (
        ({key: value for key, value in whole.items() if key != name}, "1 missing"),
        (whole | {"extra": torch.zeros(1)}, "1 unexpected .extra."),
        (whole | {name: torch.zeros(7)}, "encoder.layers.0.mlp.fc2.bias must be"),
        (whole | {name: whole[name] * torch.nan}, "NaN"),
    ):
        hub.files["weights.pt"] = torch_file(weights)
        refused(pin(hub), tmp_path, match)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"revision": "f" * 40}, "no such revision"),
        ({"repo": "someone/else"}, "no such repository"),
        ({"files": {"config.json": "0" * 64, "model.safetensors": "0" * 64}}, "config.json has sha256"),
    ],
)
def test_what_does_not_exist_is_named(hub: Hub, tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    """A missing revision or repository gives a sentence that says which."""
    refused(pin(hub, **changes), tmp_path, match)


def test_a_missing_file_is_named(hub: Hub, tmp_path: Path) -> None:
    """A file that the revision lacks is named."""
    pinned = pin(hub)
    del hub.files["weights.pt"]
    refused(pinned, tmp_path, "there is no file weights.pt")


def test_what_is_not_a_hub_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A server without the hub's headers is not taken for one."""
    hub.silent = True
    refused(pin(hub), tmp_path, "what answered is not a hub; check HF_ENDPOINT")


def test_the_token_comes_from_the_environment_and_stays_secret(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is sent when set, never otherwise, and is not in a message."""
    refused(pin(hub, revision="f" * 40), tmp_path, "revision")
    assert {authorization for _, _, authorization in hub.requests} == {None}
    monkeypatch.setenv("HF_TOKEN", SECRET)
    message = refused(pin(hub, revision="f" * 40), tmp_path, "revision")
    assert hub.requests[-1][2] == f"Bearer {SECRET}"
    assert SECRET not in message


def test_a_token_file_is_left_alone(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that an earlier login left in the home directory is not sent."""
    (tmp_path / "token").write_text(SECRET)
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    refused(pin(hub, revision="f" * 40), tmp_path / "work", "revision")
    assert {authorization for _, _, authorization in hub.requests} == {None}
