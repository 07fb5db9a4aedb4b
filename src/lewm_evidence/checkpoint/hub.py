"""Checkpoints from the Hugging Face hub, pinned by commit and by the sha256 of every file.

Every file is copied into a temporary folder, checked, converted and checked again; only then does the
checkpoint folder appear. A mismatch leaves nothing behind.
"""

import tempfile
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from lewm_evidence.checkpoint.client import Repository, fetch_file
from lewm_evidence.checkpoint.format import CONFIG, WEIGHTS, read_json, read_safetensors, save_checkpoint
from lewm_evidence.config import HubCheckpoint
from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import Normalization, parse_model_config

PICKLED = "weights.pt"


def fetch_hub(pinned: HubCheckpoint, target: Path) -> None:
    """Writes the checkpoint folder `target` from the files that `pinned` names.

    `HF_ENDPOINT` chooses another hub and `HF_TOKEN` opens private repositories, both from the environment only.

    Args:
        pinned: repository, commit, and the sha256 of each file.
        target: the folder to make; its parent must exist or be creatable.

    Raises:
        CheckpointError: when a file cannot be had, is not the pinned one, or does not hold a LeWM.
    """
    repository = Repository(pinned.repo, pinned.revision)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as name:
        folder = Path(name)
        for file, sha256 in sorted(pinned.files.items()):
            fetch_file(repository, file, sha256, folder)
        config = parse_model_config(read_json(folder / CONFIG), f"{pinned.repo} {CONFIG}")
        weights = read_pickled if PICKLED in pinned.files else read_safetensors
        tensors = weights(folder / (PICKLED if PICKLED in pinned.files else WEIGHTS))
    normalization = Normalization(
        action_mean=tuple(pinned.action_mean),
        action_std=tuple(pinned.action_std),
        frameskip=_frameskip(config.action_block_dim, len(pinned.action_mean)),
        image_size=config.image_size,
        renderer=pinned.world,
        world=pinned.world,
    )
    provenance = {
        "source": "hub",
        "repo": pinned.repo,
        "revision": pinned.revision,
        "files": dict(pinned.files),
    }
    save_checkpoint(target, config, tensors, normalization, provenance)


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Returns the state dict in a `weights.pt`, read without running anything it may contain.

    Raises:
        CheckpointError: when the file is not one, or holds anything but tensors by name.
    """
    try:
        pickles = _pickles(path)
        found = {} if pickles > 1 else torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror}") from error
    except Exception as error:  # a damaged or hostile pickle can raise nearly anything
        raise CheckpointError(
            f"{path.name} is not a whole file of nothing but tensors and was refused "
            f"({type(error).__name__}); nothing in it was run. Ask its author for safetensors"
        ) from error
    if pickles > 1:
        raise CheckpointError(f"{path.name} holds {pickles} pickles, a file of weights holds one; it was not read")
    named = isinstance(found, dict) and all(isinstance(name, str) for name in found)
    if not named or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path.name} must hold a state dict, tensors by name; it holds something else")
    return dict(found)


def _pickles(path: Path) -> int:
    if not zipfile.is_zipfile(path):
        return 1  # the way torch wrote before 1.6
    with zipfile.ZipFile(path) as archive:
        return sum(name.lower().endswith(".pkl") for name in archive.namelist())


def _frameskip(block: int, action: int) -> int:
    if block % action:
        raise CheckpointError(
            f"the model takes action blocks of {block} numbers, which {action} numbers per action do not "
            "divide; correct checkpoint.action_mean and action_std"
        )
    return block // action
