"""CleanRL: its single-file `ppo`, run as it stands. Hyperparameters are its flags, with underscores."""

import runpy
import sys

from telemetry import Source, Worker, main

UPDATE = "last minibatch of the update"


def sources(algo: str) -> dict[str, Source | None]:
    """Returns where each common tag is found; the common tags are CleanRL's own."""
    return {
        "charts/episodic_return": Source(["charts/episodic_return"], "one finished episode"),
        "charts/episodic_length": Source(["charts/episodic_length"], "one finished episode"),
        "charts/learning_rate": Source(["charts/learning_rate"], "value of the update"),
        "charts/SPS": Source(["charts/SPS"], "mean since the start"),
        "losses/policy_loss": Source(["losses/policy_loss", "losses/actor_loss"], UPDATE),
        "losses/value_loss": Source(["losses/value_loss", "losses/qf_loss", "losses/td_loss"], UPDATE),
        "losses/entropy": Source(["losses/entropy"], UPDATE),
    }


def run(worker: Worker) -> None:
    """Calls the script in this process, in the worker's own folder, as it has no option for where it writes."""
    import torch

    config = worker.config
    asked = {
        "env-id": config["env_id"],
        "seed": config["seed"],
        "total-timesteps": config["total_timesteps"],
        "cuda": str(torch.cuda.is_available()).lower(),
        **{name.replace("_", "-"): value for name, value in config["hyperparameters"].items()},
    }
    torch.set_num_threads(1)
    sys.argv = ["cleanrl", *(word for name, value in asked.items() for word in (f"--{name}", str(value)))]
    left = runpy.run_module(f"cleanrl.{config['algo']}", run_name="__main__")
    saved = worker.logs / "agent.pt"
    torch.save(left["agent"].state_dict(), saved)
    worker.checkpoint(saved, left["global_step"])


main(run, sources)
