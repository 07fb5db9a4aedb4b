"""The promises of the world protocol: kept by the worlds here, and noticed when broken."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from lewm_evidence.config import WorldName
from lewm_evidence.errors import WorldError
from lewm_evidence.worlds import WORLDS, World, conformance
from lewm_evidence.worlds.tworoom import TwoRoom


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("promise", conformance.PROMISES, ids=lambda promise: promise.__name__)
def test_every_world_keeps_every_promise(world: str, promise: Callable[[Callable[[], World]], None]) -> None:
    """Each promise on its own, so that a report says which one is broken."""
    promise(WORLDS[world])


def test_the_configuration_knows_every_world() -> None:
    """A world that can be made can be named in a configuration, and has that name itself."""
    assert set(get_args(WorldName)) == set(WORLDS)
    assert all(make().name == name for name, make in WORLDS.items())


class _Noisy(TwoRoom):
    def step(self, action: ArrayLike) -> NDArray[np.float64]:
        return super().step(np.asarray(action) * np.random.default_rng().uniform(0.5, 1))


class _Sharing(TwoRoom):
    @property
    def state(self) -> Any:
        self._position: Any = self._position.astype(np.float64, copy=False)
        return self._position


class _Lax(TwoRoom):
    def set_state(self, state: ArrayLike) -> NDArray[np.float64]:
        return super().set_state(np.nan_to_num(np.asarray(state)[:2]))


class _Blind(TwoRoom):
    def draw(self, state: ArrayLike, size: int = 224, recoloured: bool = False) -> NDArray[np.uint8]:
        return np.full((size, size, 3), 255, np.uint8)


class _ColourBlind(TwoRoom):
    def draw(self, state: ArrayLike, size: int = 224, recoloured: bool = False) -> NDArray[np.uint8]:
        return super().draw(state, size)


class _Hopeless(TwoRoom):
    def success(self, goal_state: ArrayLike) -> bool:
        return False


class _Misnamed(TwoRoom):
    state_names = ("agent_y", "agent_x")


class _Wild(TwoRoom):
    def policy(self, rng: np.random.Generator, shares: Any = None) -> Any:
        return lambda state: np.full(2, 3.0, np.float32)


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (_Noisy, "step depends on more than"),
        (_Sharing, "writing to a returned state"),
        (_Lax, "must be refused"),
        (_Blind, "do not show the state"),
        (_ColourBlind, "recoloured changes nothing"),
        (_Hopeless, "must count as itself reached"),
        (_Misnamed, "begins with agent_x"),
        (_Wild, r"must lie in \[-1, 1\]"),
    ],
)
def test_a_broken_promise_is_named(broken: type[TwoRoom], fault: str) -> None:
    """A world with one fault is refused with a sentence that says which."""
    with pytest.raises(WorldError, match=fault):
        conformance.check(broken)
