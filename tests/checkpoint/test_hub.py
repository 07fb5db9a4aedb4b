"""What a pinned hub checkpoint becomes, and what is refused although its bytes are the pinned ones."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

import reference
from hub_checkpoints import REPO, VIT, pin, published, refused, torch_file
from hub_server import REVISION, Hub
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.checkpoint.hub import fetch_hub
from lewm_evidence.checkpoint.names import to_internal, to_published
from lewm_evidence.model import LeWM, ModelConfig
from tiny import CONFIG, tiny_state_dict


@pytest.fixture(scope="module")
def official() -> dict[str, bytes]:
    """The official architecture with random weights, as published: config.json and weights.pt."""
    return {"config.json": config_json(10), "weights.pt": torch_file(reference.published_weights())}


def config_json(action_block: int) -> bytes:
    """Returns the published config.json for action blocks of this size."""
    action = reference.PUBLISHED["action_encoder"] | {"input_dim": action_block}
    return (json.dumps(reference.PUBLISHED | {"action_encoder": action}, indent=4) + "\n").encode()


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


def costs(model: LeWM, count: int) -> torch.Tensor:
    """Returns the costs of the first of the recorded candidates."""
    given = reference.inputs()
    return model.cost(given["start"], given["goal"], torch.from_numpy(given["candidates"][:count]))


def test_the_official_model_arrives_in_parity(hub: Hub, tmp_path: Path, official: dict[str, bytes]) -> None:
    """The official architecture gives the recorded costs, and under the names of transformers 5 the very same."""
    hub.files = official
    fetch_hub(pin(hub), tmp_path / "old")
    found, golden = costs(load_checkpoint(tmp_path / "old"), 20), reference.golden()["cost"][:20]
    assert np.max(np.abs(found.numpy() - golden) / golden) < 1e-5
    renamed = {to_internal(name): tensor for name, tensor in reference.published_weights().items()}
    hub.files = official | {"weights.pt": torch_file(renamed)}
    fetch_hub(pin(hub), tmp_path / "new")
    assert (tmp_path / "new" / "model.safetensors").read_bytes() == (
        tmp_path / "old" / "model.safetensors"
    ).read_bytes()
    assert torch.equal(costs(LeWM.from_state_dict(ModelConfig(), renamed), 20), found)


def test_both_namings_and_both_formats_give_bit_equal_costs(hub: Hub, tmp_path: Path) -> None:
    """Names of transformers 4 or 5, pickled or as safetensors: the same checkpoint, to the last bit."""
    old = published(VIT)
    new = {to_internal(name): tensor for name, tensor in old.items()}
    assert old.keys() != new.keys()
    pictures = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3), np.uint8)
    candidates = torch.randn(8, 5, 10, generator=torch.Generator().manual_seed(0))
    found = [LeWM.from_state_dict(VIT, new).cost(*pictures, candidates)]
    for number, (file, write, weights) in enumerate(
        [
            ("weights.pt", torch_file, old),
            ("weights.pt", torch_file, new),
            ("model.safetensors", save, old),
            ("model.safetensors", save, new),
        ]
    ):
        hub.files = {"config.json": hub.files["config.json"], file: write(weights)}
        fetch_hub(pin(hub), tmp_path / str(number))
        found.append(load_checkpoint(tmp_path / str(number)).cost(*pictures, candidates))
    assert all(torch.equal(cost, found[0]) for cost in found)


@pytest.mark.parametrize(("world", "actions"), [("reacher", 2), ("cube", 5)])
def test_checkpoints_of_the_other_worlds_load_encode_and_score(
    hub: Hub, tmp_path: Path, official: dict[str, bytes], world: str, actions: int
) -> None:
    """No simulator is needed to take a checkpoint of any published world and ask it for latents and costs."""
    block = 5 * actions
    weights = official["weights.pt"]
    if block != 10:
        torch.manual_seed(1)
        model = LeWM(ModelConfig(action_block_dim=block))
        weights = torch_file({to_published(name): tensor for name, tensor in model.state_dict().items()})
    hub.files = {"config.json": config_json(block), "weights.pt": weights}
    statistics = {"action_mean": [0.1] * actions, "action_std": [0.5] * actions}
    fetch_hub(pin(hub, world=world, **statistics), tmp_path / "checkpoint")
    model = load_checkpoint(tmp_path / "checkpoint")
    assert (model.normalization.world, model.normalization.frameskip) == (world, 5)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    assert model.encode(pictures).shape == (2, 192)
    raw = torch.zeros(3, 25, actions)
    found = model.cost(*pictures, model.normalization.to_blocks(model.normalization.normalize(raw)))
    assert found.shape == (3,)
    assert torch.isfinite(found).all()


def test_safetensors_are_fetched(hub: Hub, tmp_path: Path) -> None:
    """A repository with `model.safetensors` and our own config works too."""
    weights = tiny_state_dict(4)
    hub.files = {"config.json": CONFIG.model_dump_json().encode(), "model.safetensors": save(weights)}
    fetch_hub(pin(hub), tmp_path / "checkpoint")
    model = load_checkpoint(tmp_path / "checkpoint")
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


class _Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def rewritten(data: bytes, *pickles: tuple[str, bytes]) -> bytes:
    """Returns the torch file `data` with its pickle replaced by `pickles`, each with its name in the archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name, content in pickles:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("warnings.warn", lambda *_, **__: None)  # of a name that is there twice
                new.writestr(name, content)
        for entry in old.namelist():
            if not entry.endswith(".pkl"):
                new.writestr(entry, old.read(entry))
    return buffer.getvalue()


