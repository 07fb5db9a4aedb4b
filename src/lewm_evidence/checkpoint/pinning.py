"""Pins: from the name of a repository to the configuration entry that fixes its bytes."""

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lewm_evidence.canonical import sha256_file
from lewm_evidence.checkpoint.client import Repository, fetch_file, model_info
from lewm_evidence.checkpoint.format import (
    CONFIG,
    NORMALIZATION,
    WEIGHTS,
    read_json,
    read_normalization,
    read_safetensors,
)
from lewm_evidence.checkpoint.hub import PICKLED, read_pickled
from lewm_evidence.checkpoint.names import internal_names
from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import LeWM, ModelConfig, parse_model_config
from lewm_evidence.presets import presets

_OPEN = "???"
_POLICY = re.compile(r"config\.json|model\.safetensors|policy_(pre|post)processor[\w.]*\.(json|safetensors)")


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of one raw action in the training data, and who says so."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    said_by: str


@dataclass(frozen=True)
class Pin:
    """A checkpoint on the hub, fixed.

    Attributes:
        repository: name and full commit id.
        files: sha256 by name, the weights last.
        size: of the weights in bytes.
        licence: what the model card says.
        model: the architecture in its config.json.
        hashed: the weights were fetched, hashed and loaded; otherwise their sha256 is the hub's word.
        world: the simulator it was trained on, None where not known.
        statistics: of the actions, None where not known.
    """

    repository: Repository
    files: dict[str, str]
    size: int
    licence: str
    model: ModelConfig
    hashed: bool
    world: str | None
    statistics: Statistics | None


def make_pin(name: str, revision: str = "main", world: str | None = None, download: bool = False) -> Pin:
    """Asks the hub what the model repository `name` holds and returns the pin of it.

    Small files are fetched and hashed. Of large ones the hub itself keeps the sha256.

    Args:
        name: owner/name.
        revision: branch, tag or commit; asked for once, everything else is about the commit it names.
        world: the simulator the checkpoint was trained on, where the repository does not say.
        download: also fetch the weights, hash them and load them.

    Raises:
        CheckpointError: when the repository cannot be read or holds no LeWM.
    """
    info = model_info(name, revision)
    repository = Repository(name, _commit(info, name))
    listed = {entry.rfilename: entry for entry in info.siblings or []}
    weights = _weights(repository, listed)
    large = listed[weights].lfs
    with tempfile.TemporaryDirectory() as folder:
        config = fetch_file(repository, CONFIG, None, Path(folder))
        model = parse_model_config(read_json(config), f"{repository} {CONFIG}")
        files = {CONFIG: sha256_file(config), weights: large.sha256 if large else ""}
        if download or not large:
            path = fetch_file(repository, weights, files[weights] or None, Path(folder))
            files[weights] = sha256_file(path)
            _load(model, path)
        pin = Pin(
            repository=repository,
            files=files,
            size=listed[weights].size or 0,
            licence=_licence(info),
            model=model,
            hashed=download or not large,
            world=world,
            statistics=None,
        )
        if NORMALIZATION in listed:
            return _with_own(pin, fetch_file(repository, NORMALIZATION, None, Path(folder)))
    return _with_published(pin)


def entry(pin: Pin, date: str) -> str:
    """Returns the pin as YAML for a configuration file; what is not known is left as ???.

    Args:
        pin: of a checkpoint.
        date: of the pinning, for the comment.
    """
    weights = list(pin.files)[-1]
    word = "fetched, hashed and loaded" if pin.hashed else "sha256 as the hub keeps it, not fetched"
    lines = [
        f"# {pin.repository.name}, pinned {date} by `lewm-evidence pin`.",
        f"# Licence, as its model card says: {pin.licence}. {weights}: {pin.size:,} bytes, {word}.",
        "checkpoint:",
        "  source: hub",
        f"  repo: {pin.repository.name}",
        f'  revision: "{pin.repository.revision}"',
        "  files:",
        *(f'    {name}: "{sha256}"' for name, sha256 in pin.files.items()),
        f"  world: {pin.world or _OPEN}" + ("" if pin.world else "  # pusht, tworoom, reacher or cube"),
    ]
    if pin.statistics:
        lines += [
            f"  # Of one raw action in the training data: {pin.statistics.said_by}.",
            f"  action_mean: {list(pin.statistics.mean)}",
            f"  action_std: {list(pin.statistics.std)}",
        ]
    else:
        block = pin.model.action_block_dim
        lines += [
            "  # Fill in mean and standard deviation of one raw action in the training data, a number per dimension:",
            f"  # the model takes blocks of {block} numbers, which for 5 steps a block are {block / 5:g} per action.",
            f"  action_mean: {_OPEN}",
            f"  action_std: {_OPEN}",
        ]
    return "\n".join(lines) + "\n"


