"""Make a LeRobot policy whole: in the new format, with the normalisation it was trained with.

REQUIRED INPUTS: `policy`, from `fetch_policy`; the environment `envs/lerobot-<digest>/`.
OUTPUTS: the policy in LeRobot's new format, which stays on this machine (`logs/native/policy/`); event `policy/file`
for each of its files; event `policy/about` with the format it came in, its sizes, and `action_at_zero_x`, `_y`: the
action in px that the middle of its range stands for; arrays `policy/statistics` by feature and kind.

Fails when the policy brings no statistics or its weights do not fit it; LeRobot itself would only warn.
"""

import json
from pathlib import Path

from safetensors.numpy import load_file

import lewm_evidence.workers
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.stages.policy_files import checked, record_files
from lewm_evidence.workers.contract import NATIVE, run_worker, ulid
from lewm_evidence.workers.environment import ENVIRONMENTS

ADAPTER = Path(lewm_evidence.workers.__path__[0]) / "adapters" / "lerobot_worker.py"
CONVERTED = Path("logs") / NATIVE / "policy"
_FETCHED = Path("logs") / "policy"


def run(out: Run) -> None:
    """Converts and records what was found."""
    source, logs = out.input("policy"), out.path / "logs"
    files = checked(source, source.path / _FETCHED)
    command: list[str | Path] = [(ENVIRONMENTS / out.config["environment"] / "bin/python").absolute(), ADAPTER]
    asked = {"algo": "convert", "hyperparameters": {"policy": str(files.absolute())}}
    run_worker(command, ulid(out.key), asked, logs, out.threads, out.config["time_limit"])
    about = json.loads((logs / NATIVE / "about.json").read_text(encoding="utf-8"))
    x, y = about.pop("action_at_zero")
    out.event("policy/about", **about, action_at_zero_x=x, action_at_zero_y=y)
    out.arrays("policy/statistics", load_file(logs / NATIVE / "statistics.safetensors"))
    record_files(out, out.path / CONVERTED)
    say(f"policy: {about['format']} format, chunks of {about['horizon']} steps; its zero is the point {x:.0f}, {y:.0f}")


if __name__ == "__main__":
    main(run)
