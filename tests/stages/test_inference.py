"""Intervals and tests against answers that are known by hand or from tables."""

import numpy as np
import pytest

from lewm_evidence.stages.inference import mcnemar, mean_t, paired_t, wilson


def test_wilson_interval_by_hand() -> None:
    """5 of 10, and 0 of 10, where the interval still has a width."""
    half, none = wilson(5, 10), wilson(0, 10)
    assert (half.mean, half.low, half.high) == pytest.approx((0.5, 0.2366, 0.7634), abs=1e-4)
    assert (none.mean, none.low, none.high) == pytest.approx((0.0, 0.0, 0.2775), abs=1e-4)


def test_paired_t_by_hand() -> None:
    """Differences 1, 2, 3 have mean 2 and spread 1, so t is 2 sqrt 3 with 2 degrees of freedom."""
    test = paired_t(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    assert (test.difference.mean, test.t, test.p) == pytest.approx((2.0, 12**0.5, 0.07418), abs=1e-4)
    assert (test.difference.low, test.difference.high) == pytest.approx((-0.4841, 4.4841), abs=1e-4)
    assert (test.effect, test.n) == (2.0, 3)


def test_paired_t_without_spread() -> None:
    """Equal values are no difference; a constant one has nothing to be compared with and stays finite."""
    values = np.array([1.0, 2.0, 3.0])
    assert paired_t(values, values).p == 1.0
    constant = paired_t(values + 1, values)
    assert (constant.difference.low, constant.difference.high, constant.t, constant.p) == (1.0, 1.0, 0.0, 0.0)


def test_paired_t_keeps_its_level() -> None:
    """Without a difference about one test in twenty finds one at 0.05."""
    rng = np.random.default_rng(0)
    found = [paired_t(rng.normal(size=20), rng.normal(size=20)).p < 0.05 for _ in range(400)]
    assert 0.02 < np.mean(found) < 0.09


def test_mcnemar_counts_discordant_pairs_only() -> None:
    """Five starts that only the first reaches: 2 / 2^5; agreeing ones say nothing."""
    first, second = np.array([1.0] * 8 + [0.0] * 4), np.array([1.0] * 3 + [0.0] * 9)
    assert mcnemar(first, second) == pytest.approx(2 / 2**5)
    assert mcnemar(first, first) == 1.0


def test_mean_interval_shrinks_with_n() -> None:
    """The t interval of 400 normal values is about 3.92 standard errors wide."""
    values = np.random.default_rng(1).normal(size=400)
    estimate = mean_t(values)
    assert estimate.high - estimate.low == pytest.approx(3.92 * values.std() / 20, rel=0.02)
