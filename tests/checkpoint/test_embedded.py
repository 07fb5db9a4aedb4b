"""Checkpoints that ship in the package."""

import json
from pathlib import Path
from typing import get_args

import pytest

from lewm_evidence.checkpoint import embedded, load_checkpoint
from lewm_evidence.checkpoint.embedded import ROOT, copy_embedded, digests
from lewm_evidence.checkpoint.pins import EMBEDDED
from lewm_evidence.config import EmbeddedCheckpoint
from lewm_evidence.errors import CheckpointError
from tiny import tiny_checkpoint


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up package folder with a checkpoint and its training run's manifest, pinned."""
    folder = tiny_checkpoint(tmp_path / "embedded" / "tiny")
    (folder / "training").mkdir()
    (folder / "training" / "manifest.json").write_text("{}")
    monkeypatch.setattr(embedded, "ROOT", tmp_path / "embedded")
    monkeypatch.setitem(EMBEDDED, "tiny", digests(folder))
    return folder


def test_the_table_pins_what_ships() -> None:
    """Every file of every shipped checkpoint is pinned by its sha256."""
    folders = sorted(path for path in ROOT.glob("*") if path.is_dir() and not path.name.startswith("__"))
    found = {folder.name: digests(folder) for folder in folders}
    repair = json.dumps(found, indent=4)
    assert found == EMBEDDED, f"put this into src/lewm_evidence/checkpoint/pins.py:\n{repair}"


def test_it_is_copied_byte_for_byte(shipped: Path, tmp_path: Path) -> None:
    """The copy has every pinned file, equal bytes, and loads."""
    copy_embedded("tiny", tmp_path / "copy")
    assert digests(tmp_path / "copy") == digests(shipped)
    load_checkpoint(tmp_path / "copy")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "training/manifest.json"])
def test_a_changed_byte_is_refused(shipped: Path, tmp_path: Path, name: str) -> None:
    """One changed byte in any file is named, and nothing is copied."""
    data = bytearray((shipped / name).read_bytes())
    data[-1] ^= 1
    (shipped / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=f"{name} was changed"):
        copy_embedded("tiny", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_missing_file_is_named(shipped: Path, tmp_path: Path) -> None:
    """A file that is pinned but absent is named."""
    (shipped / "normalization.json").unlink()
    with pytest.raises(CheckpointError, match=r"normalization\.json cannot be read"):
        copy_embedded("tiny", tmp_path / "copy")


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    """A checkpoint that does not ship is refused by name."""
    with pytest.raises(CheckpointError, match="no checkpoint 'cube' ships"):
        copy_embedded("cube", tmp_path)


def test_every_shipped_name_can_be_configured() -> None:
    """The names that a configuration takes are those that ship, each for the world of its name."""
    names = get_args(EmbeddedCheckpoint.model_fields["name"].annotation)
    assert set(names) == set(EMBEDDED)
    for name in names:
        assert load_checkpoint(ROOT / name).normalization.world == name
