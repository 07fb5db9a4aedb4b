"""LeRobot 0.4.4: repairs a diffusion policy (`convert`), or proposes action chunks with one (`propose`).

Hyperparameters: `policy`, a folder with the policy's files, and `device`. `convert` writes `policy/` in LeRobot's new
format, `statistics.safetensors` and `about.json` into the working directory. `propose` also takes `inference_steps`
and answers questions in the working directory: of `pictures` uint8 (n_obs, H, W, 3), `agent` float32 (n_obs, 2) in px,
`seed` and `samples` the answer is `targets` (samples, T, 2) in px, T the longest chunk that the policy can give.

Old policies keep the statistics of their data as buffers among the weights. LeRobot loads such a policy without them
and only warns, so weights are loaded strictly here, and what zero means as an action is looked at before use. Of a new
policy's processor files only the statistics and the names of the steps are read; the steps are made anew, because the
files could name any class to import.
"""

import json
import time
from pathlib import Path
from typing import Any

import torch
from cpu_torchvision import declare_operators
from safetensors.torch import load_file, save_file
from telemetry import Source, Worker, main

OPERATORS = declare_operators()

from lerobot.configs.policies import PreTrainedConfig  # noqa: E402 (torchvision needs its operators first)
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig  # noqa: E402
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy  # noqa: E402
from lerobot.policies.factory import make_pre_post_processors  # noqa: E402
from lerobot.processor.migrate_policy_normalization import (  # noqa: E402
    clean_state_dict,
    extract_normalization_stats,
    remove_normalization_layers,
)

Statistics = dict[str, dict[str, torch.Tensor]]