def policy_entry(name: str, date: str, revision: str = "main") -> tuple[Repository, str]:
    """Returns the LeRobot policy `name` on the hub, fixed, and as YAML for a configuration file.

    Small files are fetched and hashed, of large ones the hub's own sha256 is taken; `fetch_policy` checks all.

    Args:
        name: owner/name.
        date: of the pinning, for the comment.
        revision: branch, tag or commit.

    Raises:
        CheckpointError: when the repository cannot be read or holds no policy.
    """
    info = model_info(name, revision)
    repository = Repository(name, _commit(info, name))
    listed = {entry.rfilename: entry for entry in info.siblings or [] if _POLICY.fullmatch(entry.rfilename)}
    if not {CONFIG, WEIGHTS} <= listed.keys():
        raise CheckpointError(f"{repository} holds no policy: there must be {CONFIG} and {WEIGHTS}")
    with tempfile.TemporaryDirectory() as folder:
        files = {
            file: about.lfs.sha256 if about.lfs else sha256_file(fetch_file(repository, file, None, Path(folder)))
            for file, about in sorted(listed.items())
        }
    lines = [
        f"# {name}, pinned {date} by `lewm-evidence pin --policy`.",
        f"# Licence, as its model card says: {_licence(info)}. {WEIGHTS}: {listed[WEIGHTS].size or 0:,} bytes.",
        "policy:",
        "  source:",
        f"    repo: {name}",
        f'    revision: "{repository.revision}"',
        "    files:",
        *(f'      {file}: "{sha256}"' for file, sha256 in files.items()),
    ]
    return repository, "\n".join(lines) + "\n"


def _commit(info: Any, name: str) -> str:
    if not info.sha:
        raise CheckpointError(f"{name}: the hub does not say which commit this is; what answered is not a whole hub")
    return str(info.sha)


def _weights(repository: Repository, listed: dict[str, Any]) -> str:
    found = [name for name in (WEIGHTS, PICKLED) if name in listed]
    if CONFIG not in listed or not found:
        raise CheckpointError(
            f"{repository} holds no checkpoint: there must be {CONFIG} and one of {WEIGHTS}, {PICKLED}, "
            f"there is {', '.join(sorted(listed)) or 'nothing'}"
        )
    return found[0]


def _load(model: ModelConfig, path: Path) -> None:
    tensors = read_pickled(path) if path.name == PICKLED else read_safetensors(path)
    LeWM.from_state_dict(model, internal_names(tensors))


def _licence(info: Any) -> str:
    card = info.card_data
    return str((card and card.get("license")) or "none given")


def _with_own(pin: Pin, path: Path) -> Pin:
    own = read_normalization(path)
    statistics = Statistics(own.action_mean, own.action_std, f"the repository's {NORMALIZATION}")
    return replace(pin, world=pin.world or own.world, statistics=statistics)


def _with_published(pin: Pin) -> Pin:
    for preset in presets().values():
        if pin.world == preset.world or (pin.world is None and pin.repository.name == preset.repo):
            pin = replace(pin, world=preset.world)
            if preset.action_mean and preset.action_std:
                said_by = "the published data set's; correct them if it was trained on other data"
                statistics = Statistics(tuple(preset.action_mean), tuple(preset.action_std), said_by)
                return replace(pin, statistics=statistics)
    return pin
