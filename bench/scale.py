"""How Snakemake and the plan scale with a sweep: `python bench/scale.py` writes bench/results/scale.json.

A member is one showcase, one evaluation, one render and one seal of a checkpoint that all share. For each number of
members: the plan alone (keys of every run), a dry run with nothing made, and a call with everything made, which has
nothing to do. What is made is written as empty manifests, the only files that Snakemake asks for; no stage runs.
CPU seconds are user and system time of the process and what it started; bounds are on them, because a busy machine
stretches wall time.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from lewm_evidence.config import Config, parse_config
from lewm_evidence.plan import plan
from lewm_evidence.sweep import plan_sweep
from seal import machine

ROOT = Path(__file__).parents[1]
SEEDS = 10


def sweep(members: int) -> dict[str, Any]:
    """Returns a configuration of `members` members, ten seeds a task."""
    tasks = {f"reach{number}": {"goal_offset": 5 + number} for number in range(members // SEEDS)}
    return {"sweep": {"checkpoints": {"pusht": {"source": "embedded"}}, "tasks": tasks, "seeds": list(range(SEEDS))}}


def call(folder: Path, *words: str) -> dict[str, float]:
    """Runs `snakemake WORDS` in `folder` and returns CPU and wall seconds and peak memory in MB."""
    # Byte code is cached as for a user, also where the surroundings say otherwise.
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "1",
        "--quiet",
        "all",
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    command += ["--configfile", str(folder / "config.yaml"), "--directory", str(folder), *words]
    start = time.perf_counter()
    job = subprocess.Popen(command, env=surroundings, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert job.stderr is not None
    told = job.stderr.read()
    _, status, used = os.wait4(job.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{told}")
    cpu = used.ru_utime + used.ru_stime
    return {"cpu_s": round(cpu, 3), "wall_s": round(wall, 3), "memory_mb": round(used.ru_maxrss / 1024, 1)}


def finish(folder: Path, manifests: list[str], bundles: list[str]) -> None:
    """Writes empty files in place of everything that a finished sweep has made, inputs before users."""
    for name in [*manifests, *bundles]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        # A rule that is asked for by name also wants its benchmark.
        if name in manifests:
            (path.parent / "logs").mkdir(exist_ok=True)
            (path.parent / "logs" / "benchmark.tsv").touch()


def measure(members: int, folder: Path) -> dict[str, Any]:
    """Returns the figures for one number of members."""
    data = sweep(members)
    (folder / "config.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    before = resource.getrusage(resource.RUSAGE_SELF)
    planned = plan_sweep(parse_config(data))
    after = resource.getrusage(resource.RUSAGE_SELF)
    keys = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    row = {"members": members, "runs": len(planned.runs) + 1, "keys_cpu_s": round(keys, 3)}
    row["dry_run"] = call(folder, "--dry-run", "--", "sweep")
    bundles = [f"evidence/{made['seal'].key}/bundle.json" for made in planned.members.values()]
    finish(folder, [*(run.manifest for run in planned.runs.values()), planned.aggregate.manifest], bundles)
    row["nothing_to_do"] = call(folder, "--", "sweep")
    return row


def default_evidence(folder: Path) -> dict[str, Any]:
    """Returns the figures of `snakemake evidence` with everything made, the best of three."""
    (folder / "config.yaml").write_text("{}\n")
    made = plan(Config())
    finish(folder, [run.manifest for run in made.values()], [f"evidence/{made['seal'].key}/bundle.json"])
    call(folder, "--dry-run", "--", "evidence")  # byte code
    return min((call(folder, "--dry-run", "--", "evidence") for _ in range(3)), key=lambda row: row["cpu_s"])


def main() -> int:
    """Measures, prints and writes; returns 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--members", type=int, nargs="+", default=[10, 100, 1000, 10_000], help="tens")
    parser.add_argument("--output", type=Path, default=Path("bench/results/scale.json"))
    args = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="lewm-scale-") as name:
        (Path(name) / "default").mkdir()
        default = default_evidence(Path(name) / "default")
        print(f"evidence, nothing to do: {default['cpu_s']} s of CPU, {default['wall_s']} s")
        rows = []
        for members in args.members:
            folder = Path(name) / str(members)
            folder.mkdir()
            rows.append(measure(members, folder))
            print(json.dumps(rows[-1]))
    first, last = rows[0], rows[-1]
    more = (last["members"] - first["members"]) / 1000 or 1
    slope = {
        what: round((last[what]["cpu_s"] - first[what]["cpu_s"]) / more, 3) for what in ("dry_run", "nothing_to_do")
    }
    bounds = {
        "evidence with nothing to do, CPU s (at most 1.5)": default["cpu_s"],
        **{
            f"keys of {row['members']} members, CPU s (at most 5)": row["keys_cpu_s"]
            for row in rows
            if row["members"] == 1000
        },
        **{
            f"dry run of {row['members']} members, CPU s (at most 5)": row["dry_run"]["cpu_s"]
            for row in rows
            if row["members"] == 1000
        },
    }
    passed = all(value <= (1.5 if "evidence" in name else 5) for name, value in bounds.items())
    result = {
        "machine": about,
        "default_evidence": default,
        "sweeps": rows,
        "cpu_s_per_1000_members": slope,
        "bounds": bounds,
        "passed": passed,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    print(f"wrote {args.output}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
