"""The fast model computes the same functions as the readable one."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import random_models
import reference
from lewm_evidence.checkpoint.names import internal_names
from lewm_evidence.errors import InputError
from lewm_evidence.model import LeWM, ModelConfig
from lewm_evidence.planning import fast, linear
from lewm_evidence.planning.fast import FastLeWM

ARCHITECTURES = st.builds(
    random_models.config,
    vit=st.booleans(),
    history=st.integers(1, 4),
    depth=st.integers(1, 3),
    heads=st.integers(1, 3),
    head_dim=st.sampled_from([4, 8, 6]),
)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    """Returns seeded normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def worst(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Returns the largest difference relative to the largest expected number."""
    return float((found - expected).abs().max() / expected.abs().max())


@settings(max_examples=25)
@given(ARCHITECTURES, st.sampled_from(["fp32", "bf16"]), st.booleans(), st.data())
def test_every_function_agrees(config: ModelConfig, precision: str, packed: bool, data: st.DataObject) -> None:
    """Any architecture, batch, candidates and horizon, with and without oneDNN's products."""
    pictures, candidates, horizon, envs = (data.draw(st.integers(1, most)) for most in (4, 6, 7, 3))
    model = random_models.model(config, data.draw(st.integers(0, 9)))
    with pytest.MonkeyPatch.context() as patch:
        if not packed:
            patch.setattr(fast, "can_pack", lambda device, dtype: False)
        quick = FastLeWM(model, precision=precision)
    # Tiny random models forgive rounding less than official ones do, and a rollout adds up its steps' errors.
    bound = {"fp32": 1e-5, "bf16": 0.05 * horizon}[precision]
    images = random_models.pictures(config, pictures)
    assert worst(quick.encode(images), model.encode(images)) < bound
    actions = numbers(envs, candidates, horizon, 4)
    start, goal = numbers(2, envs, 16, seed=1)
    found = quick.cost_from_latents(start, goal, actions)
    assert found.shape == (envs, candidates)
    for env in range(envs):
        assert worst(quick.rollout(start[env], actions[env]), model.rollout(start[env], actions[env])) < bound
        assert worst(found[env], model.cost_from_latents(start[env], goal[env], actions[env])) < 2 * bound
        assert torch.equal(found[env], quick.cost_from_latents(start[env], goal[env], actions[env]))


def test_many_candidates_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of any size, also with a remainder, give what one part gives."""
    model = random_models.model(random_models.config())
    actions, (start, goal) = numbers(11, 5, 4), numbers(2, 16, seed=1)
    expected = model.cost_from_latents(start, goal, actions)
    for rows in (1, 4, 11, 99):
        monkeypatch.setattr(fast, "_ROWS", rows)
        torch.testing.assert_close(FastLeWM(model).cost_from_latents(start, goal, actions), expected)


def test_it_says_which_path_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name tells oneDNN's products from torch's own, and the precision."""
    model = random_models.model(random_models.config())
    assert FastLeWM(model).path in {"mkldnn-fp32", "torch-fp32"}
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    linear.can_pack.cache_clear()
    assert FastLeWM(model, precision="bf16").path == "torch-bf16"
    linear.can_pack.cache_clear()


def test_it_takes_what_the_readable_model_takes() -> None:
    """Pictures as arrays, a cost between pictures, the architecture and the device."""
    config = random_models.config(vit=True)
    model = random_models.model(config)
    quick = FastLeWM(model)
    start, goal = random_models.pictures(config, 2).numpy()
    actions = numbers(3, 5, 4)
    torch.testing.assert_close(quick.cost(start, goal, actions), model.cost(start, goal, actions), rtol=1e-4, atol=0)
    assert (quick.config, quick.device) == (config, model.device)


def test_what_cannot_be_used_is_refused() -> None:
    """A precision, a picture, an action of another kind, and a model in train mode."""
    model = random_models.model(random_models.config())
    quick = FastLeWM(model)
    with pytest.raises(InputError, match="precision must be one of fp32, bf16"):
        FastLeWM(model, precision="fp8")
    with pytest.raises(InputError, match="images must be uint8"):
        quick.encode(np.zeros((1, 16, 16, 3), np.float32))
    with pytest.raises(InputError, match="actions must be"):
        quick.rollout(torch.zeros(16), torch.zeros(2, 5, 3))
    with pytest.raises(InputError, match="eval mode"):
        FastLeWM(copy.deepcopy(model).train())


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_official_sizes(precision: str) -> None:
    """300 candidates over 5 blocks: costs, and in bf16 their order too, on the published architecture."""
    model = LeWM.from_state_dict(ModelConfig(), internal_names(reference.published_weights()))
    given = reference.inputs()
    images = np.stack([given["start"], given["goal"]])
    z, actions = model.encode(images), torch.from_numpy(given["candidates"])
    quick = FastLeWM(model, precision=precision)
    assert worst(quick.encode(images), z) < {"fp32": 1e-5, "bf16": 2e-2}[precision]
    expected, found = model.cost_from_latents(z[0], z[1], actions), quick.cost_from_latents(z[0], z[1], actions)
    assert ((found - expected) / expected).abs().max() < {"fp32": 1e-5, "bf16": 1e-2}[precision]
    ranks = torch.stack([costs.argsort().argsort().double() for costs in (found, expected)])
    assert torch.corrcoef(ranks)[0, 1] > 0.999
