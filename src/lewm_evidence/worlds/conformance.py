"""Checks that a simulator keeps the promises of the `World` protocol; for the worlds here and for your own::

    from lewm_evidence.worlds import conformance
    conformance.check(MyWorld)

or, one test for each promise::

    @pytest.mark.parametrize("promise", conformance.PROMISES, ids=lambda promise: promise.__name__)
    def test_my_world(promise):
        promise(MyWorld)
"""

from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lewm_evidence.errors import WorldError
from lewm_evidence.worlds import World, scripted_episode

Make = Callable[[], World]
SEEDS = range(5)
STEPS = 30


def check(make: Make) -> None:
    """Checks every promise on worlds that `make` returns; raises `WorldError` for the first that is not kept."""
    for promise in PROMISES:
        promise(make)


def description(make: Make) -> None:
    """Names, numbers and outlines fit together."""
    world = make()
    _demand(bool(world.name) and world.action_dim >= 1, "a world has a name and actions of at least one number")
    names = world.state_names
    _demand(len(names) == world.state_dim, f"state_names names {len(names)} of {world.state_dim} numbers in a state")
    _demand(len(set(names)) == len(names), f"state_names must differ from each other, got {names}")
    known = all(name.startswith(("agent_", "block_")) for name in names)
    _demand(known, f"state_names must begin with agent_ or block_, got {names}")
    _demand(names[:2] == ("agent_x", "agent_y"), f"a state begins with agent_x, agent_y; state_names says {names[:2]}")
    _demand(min(world.space) > 0, f"space must be a positive width and height, got {world.space}")
    _demand(world.walls.ndim == 3 and world.walls.shape[-1] == 2, "walls must have the shape (W, P, 2)")
    _demand(sum(world.behaviours.values()) > 0, "behaviours must have a positive sum")
    if world.block_outline is not None:
        _demand(
            {"block_x", "block_y", "block_angle"} <= set(names), "block_outline needs the block's pose in the state"
        )
        _demand(world.block_outline.ndim == 2 and world.block_outline.shape[1] == 2, "block_outline must be (P, 2)")


def starting(make: Make) -> None:
    """A start depends on its seed alone, and seeds give different starts."""
    used = make()
    used.reset(99)
    used.step(np.ones(used.action_dim))
    starts = []
    for seed in SEEDS:
        starts.append(used.reset(seed))
        _same(starts[-1], make().reset(seed), f"reset({seed}) depends on what was before")
        _state(used, starts[-1], "reset")
    for a, b in combinations(starts, 2):
        _demand(not np.array_equal(a, b), "different seeds must give different starts")


def motion(make: Make) -> None:
    """What follows depends on the state and the actions alone, also after another past."""
    one, other = make(), make()
    for seed in SEEDS:
        first = one.reset(seed)
        for action in _actions(other, seed + 100):
            other.step(action)
        first, second = one.set_state(first), other.set_state(first)
        _same(first, second, "set_state depends on what was before")
        for action in _actions(one, seed):
            after = one.step(action)
            _state(one, after, "step")
            _same(after, other.step(action), "step depends on more than the state and the action")


def standing(make: Make) -> None:
    """A set state is the state, up to settling, which moves things by a few px at most and then no further."""
    world, other = make(), make()
    lengths = np.array([_is_length(name) for name in world.state_names])
    for seed in SEEDS:
        for state in scripted_episode(other, seed, STEPS).states[::10]:
            settled = world.set_state(state)
            _state(world, settled, "set_state")
            moved = np.abs(settled - state)[lengths].max()
            _demand(moved < 10, f"set_state moved things by {moved:.1f} px; it may settle by less than 10")
            again = world.set_state(world.set_state(state))
            _demand(np.abs(again - settled)[lengths].max() < 10, "setting a state again and again moves it far")


def copies(make: Make) -> None:
    """The states handed out are copies: writing to them changes nothing."""
    world = make()
    start = world.reset(0).copy()
    calls: list[Callable[[], NDArray[np.float64]]] = [
        lambda: world.state,
        lambda: world.set_state(start),
        lambda: world.reset(0),
    ]
    for call in calls:
        state = call()
        before = state.copy()
        state += 1.0
        _same(world.state, before, "writing to a returned state changes the world")


def bounds(make: Make) -> None:
    """A step moves the agent by less than the space is wide, and hardly at all when the action is 0."""
    world = make()
    for seed in SEEDS:
        world.reset(seed)
        states = [world.state, *(world.step(action) for action in _actions(world, seed))]
        for before, after in pairwise(states):
            far = np.abs(after - before)[:2].max()
            _demand(far < max(world.space), f"one step moved the agent by {far:.0f} px, out of the space")
    still = world.reset(0)
    world.step(np.zeros(world.action_dim))
    _demand(bool(np.abs(world.state - still)[:2].max() < 0.1 * max(world.space)), "an action of 0 moves the agent far")


