"""Checkpoints from the Hugging Face hub, pinned by commit and by the sha256 of every file.

Everything is downloaded into a temporary folder, checked, converted and checked again; only then does the
checkpoint folder appear. A mismatch leaves nothing behind.
"""

import os
import tempfile
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from lewm_evidence.canonical import sha256_file
from lewm_evidence.checkpoint.format import CONFIG, WEIGHTS, read_json, read_safetensors, save_checkpoint
from lewm_evidence.config import HubCheckpoint
from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import Normalization, parse_model_config

PICKLED = "weights.pt"
TOKEN = "HF_TOKEN"


def fetch_hub(pinned: HubCheckpoint, target: Path) -> None:
    """Writes the checkpoint folder `target` from the files that `pinned` names.

    `HF_ENDPOINT` chooses another hub and `HF_TOKEN` opens private repositories, both from the environment only.

    Args:
        pinned: repository, commit, and the sha256 of each file.
        target: the folder to make; its parent must exist or be creatable.

    Raises:
        CheckpointError: when a file cannot be had, is not the pinned one, or does not hold a LeWM.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as name:
        folder = Path(name)
        for file, sha256 in sorted(pinned.files.items()):
            _check(_download(pinned, file, folder), sha256, pinned)
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
        found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror}") from error
    except Exception as error:  # a damaged or hostile pickle can raise nearly anything
        raise CheckpointError(
            f"{path.name} is not a whole file of nothing but tensors and was refused "
            f"({type(error).__name__}); nothing in it was run. Ask its author for safetensors"
        ) from error
    named = isinstance(found, dict) and all(isinstance(name, str) for name in found)
    if not named or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path.name} must hold a state dict, tensors by name; it holds something else")
    return dict(found)


def _download(pinned: HubCheckpoint, file: str, folder: Path) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(
            pinned.repo,
            file,
            revision=pinned.revision,
            local_dir=folder,
            cache_dir=folder / ".cache",  # the user's own cache could hold a damaged copy
            endpoint=os.environ.get("HF_ENDPOINT") or None,
            token=os.environ.get(TOKEN) or False,  # False: never the token file of the home directory
        )
    except Exception as error:  # noqa: BLE001 - the client lets its transport's own errors through
        _explain(error, pinned, file)
    return Path(path)


def _check(path: Path, sha256: str, pinned: HubCheckpoint) -> None:
    found = sha256_file(path)
    if found != sha256:
        raise CheckpointError(
            f"{pinned.repo}@{pinned.revision}: {path.name} has sha256 {found}, the configuration pins {sha256}; "
            "nothing was kept. If the pin is right, the hub or the way to it is not to be trusted"
        )


def _explain(error: Exception, pinned: HubCheckpoint, file: str) -> NoReturn:
    from huggingface_hub import errors

    where = f"{pinned.repo}@{pinned.revision}"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        text = f"{where}: the hub cannot be reached; check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
    elif isinstance(error, errors.RevisionNotFoundError):
        text = f"{where}: this repository has no such revision; check the 40 hex digits"
    elif isinstance(error, errors.EntryNotFoundError):
        text = f"{where}: there is no file {file}; check checkpoint.files"
    elif isinstance(error, errors.RepositoryNotFoundError):
        text = f"{where}: no such repository, or it is private or gated; check the name, or set {TOKEN}"
    elif isinstance(error, errors.HfHubHTTPError):
        text = f"{where}: the hub answered {error.response.status_code} for {file}; try again later"
    else:
        # Only the kind of error: its text may repeat headers or addresses.
        text = f"{where}: {file} did not arrive whole ({type(error).__name__}); try again"
    raise CheckpointError(text) from error


def _frameskip(block: int, action: int) -> int:
    if block % action:
        raise CheckpointError(
            f"the model takes action blocks of {block} numbers, which {action} numbers per action do not "
            "divide; correct checkpoint.action_mean and action_std"
        )
    return block // action
