"""The gradient of a cost by its actions."""

import torch

import random_models


def test_gradients_are_those_of_the_cost() -> None:
    """Against finite differences in fp64; the costs are the usual ones, and nothing else gets a gradient."""
    model = random_models.model(random_models.config()).double()
    generator = torch.Generator().manual_seed(0)
    start, goal = torch.randn(2, 16, generator=generator, dtype=torch.float64)
    actions = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        costs, gradient = model.cost_gradient(start, goal, actions)
    torch.testing.assert_close(costs, model.cost_from_latents(start, goal, actions))
    step = 1e-6 * torch.eye(16, dtype=torch.float64).view(16, 4, 4)
    for candidate in range(2):
        up, down = (model.cost_from_latents(start, goal, actions[candidate] + sign * step) for sign in (1, -1))
        torch.testing.assert_close(gradient[candidate].flatten(), (up - down) / 2e-6, rtol=1e-5, atol=1e-5)
    assert not actions.requires_grad and all(parameter.grad is None for parameter in model.parameters())
