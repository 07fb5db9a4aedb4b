"""Stable-Baselines3: PPO, A2C, DQN, SAC, TD3. Hyperparameters are those of the algorithm's class."""

from typing import Any

from telemetry import Source, Worker, main

ROLLOUT = "mean over the last 100 episodes"
UPDATE = "mean over the last update"


def sources(algo: str) -> dict[str, Source | None]:
    """Returns where each common tag is found for `algo`."""
    policy = {"ppo": "train/policy_gradient_loss", "a2c": "train/policy_loss"}.get(algo, "train/actor_loss")
    value = {"ppo": "train/value_loss", "a2c": "train/value_loss", "dqn": "train/loss"}.get(algo, "train/critic_loss")
    # SB3 logs the loss -entropy.
    entropy = Source(["train/entropy_loss"], UPDATE, -1.0) if algo in ("ppo", "a2c") else None
    return {
        "charts/episodic_return": Source(["rollout/ep_rew_mean"], ROLLOUT),
        "charts/episodic_length": Source(["rollout/ep_len_mean"], ROLLOUT),
        "charts/learning_rate": Source(["train/learning_rate"], "value at the last update"),
        "charts/SPS": Source(["time/fps"], "mean since the start"),
        "losses/policy_loss": None if algo == "dqn" else Source([policy], UPDATE),
        "losses/value_loss": Source([value], UPDATE),
        "losses/entropy": entropy,
    }


def run(worker: Worker) -> None:
    """Trains with SB3's own loop, logging at every rollout or episode."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

    config = worker.config
    torch.set_num_threads(1)
    make = getattr(stable_baselines3, config["algo"].upper())
    options: dict[str, Any] = {"policy": "MlpPolicy", "device": "auto", **config["hyperparameters"]}
    model = make(env=config["env_id"], seed=config["seed"], verbose=0, **options)
    model.set_logger(Logger(str(worker.logs), output_formats=[TensorBoardOutputFormat(str(worker.logs))]))
    # Off-policy algorithms log every fourth episode by default, which leaves a short run with one row.
    model.learn(config["total_timesteps"], log_interval=1)
    saved = worker.logs / "model.zip"
    model.save(saved)
    worker.checkpoint(saved, model.num_timesteps)


main(run, sources)
