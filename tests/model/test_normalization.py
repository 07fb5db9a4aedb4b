"""Statistics and the layout of action blocks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lewm_evidence.checkpoint import Normalization, from_blocks, to_blocks
from lewm_evidence.errors import InputError
from tiny import NORMALIZATION


def test_blocks_are_time_major() -> None:
    """A block lists x and y of its first step, then of its second."""
    actions = np.arange(20).reshape(10, 2)
    assert to_blocks(actions, 5).tolist() == [list(range(10)), list(range(10, 20))]


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3))
def test_blocks_come_back(count: int, frameskip: int, size: int) -> None:
    """Cutting into blocks and joining gives the same actions, in numpy and in torch, batched or not."""
    actions = np.random.default_rng(0).normal(size=(3, count * frameskip, size))
    blocks = to_blocks(actions, frameskip)
    assert blocks.shape == (3, count, frameskip * size)
    np.testing.assert_array_equal(from_blocks(blocks, frameskip), actions)
    assert torch.equal(to_blocks(torch.from_numpy(actions), frameskip), torch.from_numpy(blocks))


def test_normalising_comes_back() -> None:
    """Z-scores have the training data's mean at zero, and raw actions come back, keeping their type."""
    actions = np.random.default_rng(0).uniform(-1, 1, (7, 2)).astype(np.float32)
    scores = NORMALIZATION.normalize(actions)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(NORMALIZATION.denormalize(scores), actions, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(NORMALIZATION.normalize(np.array(NORMALIZATION.action_mean)), 0, atol=1e-12)
    torch.testing.assert_close(NORMALIZATION.normalize(torch.from_numpy(actions)), torch.from_numpy(scores))


def test_wrong_shapes_are_refused() -> None:
    """A block where an action belongs, and a part of a block, are refused."""
    with pytest.raises(InputError, match="actions must have shape"):
        NORMALIZATION.normalize(np.zeros((3, 10)))
    with pytest.raises(InputError, match="multiple of frameskip=5, got 7"):
        NORMALIZATION.to_blocks(np.zeros((7, 2)))
    with pytest.raises(InputError, match="size of a block"):
        NORMALIZATION.from_blocks(np.zeros((7, 2)))


@pytest.mark.parametrize("change", [{"action_std": [0.0, 1.0]}, {"action_mean": [1.0]}, {"image_std": [1.0]}])
def test_statistics_that_cannot_be_are_refused(change: dict[str, list[float]]) -> None:
    """A spread of zero and lists of unequal length are refused."""
    with pytest.raises(ValueError, match=r"action|image"):
        Normalization.model_validate(NORMALIZATION.model_dump() | change)
