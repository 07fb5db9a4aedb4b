"""Ray RLlib: PPO by its own algorithm class. Hyperparameters go to `training(...)`.

RLlib's new interface writes no TensorBoard by itself, and Ray Tune's has iterations for steps. So each result that
`train()` returns is written here as it is, flattened, at the environment steps it was taken at.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

from telemetry import Source, Worker, main

ITERATION = "mean over the iteration"
LEARNER = "learners/default_policy"


def sources(algo: str) -> dict[str, Source | None]:
    """Returns where each common tag is found."""
    throughput = "env_runners/num_env_steps_sampled_lifetime_throughput/throughput_since_last_reduce"
    return {
        "charts/episodic_return": Source(["env_runners/episode_return_mean"], "mean over the last 100 episodes"),
        "charts/episodic_length": Source(["env_runners/episode_len_mean"], "mean over the last 100 episodes"),
        "charts/learning_rate": Source([f"{LEARNER}/default_optimizer_learning_rate"], "value of the iteration"),
        "charts/SPS": Source([throughput], ITERATION),
        "losses/policy_loss": Source([f"{LEARNER}/policy_loss"], ITERATION),
        "losses/value_loss": Source([f"{LEARNER}/vf_loss"], f"{ITERATION}, clipped"),
        "losses/entropy": Source([f"{LEARNER}/entropy"], ITERATION),
    }


def run(worker: Worker) -> None:
    """Trains until the asked number of environment steps is reached."""
    import ray
    from ray.rllib.algorithms.ppo import PPOConfig
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    config = worker.config
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100_000_000,
        _temp_dir=tempfile.gettempdir(),
    )
    algorithm = (
        PPOConfig()
        .environment(config["env_id"])
        .env_runners(num_env_runners=1)
        .training(**config["hyperparameters"])
        .debugging(seed=config["seed"])
        .build_algo()
    )
    writer = EventFileWriter(str(worker.logs))
    step = 0
    while step < config["total_timesteps"]:
        result = algorithm.train()
        step = int(result["num_env_steps_sampled_lifetime"])
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _flat(result)]
        writer.add_event(Event(step=step, summary=Summary(value=values)))
    writer.close()
    saved = worker.logs / "checkpoint"
    algorithm.save_to_path(str(saved))
    for path in sorted(saved.rglob("*.pkl")):
        worker.checkpoint(path, step)
    algorithm.stop()
    ray.shutdown()


def _flat(result: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in sorted(result.items()):
        tag = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{tag}/")
        elif isinstance(value, Real) and not isinstance(value, bool):
            yield tag, float(value)


os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
main(run, sources)
