"""The checkpoint that ships in the package is what its training run made, with the default configuration."""

import json
from pathlib import Path

import pytest

import lewm_evidence
from lewm_evidence.canonical import sha256_file
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.checkpoint.format import FILES
from lewm_evidence.config import Collect, Train
from lewm_evidence.records.manifest import read_manifest

FOLDER = Path(lewm_evidence.__file__).parent / "embedded" / "pusht"


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_listed_by_the_training_manifest(name: str) -> None:
    """The manifest of the training run names the shipped bytes."""
    files = {entry.path: entry.sha256 for entry in read_manifest(FOLDER / "training_manifest.json").files}
    assert files[f"checkpoint/{name}"] == sha256_file(FOLDER / name)


def test_it_was_made_by_the_default_configuration_from_committed_code() -> None:
    """Training again with the defaults makes it again; whoever changes a default trains anew or says why not."""
    provenance = json.loads((FOLDER / "provenance.json").read_bytes())
    for made, now in ((provenance["train"], Train()), (provenance["collect"], Collect())):
        assert {name: now.model_dump(mode="json")[name] for name in made} == made
    assert read_manifest(FOLDER / "training_manifest.json").environment["git"]["dirty"] is False


def test_it_is_small_and_fits_its_world() -> None:
    """At most 5 MB, pictures of the size it was trained on, blocks of five actions."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 5_000_000
    model = load_checkpoint(FOLDER)
    assert (model.normalization.world, model.normalization.renderer) == ("pusht", "pusht")
    assert (model.config.image_size, model.config.action_block_dim, model.config.history) == (64, 10, 3)
