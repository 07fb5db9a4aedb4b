"""What is measured: this project's models, torch-world and the reference implementation, behind one interface.

Each subject runs in a process of its own (`worker.py`), under the interpreter that has its packages, so it imports
what it needs when it is built. Every time includes turning uint8 pictures into normalised floats.

Letters: N pictures, S candidates, T time in action blocks, A size of an action block, D size of a latent.
"""

import functools
import types
from importlib.metadata import version
from typing import Any, Protocol

import torch
from torch import Tensor

HISTORY, ACTION, LATENT = 3, 10, 192  # official sizes
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Optimiser and SIGReg as published.
RATE, DECAY, CLIP, SIGREG, PROJECTIONS, KNOTS = 5e-5, 1e-3, 1.0, 0.09, 1024, 17


class Subject(Protocol):
    """One implementation with one set of weights on one device."""

    def versions(self) -> dict[str, str]:
        """Returns the versions of what is measured."""

    def path(self) -> str:
        """Says which code path runs, in a word or two."""

    def encode(self, images: Tensor) -> Tensor:
        """Returns latents (N, D) of uint8 pictures (N, H, W, 3)."""

    def cost(self, z: Tensor, candidates: Tensor) -> Tensor:
        """Returns costs (S,) of candidates (S, T, A) from latent `z[0]` to latent `z[1]`."""

    def solve(self, images: Tensor, seed: int, samples: int, iterations: int, horizon: int) -> Tensor:
        """Returns the plan (T, A) of CEM from the first picture to the second, encodes included."""

    def solve_many(self, images: Tensor, seeds: list[int], samples: int, iterations: int, horizon: int) -> Tensor:
        """Returns plans (N, T, A) for pictures (N, 2, H, W, 3), in the fastest way the subject has."""

    def train_step(self, frames: Tensor, actions: Tensor) -> None:
        """Takes one optimiser step on frames (B, 4, H, W, 3) and actions (B, 3, A)."""


class _Base:
    """What the subjects share: one environment after another, and a training step around a loss."""

    autocast = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def path(self) -> str:
        return "eager"

    def solve_many(self, images: Tensor, seeds: list[int], samples: int, iterations: int, horizon: int) -> Tensor:
        plans = [self.solve(pair, seed, samples, iterations, horizon) for pair, seed in zip(images, seeds, strict=True)]
        return torch.stack(plans)

    def train_step(self, frames: Tensor, actions: Tensor) -> None:
        model, optimizer = self.training
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            loss = self.loss(frames, actions)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

    @functools.cached_property
    def training(self) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        model = self.trainable().to(self.device).train()
        return model, torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)

    def pixels(self, images: Tensor) -> Tensor:
        """Returns normalised floats (..., 3, H, W) of uint8 pictures (..., H, W, 3)."""
        mean, std = (torch.tensor(part, device=self.device).view(3, 1, 1) for part in (MEAN, STD))
        return (images.to(self.device).movedim(-1, -3).float() / 255 - mean) / std


class Readable(_Base):
    """This project's reference model with its CEM."""

    def __init__(self, weights: dict[str, Tensor], device: torch.device) -> None:
        super().__init__(device)
        from lewm_evidence.checkpoint.names import internal_names
        from lewm_evidence.model import LeWM, ModelConfig

        self.model: Any = LeWM.from_state_dict(ModelConfig(), internal_names(weights)).to(device)
        self.planned: Any = self.model

    def versions(self) -> dict[str, str]:
        from lewm_evidence import __version__

        return {"lewm-evidence": __version__}

    def encode(self, images: Tensor) -> Tensor:
        return self.planned.encode(images)

    def cost(self, z: Tensor, candidates: Tensor) -> Tensor:
        return self.planned.cost_from_latents(z[0], z[1], candidates.to(self.device))

    def cem(self, samples: int, iterations: int, horizon: int) -> Any:
        from lewm_evidence.planning import CEM

        return CEM(self.planned, samples, iterations, elites(samples), horizon)

    def solve(self, images: Tensor, seed: int, samples: int, iterations: int, horizon: int) -> Tensor:
        cem = self.cem(samples, iterations, horizon)
        return cem.solve(images[0], images[1], torch.Generator().manual_seed(seed)).actions

    def trainable(self) -> torch.nn.Module:
        from lewm_evidence.model import LeWM, ModelConfig

        return LeWM(ModelConfig())

    def loss(self, frames: Tensor, actions: Tensor) -> Tensor:
        from lewm_evidence.model.sigreg import sigreg

        model = self.training[0]
        z = model.embed(frames)
        prediction = (model.predict(z[:, :-1], actions.to(self.device)) - z[:, 1:]).square().mean()
        generator = torch.Generator(self.device).manual_seed(0)
        return prediction + SIGREG * sigreg(z.transpose(0, 1).float(), PROJECTIONS, KNOTS, generator)


