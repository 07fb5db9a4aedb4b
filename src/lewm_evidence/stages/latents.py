"""Real pictures around a start and their latents, to show what a latent stands for.

LeWM has no decoder. What a predicted latent looks like is shown by retrieval instead: the real picture whose latent
is nearest. That picture is real; how near it is, is not shown by it, so what was really reached stands beside it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.stages.rollout import Actions, Actor
from lewm_evidence.worlds import World

PATHS, EACH = 16, 16
THUMBNAIL, PICTURE = 32, 96
_MARGIN, _LINE, _GAP = 118, 16, 4
_INK, _PAPER = (60, 60, 60), (255, 255, 255)
_ROWS = ("really reached", "nearest picture to\nthe latent reached", "nearest picture to\nthe predicted latent")


@dataclass(frozen=True)
class Library:
    """Real pictures, N of them, known by state and latent.

    Attributes:
        states: (N, S).
        latents: (N, D).
        path: (N,), which scripted pusher made it.
        step: (N,), environment steps after the start.
    """

    states: NDArray[np.float64]
    latents: Actions
    path: NDArray[np.int64]
    step: NDArray[np.int64]

    def nearest(self, latents: Actions) -> NDArray[np.intp]:
        """Returns which picture's latent is nearest to each of `latents` (K, D), (K,); the first of equals."""
        distances = ((latents[:, None].astype(np.float64) - self.latents) ** 2).sum(axis=2)
        nearest: NDArray[np.intp] = distances.argmin(axis=1)
        return nearest

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns the fields by name."""
        return {"states": self.states, "latents": self.latents, "path": self.path, "step": self.step}


def explore(actor: Actor, world: World, start: NDArray[np.float64], seed: int, steps: int) -> Library:
    """Returns what `PATHS` scripted pushers see within `steps` steps from `start`, `EACH` moments of each."""
    kept = np.unique(np.linspace(0, steps, EACH).astype(np.int64))
    states = []
    for rng in np.random.default_rng(seed).spawn(PATHS):
        policy = world.policy(rng)
        path = [world.set_state(start)]
        for _ in range(steps):
            path.append(world.step(policy(path[-1])))
        states.append(np.array(path)[kept])
    found = np.concatenate(states)
    pictures = np.stack([actor.picture(world, state) for state in found])
    latents = actor.model.encode(pictures).float().cpu().numpy()
    return Library(found, latents, np.repeat(np.arange(PATHS), len(kept)), np.tile(kept, PATHS))


def sheet(world: World, library: Library) -> NDArray[np.uint8]:
    """Returns the pictures of `library` as thumbnails, row by row in a square grid that is filled with white."""
    side = int(np.ceil(np.sqrt(len(library.states))))
    grid = np.full((side, THUMBNAIL, side, THUMBNAIL, 3), 255, np.uint8)
    for number, state in enumerate(library.states):
        grid[number // side, :, number % side] = world.draw(state, THUMBNAIL)
    return grid.reshape(side * THUMBNAIL, side * THUMBNAIL, 3)


def retrieved(
    world: World, library: Library, states: NDArray[np.float64], reached: Actions, predicted: Actions
) -> NDArray[np.uint8]:
    """Returns three labelled rows of K pictures, a column for each block: see `_ROWS`.

    Args:
        world: draws.
        library: where to look.
        states: (K, S), really reached after each block.
        reached: (K, D), the latents of their pictures.
        predicted: (K, D), what the model expected.
    """
    from PIL import Image, ImageDraw

    rows = [states, library.states[library.nearest(reached)], library.states[library.nearest(predicted)]]
    cell = PICTURE + _GAP
    image = Image.new("RGB", (_MARGIN + cell * len(states), _LINE + cell * len(rows)), _PAPER)
    draw = ImageDraw.Draw(image)
    for column in range(len(states)):
        draw.text((_MARGIN + column * cell, 2), f"block {column + 1}", _INK)
    for row, (label, shown) in enumerate(zip(_ROWS, rows, strict=True)):
        top = _LINE + row * cell
        draw.multiline_text((2, top + PICTURE // 2 - 12), label, _INK)
        for column, state in enumerate(shown):
            image.paste(Image.fromarray(world.draw(state, PICTURE)), (_MARGIN + column * cell, top))
    return np.asarray(image)
