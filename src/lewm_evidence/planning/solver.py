"""What all solvers share: from pictures or latents, through a search over action blocks, to plans.

Letters: B environments, S candidates, E elites, T horizon in action blocks, A size of a block, D size of a latent,
H and W height and width in pixels.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lewm_evidence.errors import InputError, StageError
from lewm_evidence.model import Normalization
from lewm_evidence.planning.fast import FastLeWM

Observation = Tensor | NDArray[np.uint8]
Bounds = tuple[tuple[float, ...], tuple[float, ...]]  # the lowest and the highest action block, A numbers each


class _Sized(Protocol):
    @property
    def action_block_dim(self) -> int: ...


class Costed(Protocol):
    """What a solver asks of a model; `LeWM` and `FastLeWM` are such."""

    @property
    def config(self) -> _Sized:
        """Says the size A of an action block."""

    @property
    def device(self) -> torch.device:
        """Where costs are computed."""

    def encode(self, images: Tensor) -> Tensor:
        """Returns latents (N, D) for uint8 pictures (N, H, W, 3)."""

    def cost_from_latents(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> Tensor:
        """Returns costs (S,) for actions (S, T, A)."""


class Iteration(NamedTuple):
    """One refinement. Inside a search every tensor has a leading B; in a plan it has not.

    Attributes:
        candidates: what was scored, (S, T, A).
        costs: of each candidate, (S,).
        elite_indices: the E cheapest candidates, cheapest first.
        mean: what the next candidates are drawn around, (T, A).
        std: their spread, (T, A).
    """

    candidates: Tensor
    costs: Tensor
    elite_indices: Tensor
    mean: Tensor
    std: Tensor


class Problem(NamedTuple):
    """What is searched: tensors only.

    Attributes:
        z_start: latents now, (B, D).
        z_goal: latents wanted, (B, D).
        mean: actions to search around first, (B, T, A).
        low: the lowest action block, (A,); −∞ where there is none.
        high: the highest, (A,).
        noise: for each iteration, standard normal unless a solver says otherwise, (B, S, T, A).
    """

    z_start: Tensor
    z_goal: Tensor
    mean: Tensor
    low: Tensor
    high: Tensor
    noise: tuple[Tensor, ...]


class Found(NamedTuple):
    """What a search found: actions (B, T, A), their costs (B,), and how."""

    actions: Tensor
    cost: Tensor
    history: list[Iteration]


@dataclass(frozen=True)
class Plan:
    """What a planner proposes.

    Attributes:
        actions: z-scored, time-major action blocks, (T, A), on the CPU.
        cost: the model's cost of exactly these actions.
        history: one entry per iteration, on the CPU.
    """

    actions: Tensor
    cost: float
    history: list[Iteration]


@dataclass(frozen=True)
class Solver(ABC):
    """A search for cheap actions. Actions are z-scored, so zero is the mean action of the data.

    Attributes:
        model: gives costs.
        num_samples: candidates S per iteration.
        iterations: refinements.
        elites: cheapest candidates E that count.
        horizon: length T of a plan in action blocks.
        bounds: the lowest and highest action block; without them nothing is clipped. See `action_bounds`.
    """

    model: Costed
    num_samples: int = 300
    iterations: int = 30
    elites: int = 30
    horizon: int = 5
    bounds: Bounds | None = None

    def __post_init__(self) -> None:
        for name in ("num_samples", "iterations", "elites", "horizon"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not 2 <= self.elites <= self.num_samples:
            raise InputError(
                f"elites must lie in 2..num_samples={self.num_samples}, got {self.elites}; a spread needs two elites"
            )
        sizes = {len(bound) for bound in self.bounds or ()}
        if self.bounds is not None and sizes != {self.model.config.action_block_dim}:
            raise InputError(
                f"bounds must be two times {self.model.config.action_block_dim} numbers, got {self.bounds}"
            )

    def solve(
        self,
        start: Observation,
        goal: Observation,
        generator: torch.Generator,
        warm_start: Tensor | None = None,
        deadline: float | None = None,
    ) -> Plan:
        """Returns the plan that leads from `start` towards `goal`.

        Args:
            start: a picture, uint8 (H, W, 3), or a latent, float (D,).
            goal: the same of what is wanted.
            generator: source of all randomness; equal states give equal plans.
            warm_start: actions (T, A) to search around first; zeros without.
            deadline: the `time.monotonic()` after which the search is given up; on a GPU it is looked at afterwards.

        Raises:
            InputError: when start or goal is neither a picture nor a latent, or `warm_start` no plan.
            StageError: when a cost is not finite, or the deadline has passed.
        """
        pair = torch.as_tensor(start)[None], torch.as_tensor(goal)[None]
        return self._solve(*pair, [generator], None if warm_start is None else warm_start[None], deadline)[0]

    def solve_batch(
        self,
        starts: Observation,
        goals: Observation,
        generators: Sequence[torch.Generator],
        warm_starts: Tensor | None = None,
    ) -> list[Plan]:
        """Returns one plan per environment, each with its own random stream as if it were alone.

        On a GPU a `FastLeWM` computes all environments together; elsewhere one follows the other, to the last bit as
        alone.

        Args:
            starts: pictures, uint8 (B, H, W, 3), or latents, float (B, D).
            goals: the same of what is wanted.
            generators: B sources of randomness.
            warm_starts: actions (B, T, A) to search around first; zeros without.

        Raises:
            InputError: as `solve`, and when the numbers of environments differ.
            StageError: as `solve`.
        """
        first, second = torch.as_tensor(starts), torch.as_tensor(goals)
        count = len(generators)
        if not len(first) == len(second) == count or (warm_starts is not None and len(warm_starts) != count):
            raise InputError(f"starts, goals, generators and warm starts must be as many, got {count} generators")
        together = count if self._fast_cuda is not None else 1
        plans = []
        for at in range(0, count, together):
            part = slice(at, at + together)
            warm = None if warm_starts is None else warm_starts[part]
            plans += self._solve(first[part], second[part], generators[part], warm, None)
        return plans

    @abstractmethod
    def _find(self, problem: Problem, deadline: float | None) -> Found:
        """Searches; raises `StageError` when it sees that the deadline has passed."""

    def _draw(self, generator: torch.Generator) -> list[Tensor]:
        """Returns the noise of every iteration, (1, S, T, A) each."""
        # The leading 1 is the reference's batch of environments: it keeps the random stream equal.
        shape = (1, self.num_samples, self.horizon, self.model.config.action_block_dim)
        return [torch.randn(shape, generator=generator, device=generator.device) for _ in range(self.iterations)]

    @property
    def _fast_cuda(self) -> FastLeWM | None:
        return self.model if isinstance(self.model, FastLeWM) and self.model.device.type == "cuda" else None

    def _solve(
        self,
        starts: Tensor,
        goals: Tensor,
        generators: Sequence[torch.Generator],
        warm_starts: Tensor | None,
        deadline: float | None,
    ) -> list[Plan]:
        z_start, z_goal = self._latents(starts, "start"), self._latents(goals, "goal")
        device = self.model.device
        noise = tuple(torch.cat(step).to(device) for step in zip(*map(self._draw, generators), strict=True))
        mean = self._first_mean(warm_starts, len(generators)).to(device)
        found = self._find(Problem(z_start, z_goal, mean, *self._limits(device), noise), deadline)
        check_time(deadline)
        return _plans(found)

    def _fitted(self, candidates: Tensor, costs: Tensor) -> tuple[Iteration, Tensor]:
        """Returns an iteration with mean and unbiased spread of the elites, and the elites (B, E, T, A)."""
        best = torch.topk(costs, self.elites, dim=-1, largest=False).indices
        chosen = torch.take_along_dim(candidates, best[:, :, None, None], dim=1)
        return Iteration(candidates, costs, best, chosen.mean(dim=1), chosen.std(dim=1)), chosen

    def _limits(self, device: torch.device) -> tuple[Tensor, Tensor]:
        size = self.model.config.action_block_dim
        low, high = self.bounds or ((-torch.inf,) * size, (torch.inf,) * size)
        return torch.tensor(low, device=device), torch.tensor(high, device=device)

    def _first_mean(self, warm_starts: Tensor | None, count: int) -> Tensor:
        shape = (count, self.horizon, self.model.config.action_block_dim)
        if warm_starts is None:
            return torch.zeros(shape)
        if warm_starts.shape != shape or not torch.isfinite(warm_starts).all():
            raise InputError(f"a warm start must be finite actions {shape[1:]}, got {tuple(warm_starts.shape[1:])}")
        return warm_starts.float()

    def _latents(self, observations: Tensor, name: str) -> Tensor:
        if observations.dtype == torch.uint8 and observations.ndim == 4:
            return self.model.encode(observations)
        if observations.is_floating_point() and observations.ndim == 2:
            return observations.to(self.model.device)
        raise InputError(
            f"{name} must be a picture, uint8 (H, W, 3), or a latent, float (D,); "
            f"got {observations.dtype} {tuple(observations.shape[1:])}"
        )


def action_bounds(normalization: Normalization, low: float = -1.0, high: float = 1.0) -> Bounds:
    """Returns z-scored bounds for raw actions that lie in low..high in every dimension, as the simulators' do."""
    raw = torch.tensor([[low], [high]]).expand(2, len(normalization.action_mean))
    lowest, highest = normalization.normalize(raw).repeat(1, normalization.frameskip).tolist()
    return tuple(lowest), tuple(highest)


def check_time(deadline: float | None) -> None:
    """Raises `StageError` when the `time.monotonic()` that is `deadline` has passed."""
    if deadline is not None and time.monotonic() > deadline:
        raise StageError("planning passed its deadline; ask for fewer candidates or iterations, or give it longer")


def _plans(found: Found) -> list[Plan]:
    history = [Iteration(*(tensor.cpu() for tensor in step)) for step in found.history]
    if not all(torch.isfinite(step.costs).all() for step in history):
        raise StageError("the model gives costs that are not finite; its weights or its inputs are damaged")
    actions, cost = found.actions.cpu(), found.cost.tolist()
    return [
        Plan(actions[env], cost[env], [Iteration(*(tensor[env] for tensor in step)) for step in history])
        for env in range(len(actions))
    ]
