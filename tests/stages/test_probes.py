"""Probes that find what is there and nothing else, and straightness of paths that are known."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lewm_evidence.stages.probes import linear_probe, mlp_probe, scaled, score, straightness

torch.set_num_threads(1)  # more are slower for networks of this size, by far on a busy machine

RNG = np.random.default_rng(0)
Z: NDArray[np.float64] = RNG.normal(size=(1200, 8))
TRAIN, TEST = slice(0, 1000), slice(1000, 1200)
EPISODES = np.repeat(np.arange(20), 10)


def probe(targets: NDArray[np.float64], mlp: bool = False) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns held-out predictions of standardised targets (1200, Q), and these."""
    wanted = scaled(targets[TRAIN])(targets)
    fit = (lambda *args: mlp_probe(*args, hidden=64, epochs=150, seed=0)) if mlp else linear_probe
    return fit(Z[TRAIN], wanted[TRAIN], Z[TEST]), wanted[TEST]


def test_a_linear_map_is_recovered() -> None:
    """Whatever its scale and offset."""
    predictions, wanted = probe(Z @ RNG.normal(size=(8, 2)) * [1.0, 300.0] + [5.0, -200.0])
    found = score(predictions, wanted, EPISODES, {"both": [0, 1]}, 200, 0)["both"]
    assert found.mse.mean < 1e-5
    assert found.r2.mean > 0.9999 and found.r.mean > 0.9999


def test_what_is_not_there_is_not_found() -> None:
    """Noise has R^2 about 0 and r about 0, also with the network."""
    noise = np.random.default_rng(1).normal(size=(1200, 1))
    for mlp in (False, True):
        found = score(*probe(noise, mlp), EPISODES, {"noise": [0]}, 200, 0)["noise"]
        assert found.r.low < 0 < found.r.high
        assert found.r2.mean < 0.05


def test_only_the_network_finds_what_is_not_linear() -> None:
    """A square of one number of the latent."""
    linear, network = (
        score(*probe(Z[:, :1] ** 2, mlp), EPISODES, {"square": [0]}, 200, 0)["square"].r2.mean for mlp in (False, True)
    )
    assert linear < 0.1
    assert network > 0.7


def test_the_network_repeats_and_leaves_the_global_stream_alone() -> None:
    """Equal seeds give equal predictions; nothing else in the process sees other random numbers for it."""
    torch.manual_seed(5)
    first, _ = probe(Z[:, :1], mlp=True)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    np.testing.assert_array_equal(first, probe(Z[:, :1], mlp=True)[0])


def test_scores_of_known_predictions() -> None:
    """The mean has error 1 and R^2 0; half the target has error 1/4, R^2 3/4 and r 1; a group is the mean of both."""
    target = scaled(RNG.normal(size=(200, 1)))
    wanted = target(RNG.normal(size=(200, 1)))
    wanted = (wanted - wanted.mean()) / wanted.std()
    predictions = np.hstack([np.zeros_like(wanted), wanted / 2])
    found = score(predictions, np.hstack([wanted] * 2), EPISODES, {"mean": [0], "half": [1], "both": [0, 1]}, 200, 0)
    rows = [(s.mse.mean, s.r2.mean, s.r.mean) for s in found.values()]
    assert rows == [pytest.approx(row, abs=1e-9) for row in [(1, 0, 0), (0.25, 0.75, 1), (0.625, 0.375, 0.5)]]


def test_intervals_are_over_episodes() -> None:
    """Frames that only repeat others of their episode make no interval narrower."""
    wanted = np.random.default_rng(2).normal(size=(20, 1))
    guess = wanted + 0.5 * np.random.default_rng(3).normal(size=(20, 1))
    single = score(guess, wanted, np.arange(20), {"x": [0]}, 500, 0)["x"].mse
    repeated = score(np.repeat(guess, 10, 0), np.repeat(wanted, 10, 0), EPISODES, {"x": [0]}, 500, 0)["x"].mse
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))


def test_straightness_of_known_paths() -> None:
    """A line 1, to and fro -1, a square 0, independent points -1/2; what never moves has none."""
    line = np.outer(np.arange(9.0), [1.0, 2.0, -1.0])
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], np.float64)
    points = np.random.default_rng(0).normal(size=(4000, 16))
    assert straightness(line) == pytest.approx(1)
    assert straightness(np.array([[0.0], [1.0], [0.0], [1.0]])) == pytest.approx(-1)
    assert straightness(square) == pytest.approx(0)
    assert straightness(points) == pytest.approx(-0.5, abs=0.02)
    assert straightness(np.ones((5, 3))) is None
    assert straightness(np.repeat(line, 2, axis=0)[::2]) == pytest.approx(1)
