"""Student's t interval of a mean, for a handful of training seeds as for many episodes."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def t_half_width(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns half the width of the 95 % interval of the mean over the first axis of (N, ...), N at least 2."""
    n = len(samples)
    half: NDArray[np.float64] = np.asarray(stats.t.ppf(0.975, n - 1) * samples.std(axis=0, ddof=1) / math.sqrt(n))
    return half
