"""How long until the command line answers: `python bench/startup.py` writes bench/results/startup.json.

Each command is a program of its own; commands take turns and the median of `--repeats` turns counts. Bounds are on CPU
seconds, user and system, because a busy machine stretches wall time. `python -c pass` is what no Python program
escapes; Snakemake, TensorBoard and the hub's client are what stands beside ours in the same environment.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from seal import machine

BIN = Path(sys.executable).parent
OURS = ("--version", "--help", "", "showcase --help", "runs prune --help")
BOUND = 0.3  # seconds


def commands() -> dict[str, list[str]]:
    """Returns what is measured, by name."""
    ours = {f"lewm-evidence {words}".strip(): [str(BIN / "lewm-evidence"), *words.split()] for words in OURS}
    peers = {f"{name} --version": [str(BIN / name), "--version"] for name in ("snakemake", "tensorboard", "hf")}
    return {"python -c pass": [sys.executable, "-c", "pass"], **ours, **peers}


def call(command: list[str]) -> tuple[float, float]:
    """Returns the CPU and wall seconds of one call."""
    # Byte code is cached as for a user, also where the surroundings say otherwise.
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    job = subprocess.Popen(command, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(job.pid, 0)
    job.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, time.perf_counter() - start


def measure(repeats: int) -> dict[str, dict[str, float]]:
    """Returns the median CPU and wall seconds of each command."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands()}
    for turn in range(-1, repeats):  # the first turn warms up
        for name, command in commands().items():
            row = call(command)
            if turn >= 0:
                found[name].append(row)
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    return {name: {"cpu": round(cpu, 3), "wall": round(wall, 3)} for name, (cpu, wall) in medians.items()}


def main() -> int:
    """Measures, prints and writes; returns 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--output", type=Path, default=Path("bench/results/startup.json"))
    args = parser.parse_args()
    about, seconds = machine(), measure(args.repeats)
    bare = seconds["python -c pass"]["cpu"]
    passed = all(row["cpu"] < BOUND for name, row in seconds.items() if name.startswith("lewm-evidence"))
    result = {
        "machine": about,
        "repeats": args.repeats,
        "seconds": seconds,
        "times_bare_python": {name: round(row["cpu"] / bare, 1) for name, row in seconds.items()},
        "bound": BOUND,
        "passed": passed,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    for name, row in seconds.items():
        print(f"{name:<36} {row['cpu']:.3f} s CPU {row['wall']:.3f} s wall  {row['cpu'] / bare:.1f} x bare Python")
    print(f"wrote {args.output}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
