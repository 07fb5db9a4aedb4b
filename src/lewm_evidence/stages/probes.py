"""Reading quantities from latents with a linear map and with a small network, and how well that went.

Letters: N pictures, M held-out pictures, D size of a latent, Q quantities, E held-out episodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lewm_evidence.stages.statistics import Estimate

RIDGE = 1e-3  # of the inputs' variance, which is 1
BATCH, LEARNING_RATE, WEIGHT_DECAY = 256, 1e-3, 1e-4
Values = NDArray[np.float64]
_BLOCK = 500  # resamples at a time


@dataclass(frozen=True)
class Scaled:
    """Numbers shifted and scaled so that those of the training pictures have mean 0 and spread 1."""

    mean: Values
    std: Values

    def __call__(self, values: Values) -> Values:
        """Returns values (..., Q) in that scale."""
        return (values - self.mean) / self.std


def scaled(values: Values) -> Scaled:
    """Returns the scale of values (N, Q); one that never changes keeps its unit."""
    std = values.std(axis=0)
    return Scaled(values.mean(axis=0), np.where(std > 1e-12, std, 1.0))


def linear_probe(z: Values, targets: Values, z_test: Values) -> Values:
    """Returns predictions (M, Q) for z_test (M, D) of the ridge regression from z (N, D) to targets (N, Q)."""
    scale, centre = scaled(z), targets.mean(axis=0)
    inputs = scale(z)
    gram = inputs.T @ inputs + RIDGE * len(inputs) * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (targets - centre))
    return np.asarray(scale(z_test) @ weights + centre)


def mlp_probe(z: Values, targets: Values, z_test: Values, hidden: int, epochs: int, seed: int) -> Values:
    """Returns predictions (M, Q) of a network with one hidden layer, trained from targets (N, Q) of spread about 1.

    Adam with a linearly falling rate; weights and the order of pictures come from `seed`. On the CPU.
    """
    scale = scaled(z)
    inputs, wanted, inputs_test = (torch.from_numpy(part).float() for part in (scale(z), targets, scale(z_test)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(z.shape[1], hidden), nn.GELU(), nn.Linear(hidden, targets.shape[1]))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, epochs)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(inputs), generator=order), BATCH):
            loss = (network(inputs[batch]) - wanted[batch]).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        return np.asarray(network(inputs_test).double().numpy())


@dataclass(frozen=True)
class Score:
    """How well a quantity is predicted: mean squared error, R^2 and Pearson's r with their 95 % intervals."""

    mse: Estimate
    r2: Estimate
    r: Estimate


def score(
    predictions: Values,
    targets: Values,
    episodes: NDArray[np.int64],
    groups: Mapping[str, list[int]],
    resamples: int,
    seed: int,
) -> dict[str, Score]:
    """Returns the scores of predictions (M, Q) of targets (M, Q), by group.

    The score of a group of quantities is the mean of theirs. Intervals are percentile bootstrap intervals over whole
    episodes: pictures of one episode are alike, and would make them too narrow.

    Args:
        predictions: of each quantity for each held-out picture.
        targets: what they should be.
        episodes: the episode of each picture, (M,).
        groups: columns by name.
        resamples: number of draws of the episodes with replacement.
        seed: of the draws.
    """
    _, member = np.unique(episodes, return_inverse=True)
    count = int(member.max()) + 1
    ones = np.ones_like(targets)
    terms = np.stack([ones, predictions, targets, predictions**2, targets**2, predictions * targets], axis=-1)
    sums = np.zeros((count, *terms.shape[1:]))
    np.add.at(sums, member, terms)
    whole = _metrics(sums.sum(axis=0))
    rng = np.random.default_rng(seed)
    drawn = []
    for start in range(0, resamples, _BLOCK):
        weights = rng.multinomial(count, np.full(count, 1 / count), size=min(_BLOCK, resamples - start))
        drawn.append(_metrics(np.tensordot(weights.astype(np.float64), sums, axes=1)))
    resampled = np.concatenate(drawn)
    return {name: _estimates(whole[columns], resampled[:, columns]) for name, columns in groups.items()}


def _metrics(sums: Values) -> Values:
    """Returns mse, R^2 and r (..., Q, 3) from the six sums (..., Q, 6) that `score` takes."""
    n, p, t, pp, tt, pt = np.moveaxis(sums, -1, 0)
    variance_p, variance_t, covariance = pp / n - (p / n) ** 2, tt / n - (t / n) ** 2, pt / n - p * t / n**2
    mse = (pp - 2 * pt + tt) / n
    tiny = 1e-12  # a quantity that does not change, or a constant prediction, has no correlation
    r = covariance / np.sqrt(np.maximum(variance_p, tiny) * np.maximum(variance_t, tiny))
    return np.stack([mse, 1 - mse / np.maximum(variance_t, tiny), r], axis=-1)


def _estimates(whole: Values, resampled: Values) -> Score:
    means = whole.mean(axis=0)
    low, high = np.percentile(resampled.mean(axis=1), [2.5, 97.5], axis=0)
    return Score(*(Estimate(float(means[i]), float(low[i]), float(high[i])) for i in range(3)))


def straightness(z: Values) -> float | None:
    """Returns the mean cosine between successive displacements of latents (T, D): 1 on a line, 0 for random turns.

    Displacements of length 0 have no direction and do not count; None when no two in a row are left.
    """
    steps = np.diff(z, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    both = lengths[1:] * lengths[:-1]
    moving = (lengths[1:] > 1e-6) & (lengths[:-1] > 1e-6)
    if not moving.any():
        return None
    return float(((steps[1:] * steps[:-1]).sum(axis=1)[moving] / both[moving]).mean())
