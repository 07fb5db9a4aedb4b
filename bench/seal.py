"""How fast is sealing? Hashing against hashlib on one core, archiving and sealing against `cp`, on about 1 GB.

`python bench/seal.py [--size MB] [--output FILE]` writes a table to the console and JSON below `bench/results/`.
The data are like a bundle's: random float32 (which hardly compress), PNG-like noise, and JSON lines.
Every number is the best of `--repeats`, from the page cache; `cp` is coreutils' where there is one.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lewm_evidence.seal.archive import archive_content, write_archive
from lewm_evidence.seal.progress import each
from lewm_evidence.seal.tree import stored

MB = 1_000_000


def make_tree(root: Path, megabytes: int) -> list[Path]:
    """Writes about `megabytes` MB: 60 % tensors in large files, 25 % pictures in small ones, 15 % records."""
    source = random.Random(7)
    files = []

    def put(name: str, data: bytes) -> None:
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        files.append(path)

    for number in range(max(1, megabytes * 60 // 100 // 60)):
        put(f"tensors/{number:03}.safetensors", source.randbytes(60 * MB))
    for number in range(megabytes * 25 // 100 * 4):
        put(f"frames/{number:05}.png", source.randbytes(MB // 4))
    line = "".join(json.dumps({"step": n, "tag": "train/loss", "value": source.random()}) + "\n" for n in range(20_000))
    for number in range(max(1, megabytes * 15 * MB // 100 // len(line))):
        put(f"records/{number:03}.jsonl", line.encode())
    return files


def best(action: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Returns the shortest and the median time of `action` in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times), statistics.median(times)


def hash_plainly(files: list[Path]) -> None:
    """Hashes each file with hashlib, one after another: the yardstick."""
    for path in files:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")


def measure(megabytes: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Returns every measurement, in seconds."""
    bag = folder / "bag"
    files = make_tree(bag, megabytes)
    size = sum(path.stat().st_size for path in files)
    targets = iter(folder / f"out-{n}" for n in range(1000))

    def removed(write: Callable[[Path], Any]) -> Callable[[], None]:
        def action() -> None:
            target = next(targets)
            write(target)
            shutil.rmtree(target) if target.is_dir() else target.unlink()

        return action

    def copy(target: Path) -> None:
        subprocess.run(["cp", "-r", bag, target], check=True)

    packed, pressed = folder / "a.tar", folder / "a.tar.zst"
    write_archive(bag, "bag", packed)
    # Once: it takes as long as all others together.
    compressing = best(lambda: write_archive(bag, "bag", pressed), 1)
    actions = {
        "hashlib, one core": lambda: hash_plainly(files),
        "hash, one file after another": lambda: [stored(path) for path in files],
        "hash, several files at a time": lambda: each(stored, files),
        "cp -r": removed(copy),
        "archive .tar (hashed)": removed(lambda target: write_archive(bag, "bag", target)),
        "read .tar.zst (hashed)": lambda: archive_content(pressed, 1 << 40),
    }
    rows = {name: best(action, repeats) for name, action in actions.items()}
    rows["archive .tar.zst (hashed)"] = compressing
    return {
        "bytes": size,
        "files": len(files),
        "seconds": {name: {"best": low, "median": middle} for name, (low, middle) in rows.items()},
        "zst_ratio": pressed.stat().st_size / packed.stat().st_size,
    }


def machine() -> dict[str, Any]:
    """Returns what the numbers depend on; no host name."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), model)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def main() -> int:
    """Measures, prints and writes; returns 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=int, default=1000, help="MB (default 1000)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("bench/results/seal.json"))
    args = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="lewm-bench-") as folder:
        found = measure(args.size, args.repeats, Path(folder))
    seconds = {name: row["best"] for name, row in found["seconds"].items()}
    hashing = seconds["hashlib, one core"] / seconds["hash, several files at a time"]
    archiving = seconds["archive .tar (hashed)"] / seconds["cp -r"]
    bounds = {
        "hashing, share of hashlib's one-core rate (at least 0.8)": round(hashing, 3),
        "archiving, times cp (at most 3)": round(archiving, 3),
    }
    passed = hashing >= 0.8 and archiving <= 3
    args.output.parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": about, **found, "bounds": bounds, "passed": passed}
    args.output.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    for name, time_ in seconds.items():
        print(f"{name:<32} {time_:7.2f} s  {found['bytes'] / time_ / MB:7.0f} MB/s")
    for name, value in bounds.items():
        print(f"{name}: {value}")
    print(f"wrote {args.output}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
