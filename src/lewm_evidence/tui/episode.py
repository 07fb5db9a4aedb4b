"""The recorded episode: which decision a step belongs to, and its picture with what was considered drawn over it."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lewm_evidence.errors import StageError
from lewm_evidence.tui.runs import LiveRun

# In the order of the stage's own numbers for them, see `lewm_evidence.stages.showcase`.
SOURCES = ("scripted", "perturbed", "random", "cem")
COLOURS = ((110, 110, 110), (214, 140, 50), (90, 160, 235), (60, 170, 90))
CHOSEN, GOAL = (200, 30, 140), (200, 60, 20)
_OVER = 3  # lines are drawn this many times larger, then reduced, so that they are smooth
_FAINT = 0.3  # how strongly the candidates hide what lies below
_LARGEST = 4096  # px; the simulators draw 224


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        number: counted from 0.
        first: the environment step at which it was made.
        steps: how many were executed.
        costs: (N,) predicted cost of each candidate.
        source: (N,) indices into `SOURCES`.
        paths: (N, n + 1, 2) where the agent goes under each, in px of the world.
        winner: the candidate that was executed.
        elite_costs: (I, E) costs of the elites at each of CEM's iterations.
        shapes: of its arrays by name.
    """

    number: int
    first: int
    steps: int
    costs: NDArray[np.float64]
    source: NDArray[np.int64]
    paths: NDArray[np.float64]
    winner: int
    elite_costs: NDArray[np.float64]
    shapes: dict[str, tuple[int, ...]]


def decisions(run: LiveRun) -> list[Decision]:
    """Returns the decisions recorded so far; raises `StageError` when a record is not what the showcase writes."""
    found: list[Decision] = []
    first = 0
    for number, arrays in sorted(run.arrays("showcase/decision").items()):
        try:
            found.append(_decision(number, first, arrays))
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise StageError(f"{run.name}: decision {number} is not what the showcase records: {error}") from error
        first += found[-1].steps
    return found


def _decision(number: int, first: int, arrays: dict[str, NDArray[Any]]) -> Decision:
    costs, source, paths = (arrays[f"candidate_{name}"] for name in ("costs", "source", "paths"))
    winner, states, elites = int(arrays["winner"]), arrays["states"], arrays["elite_costs"]
    if not len(costs) == len(source) == len(paths) or not 0 <= winner < len(costs) or source.max() >= len(SOURCES):
        raise ValueError("the candidates do not fit together")
    if paths.ndim != 3 or paths.shape[2] != 2 or elites.ndim != 2 or source.min() < 0:
        raise ValueError("its arrays have other shapes")
    shapes = {name: array.shape for name, array in sorted(arrays.items())}
    return Decision(number, first, len(states) - 1, costs, source, paths, winner, elites, shapes)


def at(found: list[Decision], step: int) -> Decision | None:
    """Returns the decision that led on from `step`; after the last step, the one that led to it."""
    return next((d for d in reversed(found) if d.first <= step <= d.first + d.steps), None)


@lru_cache(maxsize=8)
def _frame(path: Path, side: int) -> Image.Image:
    try:
        with Image.open(path) as picture:
            if max(picture.size) > _LARGEST:
                raise StageError(f"{path.name} is larger than {_LARGEST} px")
            return picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise StageError(f"{path.name} is no picture: {error}") from error


def draw(frame: Path, side: int, geometry: dict[str, NDArray[Any]], decision: Decision | None) -> NDArray[np.uint8]:
    """Returns a picture (side, side, 3) of a step: every candidate's path, the chosen one, and the goal over it.

    Args:
        frame: the PNG file that the simulator drew.
        side: of the picture, in px.
        geometry: as the showcase records it: `goal_state`, `space` and maybe `block_outline`.
        decision: whose candidates to show; none while it is being made.
    """
    picture = _frame(frame, side * _OVER).copy()
    scale = side * _OVER / geometry["space"]
    if decision is not None:
        layer = picture.copy()
        for source in (2, 1, 0, 3):  # the planner's own last, over the others
            for path in decision.paths[decision.source == source]:
                _line(ImageDraw.Draw(layer), path * scale, COLOURS[source], 2)
        picture = Image.blend(picture, layer, _FAINT)
    pen = ImageDraw.Draw(picture)
    if decision is not None:
        chosen = decision.paths[decision.winner] * scale
        _line(pen, chosen, CHOSEN, 3)
        _dot(pen, chosen[-1], 4, fill=CHOSEN)
    goal = geometry["goal_state"]
    if "block_outline" in geometry:
        cos, sin = np.cos(goal[4]), np.sin(goal[4])
        corners = geometry["block_outline"] @ np.array([[cos, sin], [-sin, cos]]) + goal[2:4]
        _line(pen, np.concatenate([corners, corners[:1]]) * scale, GOAL, 3)
    _dot(pen, goal[:2] * scale, float(15 / 512 * side * _OVER), outline=GOAL, width=3)
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def _line(pen: ImageDraw.ImageDraw, points: NDArray[np.float64], colour: tuple[int, int, int], width: int) -> None:
    pen.line([(float(x), float(y)) for x, y in points], fill=colour, width=width, joint="curve")


def _dot(pen: ImageDraw.ImageDraw, place: NDArray[np.float64], radius: float, **look: Any) -> None:
    x, y = (float(part) for part in place)
    pen.ellipse([x - radius, y - radius, x + radius, y + radius], **look)
