"""What the model promises whatever its weights. Letters as in the module: N, B, S, T, D, A."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lewm_evidence.errors import CheckpointError, InputError
from lewm_evidence.model import LeWM
from tiny import CONFIG, NORMALIZATION, tiny_state_dict

D, A = CONFIG.dim, CONFIG.action_block_dim


@pytest.fixture(scope="module")
def model() -> LeWM:
    """An untrained tiny model in which actions matter."""
    return LeWM.from_state_dict(CONFIG, tiny_state_dict(1), NORMALIZATION)


def pictures(*shape: int) -> NDArray[np.uint8]:
    """Returns seeded noise of shape (*shape, 64, 64, 3)."""
    return np.random.default_rng(0).integers(0, 256, (*shape, 64, 64, 3), np.uint8)


def normal(*shape: int) -> torch.Tensor:
    """Returns seeded normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_pictures_do_not_see_each_other(model: LeWM) -> None:
    """A picture's latent is the same alone and in a batch, and batches are only a way to compute."""
    images = pictures(5)
    z = model.encode(images, batch=2)
    assert z.shape == (5, D)
    for picture, latent in zip(images, z, strict=True):
        torch.testing.assert_close(model.encode(picture[None])[0], latent)


def test_predictions_are_causal(model: LeWM) -> None:
    """What happens at a position changes nothing before it, and something at it."""
    z, actions = normal(2, 3, D), normal(2, 3, A)
    before = model.predict(z, actions)
    later = actions.clone()
    later[:, 1] += 1
    after = model.predict(z, later)
    torch.testing.assert_close(after[:, 0], before[:, 0])
    assert not torch.allclose(after[:, 1], before[:, 1])
    assert not torch.allclose(after[:, 2], before[:, 2])


def test_rollout_slides_a_window_of_history(model: LeWM) -> None:
    """Each imagined latent is what predict says at the end of the last `history` latents and actions."""
    actions = normal(4, 5, A)
    path = model.rollout(normal(D), actions)
    assert path.shape == (4, 6, D)
    for t in range(5):
        start = max(0, t + 1 - CONFIG.history)
        last = model.predict(path[:, start : t + 1], actions[:, start : t + 1])[:, -1]
        torch.testing.assert_close(path[:, t + 1], last)


def test_rollout_takes_both_shapes_of_a_start(model: LeWM) -> None:
    """A start of shape (D,) and one of (1, D) mean the same."""
    z, actions = normal(D), normal(2, 2, A)
    torch.testing.assert_close(model.rollout(z, actions), model.rollout(z[None], actions))


def test_cost_is_the_squared_distance_to_the_goal(model: LeWM) -> None:
    """The cost of a candidate is summed over D, and is zero for the goal it imagines."""
    start, goal = pictures(2)
    actions = normal(6, 3, A)
    z = model.encode(np.stack([start, goal]))
    expected = (model.rollout(z[0], actions)[:, -1] - z[1]).square().sum(-1)
    torch.testing.assert_close(model.cost(start, goal, actions), expected)
    reached = model.rollout(z[0], actions)[2, -1]
    assert model.cost_from_latents(z[0], reached, actions).argmin() == 2


def test_image_statistics_are_those_of_the_normalisation() -> None:
    """Other image statistics give other latents; the defaults are ImageNet's."""
    plain = NORMALIZATION.model_copy(update={"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0)})
    latents = [
        LeWM.from_state_dict(CONFIG, tiny_state_dict(1), normalization).encode(pictures(1))
        for normalization in (None, NORMALIZATION, plain)
    ]
    torch.testing.assert_close(latents[0], latents[1])
    assert not torch.allclose(latents[0], latents[2])


def test_gradients_reach_every_parameter_in_training() -> None:
    """Training through embed and predict moves every parameter; BatchNorm counts one batch per projector."""
    model = LeWM(CONFIG)
    model.load_state_dict(tiny_state_dict(1))
    model.train()
    z = model.embed(pictures(4, 4))
    assert z.shape == (4, 4, D)
    model.predict(z[:, :3], normal(4, 3, A)).square().mean().backward()
    still = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert still == []
    assert model.projector.net[1].num_batches_tracked == 1


def test_loading_draws_no_random_numbers() -> None:
    """A stage that seeds and then loads goes on with the numbers it seeded."""
    weights = tiny_state_dict()
    before = torch.random.get_rng_state()
    LeWM.from_state_dict(CONFIG, weights)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_loaded_model_is_for_use_not_for_training(model: LeWM) -> None:
    """A model from a state dict is in eval mode and asks for no gradients."""
    assert not model.training
    assert not model.predict(normal(1, 1, D), normal(1, 1, A)).requires_grad


@pytest.mark.parametrize(
    "images",
    [pictures(1).astype(np.float32), pictures(1)[:, :32], np.zeros((1, 3, 64, 64), np.uint8), pictures(1)[0]],
)
def test_other_pictures_are_refused(model: LeWM, images: NDArray[np.uint8]) -> None:
    """Pictures of another type, size or layout, and a single one, are refused by shape."""
    with pytest.raises(InputError, match="images must be"):
        model.encode(images)


@pytest.mark.parametrize(("z", "a"), [((2, 4, D), (2, 4, A)), ((2, 3, D), (2, 2, A)), ((2, 3, 5), (2, 3, A))])
def test_other_windows_are_refused(model: LeWM, z: tuple[int, ...], a: tuple[int, ...]) -> None:
    """Windows longer than the history, of unequal lengths or of other sizes are refused."""
    with pytest.raises(InputError, match="predict takes"):
        model.predict(torch.zeros(z), torch.zeros(a))


def test_other_actions_are_refused(model: LeWM) -> None:
    """Raw actions instead of blocks are refused."""
    with pytest.raises(InputError, match="actions must be"):
        model.rollout(torch.zeros(D), torch.zeros(3, 5, 2))


def test_a_model_without_normalisation_says_so() -> None:
    """Asking for statistics that nobody gave is an error, not a guess."""
    with pytest.raises(CheckpointError, match="load_checkpoint"):
        _ = LeWM(CONFIG).normalization


def test_a_sparse_or_half_tensor_is_refused() -> None:
    """A tensor of the right shape but another layout or type is refused."""
    weights = tiny_state_dict()
    name = "predictor.transformer.norm.weight"
    for value in (weights[name].to_sparse(), weights[name].half()):
        with pytest.raises(CheckpointError, match=name):
            LeWM.from_state_dict(CONFIG, weights | {name: value})
