"""Datasets from the Hugging Face hub, pinned by commit and by sha256."""

import tempfile
from pathlib import Path

from lewm_evidence.canonical import sha256_file
from lewm_evidence.checkpoint.client import Repository, fetch_file
from lewm_evidence.errors import DataError


def fetch_dataset(repo: str, revision: str, sha256: str, target: Path) -> None:
    """Writes the file `target` from the dataset repository `repo`, where it has the same name.

    What is there already is checked and taken. See `checkpoint.client` for cache, endpoint and token.

    Raises:
        CheckpointError: when it cannot be had, or is not the pinned file; nothing is left then.
        DataError: when another file is there already.
    """
    if target.exists():
        if sha256_file(target) != sha256:
            raise DataError(f"{target} is not the file with sha256 {sha256}; move it away to have that one fetched")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
        repository = Repository(repo, revision, kind="dataset")
        fetch_file(repository, target.name, sha256, Path(folder)).replace(target)