def hostile(command: str) -> dict[str, bytes]:
    """Returns pickles that run `command` when a plain unpickler reads them, by the opcode that does it."""
    text = command.encode()
    short = b"\x8c" + bytes([len(text)]) + text
    python = f"__import__('os').system({command!r})".encode()
    return {
        "REDUCE": b"cposix\nsystem\n(S'" + text + b"'\ntR.",
        "GLOBAL": b'cbuiltins\neval\n(S"' + python + b'"\ntR.',
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + short + b"\x85R.",
        "INST": b"(S'" + text + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + text + b"'\no.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n](X\x02\x00\x00\x00shX\x02\x00\x00\x00-cX"
        + len(text).to_bytes(4, "little") + text + b"e\x85\x81.",
        "BUILD": b"ccollections\nOrderedDict\n)R}S'__reduce__'\ncos\nsystem\nsb.",
        "EXT1": b"\x80\x02\x82\x01.",
        "PERSID": b"Pstorage\n.",
        "nested in a list": b"]cos\nsystem\n(S'" + text + b"'\ntRa.",
        "cut off": b"\x80\x02}q\x00(X",
    }  # fmt: skip


@pytest.mark.parametrize("opcode", sorted(hostile("")))
def test_a_hostile_pickle_does_not_run(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opcode: str) -> None:
    """Whatever opcode would call a function, nothing is run, although the file's sha256 is the pinned one."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    mark = tmp_path / "ran"
    (tmp_path / "work").mkdir()
    pickled = hostile(f"touch {mark}")[opcode]
    hub.files["weights.pt"] = rewritten(hub.files["weights.pt"], ("archive/data.pkl", pickled))
    refused(pin(hub), tmp_path / "work", "nothing in it was run. Ask its author for safetensors")
    assert not mark.exists()
    hub.files["weights.pt"] = pickled  # and without the archive around it, the way torch once wrote
    refused(pin(hub), tmp_path / "work", "weights.pt")
    assert not mark.exists()


def test_a_hostile_object_does_not_run(hub: Hub, tmp_path: Path) -> None:
    """The same through `torch.save`, beside a true tensor."""
    mark = tmp_path / "ran"
    (tmp_path / "work").mkdir()
    hub.files["weights.pt"] = torch_file({"a": torch.zeros(1), "encoder.weight": _Payload(f"touch {mark}")})
    refused(pin(hub), tmp_path / "work", "nothing in it was run")
    assert not mark.exists()


@pytest.mark.parametrize("other", ["archive/data.pkl", "archive/constants.pkl", "other/data.pkl", "archive/x.PKL"])
def test_an_archive_with_two_pickles_is_refused(hub: Hub, tmp_path: Path, other: str) -> None:
    """Which of them would be read is for nobody to guess."""
    mark = tmp_path / "ran"
    (tmp_path / "work").mkdir()
    with zipfile.ZipFile(io.BytesIO(hub.files["weights.pt"])) as archive:
        (name,) = (entry for entry in archive.namelist() if entry.endswith(".pkl"))
        good = archive.read(name)
    bad = hostile(f"touch {mark}")["REDUCE"]
    hub.files["weights.pt"] = rewritten(hub.files["weights.pt"], ("archive/data.pkl", good), (other, bad))
    refused(pin(hub), tmp_path / "work", "weights.pt holds 2 pickles")
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
