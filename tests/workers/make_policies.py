"""Writes a small untrained LeRobot policy below a folder, as `new`, `old` and `broken`.

Called in LeRobot's environment with the folder and that of the adapters. `old` keeps its statistics as buffers among
the weights, as LeRobot did before it had processors; `broken` is an old one without them.
"""

import shutil
import sys
from pathlib import Path

import torch

folder, adapters = Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, adapters)

from cpu_torchvision import declare_operators  # noqa: E402

operators = declare_operators()

from lerobot.configs.types import FeatureType, PolicyFeature  # noqa: E402
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig  # noqa: E402
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy  # noqa: E402
from lerobot.policies.factory import make_pre_post_processors  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

STATISTICS = {
    "observation.image": {"mean": torch.tensor([0.9, 0.8, 0.7]).view(3, 1, 1), "std": torch.full((3, 1, 1), 0.2)},
    "observation.state": {"min": torch.tensor([13.0, 33.0]), "max": torch.tensor([497.0, 512.0])},
    "action": {"min": torch.tensor([12.0, 25.0]), "max": torch.tensor([511.0, 505.0])},
}

torch.manual_seed(0)
config = DiffusionConfig(
    device="cpu",
    n_obs_steps=2,
    horizon=12,
    n_action_steps=6,
    input_features={
        "observation.image": PolicyFeature(FeatureType.VISUAL, (3, 96, 96)),
        "observation.state": PolicyFeature(FeatureType.STATE, (2,)),
    },
    output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
    crop_shape=(84, 84),
    spatial_softmax_num_keypoints=4,
    down_dims=(16, 32),
    n_groups=4,
    diffusion_step_embed_dim=16,
    num_train_timesteps=4,
)
new = folder / "new"
for part in (DiffusionPolicy(config), *make_pre_post_processors(config, dataset_stats=STATISTICS)):
    part.save_pretrained(new)
weights = load_file(new / "model.safetensors")
buffers = {}
for name, kinds in STATISTICS.items():
    layers = ("normalize_targets", "unnormalize_outputs") if name == "action" else ("normalize_inputs",)
    for layer in layers:
        for kind, value in kinds.items():
            buffers[f"{layer}.buffer_{name.replace('.', '_')}.{kind}"] = value.clone()
for kind, held in (("old", {**weights, **buffers}), ("broken", weights)):
    (folder / kind).mkdir()
    shutil.copy(new / "config.json", folder / kind)
    save_file(held, folder / kind / "model.safetensors")
