"""Measures planning and training against torch-world and the reference implementation, and against what is possible.

    python -m bench.planner [--device cpu|cuda] [--output FILE] [--quick]

Each subject runs in a process of its own with the same number of threads; subjects take turns, repeat by repeat. No
time is written unless every check of equality holds. `make bench` and `make bench-gpu` call this. Exit codes: 0
measured, or no such device; 1 a check failed, and nothing was written; 130 stopped by Ctrl-C.
"""

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.planner.process import ROOT, BenchError

OURS = ("Readable", "FastFp32", "FastBf16")
PEERS = ("Upstream", "TorchWorld")


def machine(device: str) -> dict[str, object]:
    """Returns what the numbers depend on; no host name."""
    import torch

    about: dict[str, object] = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        lines = cpuinfo.read_text().splitlines()
        about["cpu"] = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), about["cpu"])
    about["instructions"] = torch.backends.cpu.get_cpu_capability()
    about["system"] = f"{platform.system()} {platform.machine()}"
    if device == "cuda":
        about["gpu"] = torch.cuda.get_device_name()
        about["cuda"] = torch.version.cuda
    return about


def has(device: str) -> bool:
    """Tells whether torch is there and sees the device."""
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return device == "cpu" or torch.cuda.is_available()


def measure(args: argparse.Namespace) -> dict[str, object]:
    """Returns what `measure.Bench` measures on the subjects of this machine."""
    from bench.planner.measure import CPU, CUDA, QUICK, Bench

    plan = QUICK if args.quick else CUDA if args.device == "cuda" else CPU
    peers = ROOT / ".venv-peers" / "bin" / "python"
    pythons = dict.fromkeys(OURS, Path(sys.executable)) | dict.fromkeys(PEERS, peers)
    with tempfile.TemporaryDirectory(prefix="lewm-bench-") as folder, ExitStack() as stack:
        return Bench(plan, pythons, Path(folder), args.device, args.threads, stack).run()


def main() -> int:
    """Measures and writes; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few and small runs: does the bench itself work?")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    if not has(args.device):
        print(f"bench: no {args.device.upper()} device that torch could use; nothing was measured")
        return 0
    about = {
        "machine": machine(args.device),
        "threads": args.threads,
        "date": datetime.date.today().isoformat(),
        "device": args.device,
    }
    try:
        found = about | measure(args)
    except BenchError as error:
        print(f"bench: {error}; nothing was written", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; nothing was written", file=sys.stderr)
        return 130
    name = "planner.json" if args.device == "cpu" else "planner-gpu.json"
    output = args.output or ROOT / "bench" / "results" / name
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found, indent=1) + "\n")
    print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
