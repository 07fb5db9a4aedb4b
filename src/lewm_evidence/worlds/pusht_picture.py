"""The picture of the PushT table, the same to the pixel as that of swm/PushT-v1 under pygame 2.6.1.

Drawn with whole-pixel coordinates on a 512 x 512 canvas, then scaled by OpenCV's bilinear interpolation. The
reference's picture also shows debug marks of contact points; they are not part of the state and are left out.
"""

import math
import os
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # pygame greets on import otherwise

import pygame

Point = tuple[int, int]
Pose = tuple[float, float, float]
Colour = tuple[int, int, int]
Vertices = Sequence[tuple[float, float]]

SPACE = 512
AGENT_RADIUS = 15.0
WALL_RADIUS = 2.0
OUTLINE_RADIUS = 2.0
WALLS: Vertices = ((5, 506), (5, 5), (506, 5), (506, 506))
# The corners' order is the order in which edges are drawn, so it shows in single pixels.
BAR: Vertices = ((-60, 0), (60, 0), (60, 30), (-60, 30))
STEM: Vertices = ((-15, 30), (15, 30), (15, 120), (-15, 120))
TARGET_POSE: Pose = (256.0, 256.0, math.pi / 4)

WHITE: Colour = (255, 255, 255)
LIGHT_GREEN: Colour = (144, 238, 144)
LIGHT_GRAY: Colour = (211, 211, 211)
SLATE_GRAY: Colour = (119, 136, 153)
ROYAL_BLUE: Colour = (65, 105, 225)
INDIAN_RED: Colour = (205, 92, 92)  # in no picture of the reference


class Picture:
    """Draws the table on one canvas that is used again; a plain surface, no window and no display."""

    def __init__(self) -> None:
        self._canvas = pygame.Surface((SPACE, SPACE), depth=32)
        # One uint32 per pixel, row first, sharing the canvas' memory.
        self._pixels: NDArray[np.uint32] = pygame.surfarray.pixels2d(self._canvas).T
        self._canvas.fill(WHITE)
        for polygon in (BAR, STEM):
            self._fill([_pixel(corner) for corner in placed(polygon, TARGET_POSE)], LIGHT_GREEN)
        self._background = self._pixels.copy()
        # The walls lie above block and agent; they never move, so only their places are kept.
        self._outline([_pixel(corner) for corner in WALLS], WALL_RADIUS, LIGHT_GRAY)
        self._wall_rows, self._wall_columns = np.nonzero(self._pixels != self._background)
        self._wall_colour = self._canvas.map_rgb(LIGHT_GRAY)

    def draw(
        self, agent: tuple[float, float], block: Pose, size: int, colour: Colour = SLATE_GRAY
    ) -> NDArray[np.uint8]:
        """Returns uint8 (size, size, 3) with the agent at `agent` and the block, of `colour`, at pose `block`."""
        self._pixels[:] = self._background
        for polygon in (BAR, STEM):
            corners = [_pixel(corner) for corner in placed(polygon, block)]
            self._fill(corners, _lighter(colour))
            self._outline(corners, OUTLINE_RADIUS, colour)
        self._circle(_pixel(agent), AGENT_RADIUS, ROYAL_BLUE)
        self._circle(_pixel(agent), AGENT_RADIUS - 4, _lighter(ROYAL_BLUE))
        self._pixels[self._wall_rows, self._wall_columns] = self._wall_colour
        channels = self._pixels.view(np.uint8).reshape(SPACE, SPACE, 4)  # blue, green, red, unused
        small = cv2.resize(channels, (size, size))
        return np.ascontiguousarray(small[..., 2::-1], dtype=np.uint8)

    def _outline(self, corners: Sequence[Point], radius: float, colour: Colour) -> None:
        for a, b in zip(corners, (*corners[1:], corners[0]), strict=True):
            self._fat_segment(a, b, radius, colour)

    def _fat_segment(self, a: Point, b: Point, radius: float, colour: Colour) -> None:
        """Draws a line with round ends the way the reference does.

        Its quadrilateral is spanned by the *absolute* differences of the end points, so it leans the wrong way
        for half of all directions; the picture keeps that.
        """
        pygame.draw.line(self._canvas, colour, a, b, round(max(1, 2 * radius)))
        length = math.dist(a, b)
        if length == 0:
            return
        x = round(abs(b[1] - a[1]) * radius / length)
        y = round(abs(b[0] - a[0]) * radius / length)
        self._fill([(a[0] - x, a[1] - y), (a[0] + x, a[1] + y), (b[0] + x, b[1] + y), (b[0] - x, b[1] - y)], colour)
        self._circle(a, radius, colour)
        self._circle(b, radius, colour)

    def _circle(self, centre: Point, radius: float, colour: Colour) -> None:
        pygame.draw.circle(self._canvas, colour, centre, round(radius))

    def _fill(self, corners: Sequence[Point], colour: Colour) -> None:
        """Fills a convex polygon, border included, with crossings rounded down as in pygame 2.6.1.

        pygame-ce rounds them to the nearest pixel instead, which moves edges by one pixel.
        """
        top, left, right = _spans(corners)
        first, last = max(top, 0), min(top + len(left), SPACE)
        low, high = max(int(left.min()), 0), min(int(right.max()) + 1, SPACE)
        if first >= last or low >= high:
            return
        left, right = left[first - top : last - top, None], right[first - top : last - top, None]
        columns = np.arange(low, high)
        inside = (columns >= left) & (columns <= right)
        self._pixels[first:last, low:high][inside] = self._canvas.map_rgb(colour)


def placed(polygon: Vertices, pose: Pose) -> list[tuple[float, float]]:
    """Returns the corners of `polygon`, given in the block's frame, on the table with the block at `pose`."""
    x, y, angle = pose
    cos, sin = math.cos(angle), math.sin(angle)
    return [(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in polygon]


def _spans(corners: Sequence[Point]) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Returns the top row, and for each row from there down the first and the last column inside."""
    top, bottom = min(y for _, y in corners), max(y for _, y in corners)
    left = np.full(bottom - top + 1, SPACE + 1)
    right = np.full(bottom - top + 1, -1)
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        rows = np.arange(y1 - y0 + 1)
        crossings = x0 + rows * (x1 - x0) // max(y1 - y0, 1) if y0 != y1 else np.array([x0])
        at = slice(y0 - top, y1 - top + 1)
        left[at] = np.minimum(left[at], crossings)
        right[at] = np.maximum(right[at], crossings)
    return top, left, right


def _pixel(point: tuple[float, float]) -> Point:
    return round(point[0]), round(point[1])


def _lighter(colour: Colour) -> Colour:
    red, green, blue = (min(255, round(1.2 * channel)) for channel in colour)
    return red, green, blue
