"""XuanCe: PPO by its runner. Hyperparameters are those of its YAML files."""

import argparse

from telemetry import Source, Worker, main

UPDATE = "last minibatch of the update"
EPISODE = "one finished episode of one of the parallel environments"


def sources(algo: str) -> dict[str, Source | None]:
    """Returns where each common tag is found."""
    return {
        "charts/episodic_return": Source(["Train-Episode-Rewards/rank_0"], EPISODE),
        "charts/episodic_length": Source(["Episode-Steps/rank_0"], EPISODE),
        "charts/learning_rate": Source(["learning_rate"], "value of the update"),
        "charts/SPS": Source(["(event wall time)"], "mean since the first event; XuanCe logs none"),
        "losses/policy_loss": Source(["actor_loss"], UPDATE),
        "losses/value_loss": Source(["critic_loss"], UPDATE),
        "losses/entropy": Source(["entropy"], UPDATE),
    }


def run(worker: Worker) -> None:
    """Trains with the library's runner; every path it knows lies in the worker's folder."""
    import torch
    import xuance

    config = worker.config
    torch.set_num_threads(1)
    options = {
        "device": "cuda:0" if torch.cuda.is_available() else "cpu",
        "running_steps": config["total_timesteps"],
        "logger": "tensorboard",
        "log_dir": str(worker.logs / "logs"),
        "model_dir": str(worker.logs / "models"),
        "render": False,
        "seed": config["seed"],
        "env_seed": config["seed"],
        "dl_toolbox": "torch",
        **config["hyperparameters"],
    }
    family = config["hyperparameters"].get("env", "classic_control")
    runner = xuance.get_runner(
        algo=config["algo"], env=family, env_id=config["env_id"], parser_args=argparse.Namespace(**options)
    )
    runner.run(mode="train")
    for saved in sorted((worker.logs / "models").rglob("*.pth")):
        worker.checkpoint(saved, config["total_timesteps"])


main(run, sources)
