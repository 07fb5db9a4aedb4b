"""How fast are scalars written? TensorBoard against torch's SummaryWriter, Rerun's columns against call by call.

`python bench/viewers.py [--scalars N] [--output FILE]` writes a table to the console and JSON below
`bench/results/`. Every way writes the same values and closes its file; ways take turns, and the median of
`--repeats` turns counts. Call by call, Rerun gets a tenth of the scalars: it takes time in proportion.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr
import torch
from torch.utils.tensorboard import SummaryWriter

from lewm_evidence.render.tensorboard import EventWriter

TAG = "train/loss"
SHARE = 10


def write_ours(folder: Path, values: list[float]) -> None:
    """Writes with the renderer's event writer."""
    with EventWriter(folder, buffered=True) as writer:
        for step, value in enumerate(values):
            writer.scalar(TAG, value, step)


def write_torch(folder: Path, values: list[float]) -> None:
    """Writes with torch's SummaryWriter, the yardstick."""
    writer = SummaryWriter(str(folder))
    for step, value in enumerate(values):
        writer.add_scalar(TAG, value, step)
    writer.close()


def write_columns(folder: Path, values: list[float]) -> None:
    """Writes a Rerun recording with one call of `send_columns`."""
    stream = _recording(folder)
    steps = np.arange(len(values))
    stream.send_columns(TAG, [rr.TimeColumn("step", sequence=steps)], rr.Scalars.columns(scalars=values))
    stream.flush()
    stream.disconnect()


def write_calls(folder: Path, values: list[float]) -> None:
    """Writes a Rerun recording with a `log` per value, the yardstick; every tenth value only."""
    stream = _recording(folder)
    for step, value in enumerate(values[: len(values) // SHARE]):
        stream.set_time("step", sequence=step)
        stream.log(TAG, rr.Scalars(value))
    stream.flush()
    stream.disconnect()


def _recording(folder: Path) -> Any:
    folder.mkdir()
    stream = rr.RecordingStream("bench", recording_id="bench")
    stream.save(str(folder / "bench.rrd"))
    return stream


WAYS: dict[str, tuple[Callable[[Path, list[float]], None], int]] = {
    "TensorBoard, ours": (write_ours, 1),
    "TensorBoard, torch SummaryWriter": (write_torch, 1),
    "Rerun, send_columns": (write_columns, 1),
    "Rerun, log per value": (write_calls, SHARE),
}
BOUNDS = {
    "TensorBoard, times torch's SummaryWriter (at least 8)": (
        "TensorBoard, ours",
        "TensorBoard, torch SummaryWriter",
        8,
    ),
    "Rerun, times log per value (at least 50)": ("Rerun, send_columns", "Rerun, log per value", 50),
}


def measure(scalars: int, repeats: int, folder: Path) -> dict[str, dict[str, float]]:
    """Returns scalars per second by way: median, smallest and largest."""
    values = [float(value) for value in np.random.default_rng(7).normal(size=scalars)]
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(-1, repeats):  # the first turn warms up
        for number, (name, (write, share)) in enumerate(WAYS.items()):
            start = time.perf_counter()
            write(folder / f"{number}-{turn}", values)
            if turn >= 0:
                rates[name].append(scalars / share / (time.perf_counter() - start))
    return {
        name: {"median": round(statistics.median(found)), "min": round(min(found)), "max": round(max(found))}
        for name, found in rates.items()
    }


def machine() -> dict[str, Any]:
    """Returns what the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version(name) for name in ("tensorboard", "torch", "rerun-sdk", "numpy")},
    }


def main() -> int:
    """Measures, prints and writes; returns 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--scalars", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("bench/results/viewers.json"))
    args = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="lewm-bench-") as folder:
        rates = measure(args.scalars, args.repeats, Path(folder))
    ratios = {name: rates[fast]["median"] / rates[slow]["median"] for name, (fast, slow, _) in BOUNDS.items()}
    passed = all(ratios[name] >= bound for name, (_, _, bound) in BOUNDS.items())
    args.output.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "machine": about,
        "scalars": args.scalars,
        "repeats": args.repeats,
        "scalars_per_second": rates,
        "ratios": {name: round(ratio, 1) for name, ratio in ratios.items()},
        "passed": passed,
    }
    args.output.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    for name, row in rates.items():
        print(f"{name:<34} {row['median']:>10,.0f} scalars/s")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.1f}")
    print(f"wrote {args.output}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
