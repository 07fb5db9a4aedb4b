"""What may be concluded from outcomes: intervals of shares, tests of paired differences. scipy does the work."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lewm_evidence.intervals import t_half_width
from lewm_evidence.stages.statistics import Estimate

Values = NDArray[np.float64]


@dataclass(frozen=True)
class PairedTest:
    """A paired t-test: the mean difference with its 95 % interval, in the unit of the values.

    Attributes:
        difference: the mean of first minus second.
        t: the statistic, with `n` - 1 degrees of freedom.
        p: two-sided.
        effect: the mean difference over its standard deviation (Cohen's d of paired values).
        n: pairs.
    """

    difference: Estimate
    t: float
    p: float
    effect: float
    n: int


def wilson(successes: int, n: int) -> Estimate:
    """Returns a share with its 95 % Wilson score interval, which also has a width when all agree."""
    interval = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return Estimate(successes / n, float(interval.low), float(interval.high))


def paired_t(first: Values, second: Values) -> PairedTest:
    """Returns the t-test of first (N,) minus second (N,), pair by pair, N at least 2.

    Differences that are all equal leave nothing to estimate a spread from: t and effect are then 0, and p says
    whether there is a difference at all.
    """
    differences = first - second
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread <= 1e-12 * abs(mean) or spread == 0:
        return PairedTest(Estimate(mean, mean, mean), 0.0, float(mean == 0), 0.0, len(differences))
    found = stats.ttest_rel(first, second)
    interval = found.confidence_interval(0.95)
    difference = Estimate(mean, float(interval.low), float(interval.high))
    return PairedTest(difference, float(found.statistic), float(found.pvalue), mean / spread, len(differences))


def mcnemar(first: Values, second: Values) -> float:
    """Returns the two-sided exact p of McNemar's test for outcomes (N,) of 0 and 1 on the same starts."""
    only_first, only_second = int(((first > 0) & (second == 0)).sum()), int(((second > 0) & (first == 0)).sum())
    discordant = only_first + only_second
    return float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0


def mean_t(values: Values) -> Estimate:
    """Returns the mean of values (N,), N at least 2, with its 95 % t interval."""
    mean = float(values.mean())
    half = float(t_half_width(values))
    return Estimate(mean, mean - half, mean + half)