# Which statistics each way to normalise needs.
_NEEDED = {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max"), "IDENTITY": ()}
_STEPS = {
    "rename_observations_processor",
    "to_batch_processor",
    "device_processor",
    "normalizer_processor",
    "unnormalizer_processor",
}
_POLL = 0.002


class Loaded:
    """A policy that is whole: weights, statistics, and what it says about itself.

    Attributes:
        policy: the network, its chunks as long as it can make them.
        before: from observations to what the network takes.
        after: from what the network gives to px.
        statistics: of the data it was trained on.
        about: JSON values for the record.
    """

    def __init__(self, folder: Path, device: str) -> None:
        config = _config(folder, device)
        weights = load_file(folder / "model.safetensors")
        old = not (folder / "policy_preprocessor.json").exists()
        self.statistics = extract_normalization_stats(weights) if old else _saved_statistics(folder, config)
        _check_statistics(config, self.statistics)
        self.policy = DiffusionPolicy(config)
        kept = clean_state_dict(remove_normalization_layers(weights)) if old else weights
        self.policy.load_state_dict(kept, strict=True)
        self.policy.to(device).eval()
        self.before, self.after = make_pre_post_processors(config, dataset_stats=self.statistics)
        self.about = _about(config, old) | {"action_at_zero": self._action_at_zero()}

    def save(self, folder: Path) -> None:
        """Writes LeRobot's new format."""
        for part in (self.policy, self.before, self.after):
            part.save_pretrained(folder)

    def _action_at_zero(self) -> list[float]:
        """Returns the action that the middle of the network's range stands for, in px."""
        zero = self.after(torch.zeros(1, 2))[0]
        if not zero.isfinite().all() or not zero.any():
            raise ValueError(f"the policy's zero stands for the action {zero.tolist()}: its statistics are not in use")
        return [float(value) for value in zero]


def sources(algo: str) -> dict[str, Source | None]:
    """It trains nothing, so it has no curves."""
    return {}


def run(worker: Worker) -> None:
    """Does what `algo` says."""
    {"convert": convert, "propose": propose}[worker.config["algo"]](worker)


def convert(worker: Worker) -> None:
    """Writes the policy in the new format, its statistics, and what it is."""
    loaded = Loaded(Path(worker.option("policy", "")), "cpu")
    loaded.save(worker.logs / "policy")
    flat = {f"{name}.{kind}": value for name, kinds in loaded.statistics.items() for kind, value in kinds.items()}
    save_file(flat, worker.logs / "statistics.safetensors")
    (worker.logs / "about.json").write_text(json.dumps(loaded.about), encoding="utf-8")
    worker.checkpoint(worker.logs / "policy" / "model.safetensors", 0)


def propose(worker: Worker) -> None:
    """Answers questions until there are no more."""
    loaded = Loaded(Path(worker.option("policy", "")), worker.option("device", "cpu"))
    config = loaded.policy.config
    config.n_action_steps = config.horizon - config.n_obs_steps + 1
    steps = worker.option("inference_steps", None)
    if steps is not None:
        loaded.policy.diffusion.num_inference_steps = steps
    count = 0
    while True:
        question, part = worker.logs / f"question-{count:06d}.safetensors", worker.logs / "answer.part"
        if question.exists():
            save_file({"targets": _propose(loaded, load_file(question))}, part)
            part.rename(worker.logs / f"answer-{count:06d}.safetensors")
            count += 1
        elif (worker.logs / "end").exists():
            return
        else:
            time.sleep(_POLL)


@torch.no_grad()
def _propose(loaded: Loaded, question: dict[str, torch.Tensor]) -> torch.Tensor:
    image = next(iter(loaded.policy.config.image_features))
    observation = {
        image: question["pictures"].movedim(-1, -3).float() / 255,
        "observation.state": question["agent"],
    }
    seen = loaded.before(observation)  # the observations are its batch
    samples = int(question["samples"])
    batch = {
        "observation.images": seen[image][None, :, None].expand(samples, -1, -1, -1, -1, -1),
        "observation.state": seen["observation.state"][None].expand(samples, -1, -1),
    }
    torch.manual_seed(int(question["seed"]))
    chunk = loaded.policy.diffusion.generate_actions(batch)
    return loaded.after(chunk).contiguous()


def _config(folder: Path, device: str) -> DiffusionConfig:
    config = PreTrainedConfig.from_pretrained(folder)
    if not isinstance(config, DiffusionConfig):
        raise TypeError(f"config.json describes a policy of type {config.type}; only diffusion policies are taken")
    shapes = {name: tuple(feature.shape) for name, feature in (config.input_features or {}).items()}
    pictures = [shape for name, shape in shapes.items() if name.startswith("observation.image")]
    actions = {name: tuple(feature.shape) for name, feature in (config.output_features or {}).items()}
    square = len(pictures) == 1 and pictures[0][0] == 3 and pictures[0][1] == pictures[0][2]
    if not square or shapes.get("observation.state") != (2,) or len(shapes) != 2 or actions != {"action": (2,)}:
        raise ValueError(f"a policy for PushT sees one square picture and the agent's place, this one {shapes}")
    config.device = device
    config.pretrained_backbone_weights = None  # the weights are given; nothing is downloaded
    config.compile_model = False
    return config


def _saved_statistics(folder: Path, config: DiffusionConfig) -> Statistics:
    found: Statistics = {}
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        for step in json.loads((folder / name).read_text(encoding="utf-8"))["steps"]:
            if step.get("registry_name") not in _STEPS:
                raise ValueError(f"{name} has a step {step.get('registry_name')}, which is not one of {sorted(_STEPS)}")
            _check_step(name, step["config"], config)
            if "state_file" in step:
                for key, value in load_file(folder / Path(step["state_file"]).name).items():
                    feature, _, kind = key.rpartition(".")
                    if not torch.equal(found.setdefault(feature, {}).setdefault(kind, value), value):
                        raise ValueError(f"the policy's two processors disagree on {key}")
    return found


def _check_step(name: str, step: dict[str, Any], config: DiffusionConfig) -> None:
    modes = {kind: mode.value for kind, mode in config.normalization_mapping.items()}
    if step.get("norm_map", modes) != modes or step.get("rename_map"):
        raise ValueError(f"{name} normalises or renames otherwise than config.json says")


def _check_statistics(config: DiffusionConfig, statistics: Statistics) -> None:
    for name, feature in {**config.input_features, **config.output_features}.items():
        mode = config.normalization_mapping[feature.type.value].value
        if mode not in _NEEDED:
            raise ValueError(f"{name} is normalised by {mode}; known are {', '.join(_NEEDED)}")
        for kind in _NEEDED[mode]:
            value = statistics.get(name, {}).get(kind)
            if value is None or not value.isfinite().all():
                raise ValueError(
                    f"the policy holds no statistics for {name} ({kind}), neither as buffers in model.safetensors nor "
                    "in processor files; without them it would act blindly. Name all of its files"
                )


def _about(config: DiffusionConfig, old: bool) -> dict[str, Any]:
    (image,) = config.image_features.values()
    return {
        "format": "old" if old else "new",
        "picture_size": image.shape[-1],
        "n_obs_steps": config.n_obs_steps,
        "n_action_steps": config.n_action_steps,
        "horizon": config.horizon,
        "diffusion_steps": config.num_inference_steps or config.num_train_timesteps,
    }


if __name__ == "__main__":
    main(run, sources)
