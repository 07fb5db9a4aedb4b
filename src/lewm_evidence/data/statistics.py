"""The numbers that actions are z-scored with."""

import numpy as np
from numpy.typing import NDArray


def action_statistics(actions: NDArray[np.floating]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the mean and the population standard deviation of each number of actions (F, A).

    Rows that hold a NaN, where no action was taken, do not count. A number that never changes gets 1e-6.
    """
    taken = actions[~np.isnan(actions).any(axis=1)].astype(np.float64)
    return tuple(taken.mean(axis=0).tolist()), tuple(np.maximum(taken.std(axis=0), 1e-6).tolist())