def refusal(make: Make) -> None:
    """States and actions of a wrong length, or that are not finite, raise an error and change nothing."""
    world = make()
    before = world.reset(1)
    wrong: list[tuple[Callable[[ArrayLike], object], NDArray[np.float64]]] = [
        (world.set_state, np.zeros(world.state_dim + 1)),
        (world.set_state, np.full(world.state_dim, np.nan)),
        (world.step, np.zeros(world.action_dim + 1)),
        (world.step, np.full(world.action_dim, np.inf)),
    ]
    for call, argument in wrong:
        try:
            call(argument)
        except ValueError:
            pass
        else:
            raise WorldError(f"{world.name}: {argument.tolist()} must be refused with an InputError or ValueError")
    _same(world.state, before, "a refused state or action changed the world")


def picture(make: Make) -> None:
    """Pictures are uint8 (size, size, 3), depend on state and colour alone, show both, and leave the world as it is."""
    world, other = make(), make()
    for seed in SEEDS:
        state = world.reset(seed)
        for size in (32, 64, 224):
            drawn = world.render(size)
            shape = (size, size, 3)
            _demand(drawn.shape == shape and drawn.dtype == np.uint8, f"a picture must be uint8 {shape}")
            _same(drawn, other.draw(state, size), "the picture depends on more than the state")
            _same(drawn, world.render(size), "two pictures of one state differ")
            drawn[:] = 0
            _demand(bool(world.render(size).any()), "writing to a picture changes the next one")
        _same(world.state, state, "drawing changed the state")
    _demand(
        not np.array_equal(other.draw(world.reset(0)), other.draw(world.reset(1))), "pictures do not show the state"
    )
    plain, other_colour = (other.draw(other.state, recoloured=choice) for choice in (False, True))
    _demand(not np.array_equal(plain, other_colour), "recoloured changes nothing in the picture")


def goal(make: Make) -> None:
    """A state reaches itself with an error near 0; errors are distances; a success has a smaller error than none."""
    world = make()
    states = [state for seed in SEEDS for state in scripted_episode(world, seed, STEPS).states[::10]]
    reached: list[float] = []
    missed: list[float] = []
    for state in states:
        here = world.set_state(state)
        _demand(world.error(here) < 1e-3 and world.success(here), "a state must count as itself reached, error 0")
        for target in states:
            error = world.error(target)
            _demand(np.isfinite(error) and error >= 0, f"an error must be a distance, got {error}")
            (reached if world.success(target) else missed).append(error)
    _demand(bool(missed), "every state counts as success")
    _demand(np.mean(reached) < np.mean(missed), "a success has a larger error than a failure, on average")


def distance(make: Make) -> None:
    """`travel` is a distance for each pair: not negative, and 0 from a state to itself."""
    world = make()
    states = scripted_episode(world, 0, STEPS).states
    far = world.travel(states[:-1], states[1:])
    _demand(far.shape == (STEPS,) and bool((far >= 0).all()), f"travel must be (N,) distances, got {far.shape}")
    _demand(bool((world.travel(states, states) < 1e-9).all()), "travel from a state to itself must be 0")


def behaviour(make: Make) -> None:
    """A scripted episode depends on its seed alone; its actions lie in [-1, 1]; every behaviour can be chosen."""
    used = make()
    for name in [None, *used.behaviours]:
        shares = None if name is None else {name: 1.0}
        for seed in SEEDS:
            episode = scripted_episode(used, seed, STEPS, shares)
            longer = scripted_episode(make(), seed, STEPS + 5, shares)
            _same(episode.states, longer.states[: STEPS + 1], "a scripted episode is not the start of a longer one")
            _same(episode.actions, longer.actions[:STEPS], "a policy depends on more than its random stream and states")
            _demand(bool(np.abs(episode.actions).max() <= 1), "a policy's actions must lie in [-1, 1]")


PROMISES: tuple[Callable[[Make], None], ...] = (
    description,
    starting,
    motion,
    standing,
    copies,
    bounds,
    refusal,
    picture,
    goal,
    distance,
    behaviour,
)
"""Every promise, each a function of a maker of worlds that raises `WorldError` when it is not kept."""


def _actions(world: World, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-1, 1, (STEPS, world.action_dim))


def _is_length(name: str) -> bool:
    return "angle" not in name and "velocity" not in name


def _state(world: World, state: NDArray[np.float64], what: str) -> None:
    right = state.shape == (world.state_dim,) and state.dtype == np.float64 and bool(np.isfinite(state).all())
    _demand(right, f"{what} must return {world.state_dim} finite float64 numbers, got {state.dtype} {state.shape}")
    _same(world.state, state, f"{what} returned another state than .state")


def _same(one: NDArray[np.generic], other: NDArray[np.generic], fault: str) -> None:
    _demand(np.array_equal(one, other), fault)


def _demand(kept: object, fault: str) -> None:
    if not kept:
        raise WorldError(fault)