class FastFp32(Readable):
    """This project's fast predictor in fp32: other arithmetic, the same plans."""

    precision = "fp32"

    def __init__(self, weights: dict[str, Tensor], device: torch.device) -> None:
        super().__init__(weights, device)
        from lewm_evidence.planning.fast import FastLeWM

        self.planned = FastLeWM(self.model, precision=self.precision)

    def path(self) -> str:
        return self.planned.path

    def solve_many(self, images: Tensor, seeds: list[int], samples: int, iterations: int, horizon: int) -> Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        plans = self.cem(samples, iterations, horizon).solve_batch(images[:, 0], images[:, 1], generators)
        return torch.stack([plan.actions for plan in plans])


class FastBf16(FastFp32):
    """The same in bf16, close but not equal; it trains under autocast."""

    precision = "bf16"
    autocast = True


class TorchWorld(_Base):
    """torch-world's LeWM and CEM: another network of the same sizes, with weights of its own."""

    def __init__(self, weights: dict[str, Tensor], device: torch.device) -> None:
        super().__init__(device)
        self.model = self.trainable().to(device).eval().requires_grad_(False)

    def versions(self) -> dict[str, str]:
        return {"torch-world": version("torch-world")}

    def trainable(self) -> torch.nn.Module:
        from torch_world.models.jepa import LeWM
        from torch_world.nn.encoders import CLSEncoder

        torch.manual_seed(0)
        model = LeWM(CLSEncoder(224, 14, LATENT, depth=12, num_heads=3), action_dim=ACTION)
        for parameter in model.parameters():  # gates start at zero; a planner must see actions
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
        return model

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        return self.model.encode(self.pixels(images)[:, None])[:, 0]

    @torch.no_grad()
    def cost(self, z: Tensor, candidates: Tensor) -> Tensor:
        start, goal = (part.expand(len(candidates), -1) for part in z)
        return self.model.cost(self.model.rollout(start[:, None], candidates.to(self.device)), goal)

    def solve(self, images: Tensor, seed: int, samples: int, iterations: int, horizon: int) -> Tensor:
        return self.solve_many(images[None], [seed], samples, iterations, horizon)[0]

    def solve_many(self, images: Tensor, seeds: list[int], samples: int, iterations: int, horizon: int) -> Tensor:
        from torch_world.planning.cem import CEM

        cem = CEM(horizon, ACTION, samples, elites(samples), iterations)
        z = self.encode(images.flatten(0, 1)).reshape(len(images), 2, -1)
        generator = torch.Generator(self.device).manual_seed(seeds[0])
        return cem(self.model, z[:, :1], z[:, 1], generator=generator)

    def loss(self, frames: Tensor, actions: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(actions, (0, 0, 0, 1)).to(self.device)
        return self.training[0](self.pixels(frames), padded)["loss"]


class Upstream(_Base):
    """The reference implementation, stable-worldmodel 0.1.1, with its own CEM solver."""

    def __init__(self, weights: dict[str, Tensor], device: torch.device) -> None:
        super().__init__(device)
        _torchvision_without_extension()
        self.model = self.trainable()
        self.model.load_state_dict(weights, strict=True)
        self.model.to(device).eval().requires_grad_(False)

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in ("stable-worldmodel", "transformers")}

    def trainable(self) -> torch.nn.Module:
        from stable_worldmodel.wm.lewm import LeWM
        from stable_worldmodel.wm.lewm.module import MLP, Embedder, Predictor

        def projector() -> torch.nn.Module:
            return MLP(LATENT, 2048, LATENT, norm_fn=torch.nn.BatchNorm1d)

        torch.manual_seed(0)
        sizes = {"depth": 6, "heads": 16, "mlp_dim": 2048, "dim_head": 64, "dropout": 0.1, "emb_dropout": 0.0}
        predictor = Predictor(num_frames=HISTORY, input_dim=LATENT, hidden_dim=LATENT, output_dim=LATENT, **sizes)
        return LeWM(_vit_tiny(), predictor, Embedder(ACTION, ACTION, LATENT), projector(), projector())

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        return self.model.encode({"pixels": self.pixels(images)[:, None]})["emb"][:, 0]

    @torch.no_grad()
    def cost(self, z: Tensor, candidates: Tensor) -> Tensor:
        count = len(candidates)
        blank = torch.zeros(1, device=self.device).expand(1, count, 1, 3, 224, 224)  # encoded already: never read
        known = {"pixels": blank, "goal": blank, "emb": z[0].expand(1, count, 1, -1), "goal_emb": z[1].expand(1, 1, -1)}
        return self.model.get_cost(known, candidates[None].to(self.device))[0]

    def solve(self, images: Tensor, seed: int, samples: int, iterations: int, horizon: int) -> Tensor:
        import gymnasium
        from stable_worldmodel.solver import CEMSolver

        solver = CEMSolver(
            self.model, num_samples=samples, n_steps=iterations, topk=elites(samples), device=self.device, seed=seed
        )
        space = gymnasium.spaces.Box(-1, 1, (1, 2))
        solver.configure(action_space=space, n_envs=1, config=types.SimpleNamespace(horizon=horizon, action_block=5))
        start, goal = self.pixels(images)[:, None, None]
        return solver.solve({"pixels": start, "goal": goal, "action": torch.zeros(1, 1, ACTION)})["actions"][0]

    def loss(self, frames: Tensor, actions: Tensor) -> Tensor:
        # As le-wm's training script: next-embedding error plus SIGReg over the batch at each time.
        found = self.training[0].encode({"pixels": self.pixels(frames), "action": actions.to(self.device)})
        z = found["emb"]
        prediction = (self.training[0].predict(z[:, :-1], found["act_emb"]) - z[:, 1:]).square().mean()
        return prediction + SIGREG * self._sigreg(z.transpose(0, 1))

    @functools.cached_property
    def _sigreg(self) -> torch.nn.Module:
        from stable_worldmodel.wm.loss import SIGReg

        return SIGReg(KNOTS, PROJECTIONS).to(self.device)


def elites(samples: int) -> int:
    """Returns a tenth of the candidates, as published (30 of 300)."""
    return max(2, samples // 10)


def _vit_tiny() -> torch.nn.Module:
    """Returns what stable-pretraining's factory gives for the published configuration."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=LATENT,
        num_hidden_layers=12,
        num_attention_heads=3,
        intermediate_size=4 * LATENT,
        image_size=224,
        patch_size=14,
    )
    return ViTModel(config, add_pooling_layer=False, use_mask_token=False)


@functools.cache
def _torchvision_without_extension() -> torch.library.Library | None:
    """Lets `import torchvision` succeed beside a CPU build of torch.

    The public wheel's compiled part is linked to CUDA; the reference uses only the Python part, but the import needs
    two operators to be declared.
    """
    if torch.version.cuda is not None:
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library  # kept by the cache: the operators end with it
