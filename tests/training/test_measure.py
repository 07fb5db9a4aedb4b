"""Measures of a latent space."""

import numpy as np
import pytest
import torch

from lewm_evidence import worlds
from lewm_evidence.training import measure


def test_effective_rank_counts_equal_directions() -> None:
    """It is k for latents spread equally over k of D directions."""
    for rank in (1, 3, 8):
        z = torch.zeros(4096, 8)
        z[:, :rank] = torch.randn(4096, rank, generator=torch.Generator().manual_seed(rank))
        assert measure.effective_rank(z) == pytest.approx(rank, rel=0.02)


def test_a_probe_reads_what_is_linear_and_nothing_else() -> None:
    """R^2 is near 1 for a linear quantity and near 0 for an independent one."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2000, 6))
    targets = np.column_stack([z @ rng.normal(size=6) + 40, rng.normal(size=2000)])
    scores = measure.probe_r2(torch.from_numpy(z[:1500]), targets[:1500], torch.from_numpy(z[1500:]), targets[1500:])
    assert scores[0] > 0.999
    assert abs(scores[1]) < 0.05


def test_what_a_picture_shows_is_probed() -> None:
    """Velocities are left out, the angle is probed as sine and cosine, an agent beyond the border is not."""
    world = worlds.make("pusht")
    states = np.array([[10, 20, 30, 40, np.pi / 2, 5, 6], [-1, 20, 30, 40, 0, 5, 6]], dtype=np.float32)
    found = measure.probed(states, world)
    assert list(found) == ["agent_x", "agent_y", "block_x", "block_y", "block_angle_sin", "block_angle_cos"]
    np.testing.assert_allclose(found["block_angle_sin"], [1, 0], atol=1e-6)
    assert [measure.is_position(name) for name in found] == [True] * 4 + [False] * 2
    assert measure.visible(states, world).tolist() == [True, False]
