"""Parity with figures recorded from the reference implementation, on the official architecture."""

import numpy as np
import pytest
import torch

import reference
from lewm_evidence.checkpoint.names import internal_names
from lewm_evidence.model import LeWM, ModelConfig
from lewm_evidence.planning import CEM

GOLDEN = reference.golden()


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """The seeded weights under their published names."""
    return reference.published_weights()


@pytest.fixture(scope="module")
def model(weights: dict[str, torch.Tensor]) -> LeWM:
    """The official architecture with the seeded weights."""
    return LeWM.from_state_dict(ModelConfig(), internal_names(weights))


@pytest.fixture(scope="module")
def given() -> dict[str, np.ndarray]:
    """The seeded pictures, candidates, latents and actions."""
    return reference.inputs()


def worst(found: torch.Tensor, expected: np.ndarray) -> float:
    """Returns the largest difference relative to the largest expected number."""
    return float(np.abs(found.numpy() - expected).max() / np.abs(expected).max())


def test_the_state_dict_is_the_published_one(weights: dict[str, torch.Tensor]) -> None:
    """303 tensors and 18,042,672 values, with the names, shapes and bytes that were recorded."""
    assert len(weights) == 303
    assert sum(tensor.numel() for tensor in weights.values()) == 18_042_672
    assert reference.digest(weights) == str(GOLDEN["state_dict_sha256"])


def test_embeddings(model: LeWM, given: dict[str, np.ndarray]) -> None:
    """Both pictures give the recorded embeddings."""
    z = model.encode(np.stack([given["start"], given["goal"]]))
    assert worst(z, GOLDEN["emb"]) < 1e-5


def test_predictions(model: LeWM, given: dict[str, np.ndarray]) -> None:
    """The predictor gives the recorded latents at all three positions."""
    z = model.predict(torch.from_numpy(given["z"]), torch.from_numpy(given["a"]))
    assert worst(z, GOLDEN["pred"]) < 1e-5


def test_costs(model: LeWM, given: dict[str, np.ndarray]) -> None:
    """Every one of 300 candidates costs what was recorded, each relative to itself."""
    cost = model.cost(given["start"], given["goal"], torch.from_numpy(given["candidates"])).numpy()
    assert np.max(np.abs(cost - GOLDEN["cost"]) / GOLDEN["cost"]) < 1e-5


@pytest.mark.slow
def test_the_whole_plan(model: LeWM, given: dict[str, np.ndarray]) -> None:
    """30 iterations over 300 candidates end at the recorded actions."""
    plan = CEM(model).solve(given["start"], given["goal"], torch.Generator().manual_seed(42))
    assert np.abs(plan.actions.numpy() - GOLDEN["cem_actions"][0]).max() < 1e-4
