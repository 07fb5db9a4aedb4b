"""A cost whose best plan is known, in place of a model."""

from types import SimpleNamespace

import torch
from torch import Tensor

T, A = 3, 4
GOAL = torch.tensor([0.5, -1.0, 1.5, 0.0])
START = torch.zeros(A)


class Quadratic:
    """The cheapest plan has the goal's numbers in every block; latents are plans' numbers."""

    config = SimpleNamespace(action_block_dim=A)
    device = torch.device("cpu")

    def encode(self, images: Tensor) -> Tensor:
        """Returns the first A bytes of each picture."""
        return images.flatten(1)[:, :A].float()

    def cost_from_latents(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> Tensor:
        """Returns the squared distance of every block to goal − start."""
        return (actions - (z_goal - z_start)).square().sum((1, 2))

    def cost_gradient(self, z_start: Tensor, z_goal: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Returns costs and their gradients."""
        return self.cost_from_latents(z_start, z_goal, actions), 2 * (actions - (z_goal - z_start))


def generator(seed: int = 7) -> torch.Generator:
    """Returns a seeded source of randomness."""
    return torch.Generator().manual_seed(seed)
