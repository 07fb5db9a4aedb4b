"""The episodes of a collect run, made ready for training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lewm_evidence import worlds
from lewm_evidence.config import Train
from lewm_evidence.data.frames import open_frames
from lewm_evidence.data.statistics import action_statistics
from lewm_evidence.errors import StageError
from lewm_evidence.model import Normalization
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.records.job import RESUME
from lewm_evidence.training import windows
from lewm_evidence.training.pictures import drawn

# Pictures are mostly white table: white becomes 0, so that zero padding looks like more table.
IMAGE_MEAN, IMAGE_STD = (1.0, 1.0, 1.0), (0.25, 0.25, 0.25)


@dataclass(frozen=True)
class Data:
    """What a training reads.

    Attributes:
        train: windows to train on.
        held_out: windows of the episodes that are kept from training.
        normalization: statistics of the training windows.
        world: the simulator they come from.
    """

    train: windows.Windows
    held_out: windows.Windows
    normalization: Normalization
    world: worlds.World


def prepare(out: Run, config: Train) -> Data:
    """Returns the windows of the run that `out` knows as `data`; pictures of states are drawn first."""
    source = out.input("data")
    world = worlds.make(source.spec.config["world"])
    episodes = _episodes(out, source, world, config)
    windows.check_lengths(episodes.lengths, config.history, config.frameskip)
    seen = int(episodes.lengths[: windows.train_episodes(len(episodes.lengths))].sum())
    mean, std = action_statistics(episodes.actions[:seen])
    normalization = Normalization(
        action_mean=mean,
        action_std=std,
        image_mean=IMAGE_MEAN,
        image_std=IMAGE_STD,
        frameskip=config.frameskip,
        image_size=config.image_size,
        renderer="recorded" if source.spec.config.get("dataset") else world.name,
        world=world.name,
    )
    train, held_out = windows.split_windows(episodes, normalization, config.history)
    return Data(train, held_out, normalization, world)


def _episodes(out: Run, source: FinishedRun, world: worlds.World, config: Train) -> windows.Episodes:
    for record in source.records("arrays"):
        if record.tag == "collect/episodes" and record.kind == "arrays":
            return _simulated(out, world, source.arrays(record.path), config.image_size)
        if record.tag == "collect/recorded" and record.kind == "arrays":
            return _recorded(source, source.arrays(record.path), config)
    raise StageError(f"{source.path} holds no arrays 'collect/episodes'; is it a collect run?")


def _simulated(out: Run, world: worlds.World, arrays: dict[str, NDArray[Any]], size: int) -> windows.Episodes:
    """Returns simulated episodes of equal lengths, with the pictures that the world draws."""
    states, actions = arrays["states"].astype(np.float32), arrays["actions"].astype(np.float32)
    count, length = states.shape[:2]
    # A row for each frame, NaN where no action follows.
    actions = np.pad(actions, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan).reshape(count * length, -1)
    frames = drawn(out.path / RESUME / "pictures.npy", world.name, states, size, out.threads)
    frames = frames.reshape(count * length, size, size, 3)
    return windows.Episodes(frames, actions, states.reshape(count * length, -1), np.full(count, length))


def _recorded(source: FinishedRun, arrays: dict[str, NDArray[Any]], config: Train) -> windows.Episodes:
    """Returns recorded episodes; their pictures stay in their file until they are used."""
    (event,) = source.events("collect/dataset")
    frames = open_frames(source.path, str(event.fields["frames_sha256"]))
    if frames.shape[1:] != (config.image_size, config.image_size, 3):
        raise StageError(
            f"the pictures of {source.name} are {frames.shape[1]} px wide and train.image_size is "
            f"{config.image_size}; make it and collect.dataset.image_size equal"
        )
    return windows.Episodes(frames, arrays["actions"], arrays.get("states"), arrays["lengths"])
