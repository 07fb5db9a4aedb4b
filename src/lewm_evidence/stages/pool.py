"""The episodes behind the paper's tables: scripted by the `starts` stage, or a recorded dataset.

Letters: E episodes, F frames of all, S numbers in a state, A in an action, n starts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.config import Starts
from lewm_evidence.data.frames import open_frames
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.records.schema import Arrays
from lewm_evidence.stages.rollout import Task
from lewm_evidence.worlds import World


@dataclass(frozen=True)
class Pool:
    """Episodes one after the other.

    Attributes:
        lengths: frames in each episode, int64 (E,).
        states: float32 (F, S).
        actions: float32 (F, A); row i leads from frame i to the next, NaN at an episode's end.
        frames: uint8 (F, H, W, 3), mapped into memory, of a dataset; None when the world draws them.
    """

    lengths: NDArray[np.int64]
    states: NDArray[np.float32]
    actions: NDArray[np.float32]
    frames: NDArray[np.uint8] | None

    def rows(self, episode: int, spacing: int = 1) -> NDArray[np.int64]:
        """Returns every `spacing`-th row of an episode, from its first on."""
        end = int(self.lengths[: episode + 1].sum())
        return np.arange(end - int(self.lengths[episode]), end, spacing)

    def pictures(self, world: World, rows: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
        """Returns the pictures of `rows` (N,), uint8 (N, size, size, 3): recorded ones, or drawn.

        Raises:
            StageError: when the recorded pictures have another size.
        """
        if self.frames is None:
            return np.stack([world.draw(self.states[row], size) for row in rows])
        if self.frames.shape[1] != size:
            raise StageError(
                f"the dataset was collected at {self.frames.shape[1]} px and the checkpoint takes {size} px; set "
                f"collect.dataset.image_size to {size}"
            )
        return np.asarray(self.frames[rows])


@dataclass(frozen=True)
class Chosen:
    """The starts and what planning from them means.

    Attributes:
        pool: where they come from.
        rows: of the starts in the pool, int64 (n,), ascending.
        goal_offset: rows from a start to its goal.
        budget: environment steps per start.
    """

    pool: Pool
    rows: NDArray[np.int64]
    goal_offset: int
    budget: int

    def __len__(self) -> int:
        return len(self.rows)

    def task(self, world: World, number: int) -> Task:
        """Returns start and goal number `number`, as `world` settles them."""
        row = self.rows[number]
        states = self.pool.states
        return Task(world.set_state(states[row]), world.set_state(states[row + self.goal_offset]))

    def actions(self, number: int) -> NDArray[np.float32]:
        """Returns the actions (goal_offset, A) that led from start to goal number `number`."""
        return self.pool.actions[self.rows[number] :][: self.goal_offset]

    def pictures(self, world: World, number: int, task: Task, size: int) -> NDArray[np.uint8]:
        """Returns the pictures of start and goal, uint8 (2, size, size, 3): recorded, or of the settled states."""
        if self.pool.frames is None:
            return np.stack([world.draw(state, size) for state in (task.start, task.goal)])
        return self.pool.pictures(world, self.rows[number] + np.array([0, self.goal_offset]), size)


def read_pool(out: Run) -> Pool:
    """Returns the pool of the run's input `starts`, whose own input `data`, if any, it takes as `data` too."""
    if "data" in out.spec.inputs:
        return read_dataset(out.input("data"))
    found = _arrays(out.input("starts"), "starts/pool")
    return Pool(found["lengths"], found["states"], found["actions"], None)


def read_chosen(out: Run) -> Chosen:
    """Returns the starts of the run's input `starts`."""
    starts = out.input("starts")
    config = Starts.model_validate(starts.spec.config["starts"])
    rows = _arrays(starts, "starts/chosen")["rows"]
    return Chosen(read_pool(out), rows, config.goal_offset, config.budget)


def read_dataset(run: FinishedRun) -> Pool:
    """Returns the recorded episodes of a collect run; raises `StageError` when they have no states."""
    found = _arrays(run, "collect/recorded")
    if "states" not in found:
        raise StageError(f"the dataset of {run.name} has no states of this world, so nothing can be started from it")
    (event,) = run.events("collect/dataset")
    frames = open_frames(run.path, str(event.fields["frames_sha256"]))
    return Pool(found["lengths"], found["states"], found["actions"], frames)


def _arrays(run: FinishedRun, tag: str) -> dict[str, NDArray[Any]]:
    for record in run.records("arrays"):
        if isinstance(record, Arrays) and record.tag == tag:
            return run.arrays(record.path)
    raise StageError(f"{run.path} holds no arrays {tag!r}; was it made by another version?")
