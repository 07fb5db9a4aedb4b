"""Runs one subject: reads an order a line (JSON) on standard input, answers each with times and, if asked, results.

    python -m bench.planner.worker SUBJECT FOLDER --device cpu --threads 1

FOLDER holds `inputs.safetensors` and `weights-N.safetensors` (see inputs.py). Orders: `{"do": NAME, "weights": N,
"keep": FILE, "count": BOOL, …}` with NAME one of `hello`, `gemm`, `encode`, `cost`, `solve`, `solve_many`, `train`;
with `count`, multiplications are counted instead of seconds.
"""

import argparse
import functools
import json
import os
import platform
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.planner import floor, subjects


class Worker:
    """Carries out orders."""

    def __init__(self, subject: str, folder: Path, device: torch.device) -> None:
        self.build = getattr(subjects, subject)
        self.folder = folder
        self.device = device
        self.inputs = load_file(folder / "inputs.safetensors")
        self.subject = functools.cache(self._subject)

    def _subject(self, weights: int) -> Any:
        return self.build(load_file(self.folder / f"weights-{weights}.safetensors"), self.device)

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Returns what the order gives: seconds and peak memory, or what `hello`, `gemm` and `count` ask."""
        order = dict(order)
        name, weights, keep = order.pop("do"), order.pop("weights", 0), order.pop("keep", None)
        count = order.pop("count", False)
        if name == "gemm":
            return floor.gemm_rates(self.device)
        subject = self.subject(weights)
        if name == "hello":
            versions = {"python": platform.python_version(), "torch": torch.__version__} | subject.versions()
            return {"versions": versions, "path": subject.path()}
        action = getattr(self, f"_{name}")(subject, **order)
        if count:
            return {"gflop": floor.count_gflop(action)}
        times, out = timed(action, self.device)
        if keep:
            save_file({"out": out.float().cpu().contiguous()}, keep)
        return times | {"peak_mb": peak_mb(self.device)}

    def _encode(self, subject: Any, images: int) -> Callable[[], Tensor]:
        pictures = self.inputs["images"][:images]
        return lambda: subject.encode(pictures)

    def _cost(self, subject: Any, samples: int, horizon: int, seed: int = 0) -> Callable[[], Tensor]:
        z = subject.encode(self.inputs["images"][:2])
        generator = torch.Generator().manual_seed(seed)
        candidates = torch.randn(samples, horizon, subjects.ACTION, generator=generator).to(self.device)
        return lambda: subject.cost(z, candidates)

    def _solve(self, subject: Any, seed: int, **size: int) -> Callable[[], Tensor]:
        pictures = self.inputs["images"][[seed % 8, (seed + 3) % 8]]
        return lambda: subject.solve(pictures, seed, **size)

    def _solve_many(self, subject: Any, environments: int, batched: bool = True, **size: int) -> Callable[[], Tensor]:
        pictures = self.inputs["images"]
        pairs = torch.stack([pictures[[n % 8, (n + 1 + n // 8) % 8]] for n in range(environments)])
        seeds = list(range(environments))
        solve = subject.solve_many if batched else functools.partial(subjects.Readable.solve_many, subject)
        return lambda: solve(pairs, seeds, **size)

    def _train(self, subject: Any, batch: int) -> Callable[[], Tensor]:
        frames, actions = (self.inputs[name][:batch].to(self.device) for name in ("frames", "actions"))
        return lambda: subject.train_step(frames, actions)


def timed(action: Callable[[], Any], device: torch.device) -> tuple[dict[str, float], Any]:
    """Returns the seconds that `action` takes on the processor, by the wall and on the device, and its result."""
    if device.type != "cuda":
        wall, cpu = time.perf_counter(), time.process_time()
        out = action()
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}, out
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    first.record()
    out = action()
    last.record()
    torch.cuda.synchronize()
    times = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    return times | {"device": first.elapsed_time(last) / 1000}, out


def peak_mb(device: torch.device) -> float:
    """Returns the largest memory of this process so far in MB (10^6 bytes): the device's, or resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    """Answers until standard input ends; an order that fails is answered with `error`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("subject")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    warnings.simplefilter("ignore")  # of the peers' packages
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # peers print
    worker = Worker(args.subject, args.folder, args.device)
    for line in sys.stdin:
        try:
            answer = worker.obey(json.loads(line))
        except Exception as error:  # noqa: BLE001 - the driver decides what a failure means
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
