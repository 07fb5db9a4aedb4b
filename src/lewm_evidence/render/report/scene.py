"""The table seen from above as SVG: block, goal, candidate and chosen paths.

All lengths are pixels of the world's plane. Shapes carry class names; the page's style gives them their colours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from lewm_evidence.render.report.plots import CLASSES

Array = NDArray[Any]

_RADIUS = 15 / 512  # of the agent, as a share of the plane's width


def background(geometry: Mapping[str, Array]) -> Markup:
    """Returns what stays the same at every decision: walls, and the goal of block and agent."""
    shapes = [_polygon("wall", wall) for wall in geometry.get("walls", ())]
    goal = geometry["goal_state"]
    if "block_outline" in geometry:
        shapes.append(_polygon("goal", _placed(geometry["block_outline"], goal)))
    return Markup().join([*shapes, _circle("goal", goal, geometry)])


def plans(arrays: Mapping[str, Array]) -> Markup:
    """Returns candidate paths in fifths of cost, the cheapest on top, the chosen one and its executed part."""
    costs, paths = arrays["candidate_costs"], arrays["candidate_paths"]
    ranks = np.argsort(np.argsort(costs, kind="stable"), kind="stable")
    shapes = [
        _path(f"candidate k{ranks[i] * CLASSES // len(costs)}", paths[i]) for i in np.argsort(-costs, kind="stable")
    ]
    return Markup().join([*shapes, _path("chosen", paths[int(arrays["winner"])]), _path("executed", arrays["states"])])


def bodies(arrays: Mapping[str, Array], geometry: Mapping[str, Array]) -> Markup:
    """Returns block and agent where they are when a decision is made."""
    state = arrays["states"][0]
    block = _polygon("block", _placed(geometry["block_outline"], state)) if "block_outline" in geometry else Markup()
    return block + _circle("agent", state, geometry)


def agents(decisions: Sequence[Mapping[str, Array]]) -> str:
    """Returns where the agent was at every step of the episode, as `x,y x,y ...`."""
    return _points(np.concatenate([decisions[0]["states"][:1], *(arrays["states"][1:] for arrays in decisions)]))


def _placed(outline: Array, state: Array) -> Array:
    cos, sin = np.cos(state[4]), np.sin(state[4])
    placed: Array = outline @ np.array([[cos, sin], [-sin, cos]]) + state[2:4]
    return placed


def _points(places: Array) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places[:, :2])


def _path(name: str, places: Array) -> Markup:
    return Markup('<polyline class="{}" points="{}"/>').format(name, _points(places))


def _polygon(name: str, places: Array) -> Markup:
    return Markup('<polygon class="{}" points="{}"/>').format(name, _points(places))


def _circle(name: str, state: Array, geometry: Mapping[str, Array]) -> Markup:
    radius = _RADIUS * geometry["space"][0]
    x, y = state[:2]
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(name, f"{x:.1f}", f"{y:.1f}", f"{radius:.1f}")
