"""Writes the records of a finished run as a W&B run, in the environment that has wandb.

Called as `wandb_writer.py spec.json`; the spec holds the run's label, settings, hyperparameters, points and references.
Nothing of the machine goes into the run: no host, user, program, git state or console; only sampled system load.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

SAMPLING = 0.5


def main() -> None:
    """Writes the run."""
    spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    import wandb

    settings = wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        host="",
        username="",
        email="",
        x_disable_meta=True,
        x_stats_sampling_interval=SAMPLING,
        quiet=True,
    )
    run = wandb.init(
        mode=spec["mode"],
        id=spec["run_id"],
        name=spec["run_id"],
        project=spec["project"],
        entity=spec["entity"],
        config=spec["config"],
        dir=spec["folder"],
        settings=settings,
    )
    run.define_metric("step", hidden=True)
    run.define_metric("*", step_metric="step")
    for step, values in spec["points"]:
        run.log({"step": step, **values})
    artifact = wandb.Artifact(spec["artifact"]["name"], type="run", metadata=spec["artifact"]["metadata"])
    for uri, name in spec["artifact"]["references"]:
        artifact.add_reference(uri, name=name, checksum=False)
    run.log_artifact(artifact)
    # The load is sampled in the background; a run that ends sooner has none.
    time.sleep(3 * SAMPLING)
    run.finish()


main()
