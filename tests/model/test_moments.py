"""What the moments encoder promises: it sees where and which way up things are, and nothing of the background."""

import math

import numpy as np
import pytest
import torch

from lewm_evidence.errors import CheckpointError
from lewm_evidence.model import ModelConfig, MomentsConfig, parse_model_config
from lewm_evidence.model.moments import MomentsEncoder
from lewm_evidence.training.measure import probe_r2
from lewm_evidence.worlds import make


def test_a_blank_picture_gives_finite_numbers_and_gradients() -> None:
    """A map without mass divides by nothing."""
    encoder = MomentsEncoder(MomentsConfig(filters=4, maps=4))
    out = encoder(torch.zeros(3, 3, 64, 64))
    assert out.shape == (3, 40)
    torch.autograd.backward(out.sum())
    gradients = [parameter.grad for parameter in encoder.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def test_what_moves_changes_places_only() -> None:
    """Of the ten moments of a map, a shift by whole strides changes x and y and no other."""
    torch.manual_seed(0)
    encoder = MomentsEncoder(MomentsConfig(filters=6, maps=5)).eval()
    picture = torch.zeros(1, 3, 64, 64)
    picture[:, :, 16:28, 20:32] = 200 * torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    here, there = (encoder(image).detach().reshape(5, 10) for image in (picture, picture.roll((8, 12), dims=(2, 3))))
    others = [0, 3, 4, 5, 6, 7, 8, 9]
    torch.testing.assert_close(here[:, others], there[:, others], rtol=0.05, atol=0.02)
    assert float((there[:, 1] - here[:, 1]).max()) == pytest.approx(12 / 4 * 2 / 15, rel=0.05)


def test_the_angle_of_the_block_is_linear_in_it_before_any_training() -> None:
    """Most of the variance of sine and cosine of the angle of PushT's block; that is why the encoder was made."""
    world, rng = make("pusht"), np.random.default_rng(0)
    states = np.zeros((2000, 7))
    states[:, :2], states[:, 2:4] = rng.uniform(30, 480, (2000, 2)), rng.uniform(150, 360, (2000, 2))
    states[:, 4] = rng.uniform(0, 2 * math.pi, 2000)
    pictures = torch.from_numpy(np.stack([world.draw(state, 64) for state in states])).movedim(-1, 1)
    torch.manual_seed(0)
    with torch.no_grad():
        seen = MomentsEncoder(MomentsConfig())((pictures.float() / 255 - 1) / 0.25)
    angles = np.column_stack([np.sin(states[:, 4]), np.cos(states[:, 4])])
    assert probe_r2(seen[:1500], angles[:1500], seen[1500:], angles[1500:]).min() > 0.3


def test_a_kernel_that_leaves_gaps_is_refused() -> None:
    """Every pixel belongs to some map."""
    config = ModelConfig.small(encoder="moments").model_dump(mode="json")
    config["encoder"] |= {"kernel": 3}
    with pytest.raises(CheckpointError, match="encoder"):
        parse_model_config(config)
