"""Means with percentile bootstrap intervals, from explicit random streams, and how they are recorded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.records import Run

# A block of resamples is drawn at a time, so that memory does not grow with the number of resamples.
_BLOCK = 1000


@dataclass(frozen=True)
class Estimate:
    """A mean over episodes and the limits of its 95 % interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def record_estimate(out: Run, tag: str, estimate: Estimate, step: int = 0) -> None:
    """Records the mean as the scalar `tag`, and the limits as `<tag>_low` and `<tag>_high`."""
    out.scalar(tag, estimate.mean, step)
    out.scalar(f"{tag}_low", estimate.low, step)
    out.scalar(f"{tag}_high", estimate.high, step)


def bootstrap_means(values: NDArray[np.float64], resamples: int, seed: int) -> dict[int, Estimate]:
    """Returns the mean of each column of `values` with its percentile bootstrap interval.

    Every column is resampled with the same episodes, so differences of columns are paired. An interval has
    no width when all episodes agree: it says what these episodes say, not that no other outcome exists.

    Args:
        values: (N, C), N episodes and C quantities.
        resamples: number of draws of N episodes with replacement.
        seed: of the draws; equal arguments give equal estimates.

    Returns:
        One estimate a column, by column index.
    """
    generator = np.random.default_rng(seed)
    episodes = len(values)
    blocks = []
    for start in range(0, resamples, _BLOCK):
        drawn = generator.integers(0, episodes, size=(min(_BLOCK, resamples - start), episodes))
        blocks.append(values[drawn].mean(axis=1))
    low, high = np.percentile(np.concatenate(blocks), [2.5, 97.5], axis=0)
    means = values.mean(axis=0)
    return {c: Estimate(float(means[c]), float(low[c]), float(high[c])) for c in range(values.shape[1])}
