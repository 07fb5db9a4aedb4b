"""The checkpoint that ships in the package is what its training run made, with the configuration of `make embedded`."""

import json
from pathlib import Path

import pytest
import yaml

import lewm_evidence
from lewm_evidence.canonical import sha256_file
from lewm_evidence.checkpoint import load_checkpoint
from lewm_evidence.checkpoint.format import FILES
from lewm_evidence.config import parse_config
from lewm_evidence.records.manifest import read_manifest

ROOT = Path(__file__).parents[2]
FOLDER = Path(lewm_evidence.__file__).parent / "embedded" / "pusht"


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_listed_by_the_training_manifest(name: str) -> None:
    """The manifest of the training run names the shipped bytes."""
    files = {entry.path: entry.sha256 for entry in read_manifest(FOLDER / "training_manifest.json").files}
    assert files[f"checkpoint/{name}"] == sha256_file(FOLDER / name)


def test_it_was_made_by_what_make_embedded_uses_from_committed_code() -> None:
    """Training again with the same file makes it again; whoever changes that file trains anew."""
    config = parse_config(yaml.safe_load((ROOT / "workflow" / "configs" / "embedded-pusht.yaml").read_text()))
    provenance = json.loads((FOLDER / "provenance.json").read_bytes())
    for made, now in ((provenance["train"], config.train), (provenance["collect"], config.collect)):
        assert {name: now.model_dump(mode="json")[name] for name in made} == made
    assert read_manifest(FOLDER / "training_manifest.json").environment["git"]["dirty"] is False


def test_it_is_small_and_fits_its_world() -> None:
    """At most 5 MB, pictures of the size it was trained on, blocks of five actions."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 5_000_000
    model = load_checkpoint(FOLDER)
    assert (model.normalization.world, model.normalization.renderer) == ("pusht", "pusht")
    assert (model.config.image_size, model.config.action_block_dim, model.config.history) == (64, 10, 3)
