"""The measurements, in order: equality, encode, cost, solve, many environments, training, memory, scaling, floor."""

import statistics
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.planner.equality import Checks
from bench.planner.inputs import write_inputs
from bench.planner.process import BenchError, Subject

FULL = {"samples": 300, "iterations": 30, "horizon": 5}
EXACT = ("FastFp32", "Upstream")  # whose plans must be the reading model's
Times = dict[str, list[float]]


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        solve: candidates, iterations and horizon of a full solve.
        seeds: solves per set of weights whose plans are compared.
        peer_solves: in how many of these the peers take part.
        more_solves: solves of the fast subjects beyond, for the distribution.
        many: environments, candidates, iterations and horizon of planning for many environments.
        many_repeats: how often that is measured.
        repeats: of encode and cost.
        batch: windows of a training step.
        train_repeats: training steps measured.
        candidates, horizons, environments: along which cost and plans are measured.
    """

    solve: dict[str, int]
    seeds: int
    peer_solves: int
    more_solves: int
    many: dict[str, int]
    many_repeats: int
    repeats: int
    batch: int
    train_repeats: int
    candidates: tuple[int, ...]
    horizons: tuple[int, ...]
    environments: tuple[int, ...]


CPU = Plan(
    solve=FULL,
    seeds=5,
    peer_solves=3,
    more_solves=0,
    many={"environments": 50, "samples": 30, "iterations": 2, "horizon": 5},  # full ones would take hours
    many_repeats=2,
    repeats=7,
    batch=4,
    train_repeats=3,
    candidates=(30, 100, 300, 900),
    horizons=(1, 3, 5, 8),
    environments=(1, 5, 10),
)
CUDA = Plan(
    solve=FULL,
    seeds=5,
    peer_solves=10,
    more_solves=50,
    many={"environments": 50, **FULL},
    many_repeats=2,
    repeats=30,
    batch=128,
    train_repeats=10,
    candidates=(30, 100, 300, 1000, 3000),
    horizons=(1, 3, 5, 8),
    environments=(1, 10, 50),
)
QUICK = Plan(
    solve={"samples": 20, "iterations": 2, "horizon": 5},
    seeds=1,
    peer_solves=1,
    more_solves=1,
    many={"environments": 2, "samples": 10, "iterations": 1, "horizon": 2},
    many_repeats=1,
    repeats=2,
    batch=2,
    train_repeats=2,
    candidates=(10, 20),
    horizons=(1, 3),
    environments=(1, 2),
)


class Bench:
    """Runs a plan on every subject that starts."""

    def __init__(
        self, plan: Plan, pythons: dict[str, Path], folder: Path, device: str, threads: int, stack: ExitStack
    ) -> None:
        self.plan, self.pythons, self.folder, self.device, self.threads = plan, pythons, folder, device, threads
        self.clock = "cpu" if device == "cpu" else "device"
        self.checks = Checks(folder)
        self.skipped: dict[str, str] = {}
        self.about: dict[str, Any] = {}
        self.times: dict[str, dict[str, Times]] = {}
        write_inputs(folder, plan.batch)
        self.subjects = dict(self._start(stack))
        self.ours = {name: self.subjects[name] for name in ("Readable", "FastFp32", "FastBf16")}

    def run(self) -> dict[str, Any]:
        """Returns everything measured.

        Raises:
            BenchError: when a subject of this project fails, or results are not equal.
        """
        with tqdm(total=8, desc="bench", unit="part") as bar:
            for part in (self._equal, self._encode, self._cost, self._solve, self._many, self._train):
                bar.set_postfix_str(part.__name__.strip("_"))
                part()
                bar.update()
            scaling = self._scaling()
            bar.update()
            found = {"memory": self._memory(), "floor": self._floor()}
            bar.update()
        return {
            "clock": self.clock,
            "plan": asdict(self.plan),
            "subjects": self.about,
            "skipped": self.skipped,
            "equality": self.checks.worst,
            "quantities": {name: _summary(times) for name, times in self.times.items()},
            "ratios": {name: _ratios(times, self.clock) for name, times in self.times.items()},
            "scaling": scaling,
            **found,
        }

    def _start(self, stack: ExitStack) -> Iterable[tuple[str, Subject]]:
        for name, python in self.pythons.items():
            if not python.exists():
                self.skipped[name] = "its environment was not made (scripts/peers)"
                continue
            try:
                subject = stack.enter_context(self._process(name))
                self.about[name] = subject.ask("hello")
                yield name, subject
            except BenchError as error:
                if python == self.pythons["Readable"]:
                    raise
                self.skipped[name] = str(error)

    def _process(self, name: str) -> Subject:
        return Subject(name, self.pythons[name], self.folder, self.device, self.threads)

    def _time(self, quantity: str, name: str, answer: dict[str, float]) -> None:
        times = self.times.setdefault(quantity, {}).setdefault(name, {})
        for clock in ("cpu", "wall", "device"):
            if clock in answer:
                times.setdefault(clock, []).append(answer[clock])

    def _turns(self, quantity: str, repeats: int, do: str, names: Iterable[str] | None = None, **order: Any) -> None:
        """Lets subjects take turns; the first turn warms up and does not count."""
        for repeat in range(repeats + 1):
            for name in names or self.subjects:
                answer = self.subjects[name].ask(do, **order)
                if repeat:
                    self._time(quantity, name, answer)

    def _equal(self) -> None:
        """Costs for two sets of weights, and many environments against each alone."""
        for weights in (0, 1):
            for seed in range(self.plan.seeds):
                order = {"weights": weights, "samples": 300, "horizon": 5, "seed": seed}
                _, expected = self.checks.result(self.subjects["Readable"], "cost", **order)
                for name in ("FastFp32", "FastBf16", "Upstream"):
                    if name in self.subjects:
                        self.checks.costs(name, self.checks.result(self.subjects[name], "cost", **order)[1], expected)
        small = self.plan.many | {"environments": min(10, self.plan.many["environments"])}
        # On a GPU bf16 products round otherwise in other sizes, and the search makes much of it.
        for name in ("FastFp32", "FastBf16") if self.device == "cpu" else ("FastFp32",):
            subject = self.subjects[name]
            _, alone = self.checks.result(subject, "solve_many", batched=False, **small)
            _, batched = self.checks.result(subject, "solve_many", **small)
            self.checks.actions("many environments against one by one", name, batched, alone)

    def _encode(self) -> None:
        for images in (1, 2, 8):
            self._turns(f"encode {images}", self.plan.repeats, "encode", images=images)

    def _cost(self) -> None:
        self._turns("cost", self.plan.repeats, "cost", samples=self.plan.solve["samples"], horizon=5)

    def _solve(self) -> None:
        """Full solves; the plans of the exact subjects must be the reading model's."""
        rounds = [(weights, seed) for seed in range(self.plan.seeds) for weights in (0, 1)]
        self._warm(self.plan.solve)
        for number, (weights, seed) in enumerate(tqdm(rounds, desc="solves", leave=False)):
            order = self.plan.solve | {"weights": weights, "seed": seed}
            expected = None
            for name, subject in self.subjects.items():
                if name in self.ours or number < self.plan.peer_solves:
                    answer, actions = self.checks.result(subject, "solve", **order)
                    self._time("solve", name, answer)
                    expected = actions if expected is None else expected
                    if name in EXACT:
                        self.checks.actions("solve", name, actions, expected)
        for seed in range(self.plan.more_solves):
            for name in ("FastFp32", "FastBf16"):
                self._time("solve", name, self.subjects[name].ask("solve", seed=100 + seed, **self.plan.solve))

    def _warm(self, size: dict[str, int]) -> None:
        """One iteration warms a processor; a GPU needs the size itself, whose work it records."""
        size = size | ({"iterations": 1} if self.device == "cpu" else {})
        for subject in self.subjects.values():
            for weights in (0, 1):
                subject.ask("solve", weights=weights, seed=0, **size)

    def _many(self) -> None:
        order = self.plan.many
        if self.device == "cuda":  # its graph is recorded for the number of environments
            for name in ("FastFp32", "FastBf16"):
                self.subjects[name].ask("solve_many", **order)
        for _ in range(self.plan.many_repeats):
            for name, subject in self.subjects.items():
                self._time("many", name, subject.ask("solve_many", **order))
                if name in ("FastFp32", "FastBf16"):
                    self._time("many, one by one", name, subject.ask("solve_many", batched=False, **order))

    def _train(self) -> None:
        names = [name for name in self.subjects if name != "FastFp32"]  # trains as the reading model does
        self._turns("train", self.plan.train_repeats, "train", names, batch=self.plan.batch)

    def _memory(self) -> dict[str, dict[str, float]]:
        """Peak MB of a process that does nothing else than load and plan, or train."""
        solve = self.plan.solve | {"seed": 0, "iterations": 2}
        orders = {"plan": ("solve", solve), "train": ("train", {"batch": self.plan.batch})}
        peaks: dict[str, dict[str, float]] = {}
        for what, (do, order) in orders.items():
            for name in self.subjects:
                if (what, name) != ("train", "FastFp32"):
                    with self._process(name) as subject:
                        peaks.setdefault(what, {})[name] = round(subject.ask(do, **order)["peak_mb"])
        return peaks

    def _scaling(self) -> dict[str, dict[str, dict[int, float]]]:
        """Seconds of `cost` along candidates and horizon, of plans along environments; medians of three."""

        def along(do: str, key: str, values: tuple[int, ...], order: dict[str, int]) -> dict[str, dict[int, float]]:
            found: dict[str, dict[int, float]] = {}
            for value in values:
                for name, subject in self.ours.items():
                    subject.ask(do, **order | {key: value})
                    times = [subject.ask(do, **order | {key: value})[self.clock] for _ in range(3)]
                    found.setdefault(name, {})[value] = _rounded(statistics.median(times))
            return found

        plan, size = self.plan, {"samples": self.plan.solve["samples"], "horizon": 5}
        return {
            "candidates": along("cost", "samples", plan.candidates, size),
            "horizon": along("cost", "horizon", plan.horizons, size),
            "environments": along("solve_many", "environments", plan.environments, plan.many),
        }

    def _floor(self) -> dict[str, Any]:
        """The fastest rate of matrix products, and what each subject has to multiply."""
        orders = {
            "encode 1": ("encode", {"images": 1}),
            "cost": ("cost", {"samples": self.plan.solve["samples"], "horizon": 5}),
            "train": ("train", {"batch": self.plan.batch}),
        }
        gflop: dict[str, dict[str, float]] = {}
        for quantity, (do, order) in orders.items():
            for name in self.times[quantity]:
                counted = self.subjects[name].ask(do, count=True, **order)["gflop"]
                gflop.setdefault(quantity, {})[name] = round(counted, 3)
        return {"gflop_per_second": self.subjects["Readable"].ask("gemm"), "gflop": gflop}


def _summary(subjects: dict[str, Times]) -> dict[str, Any]:
    """Returns every subject's times with their median, quartiles and 95th percentile."""
    return {
        name: {
            kind: {
                "median": _rounded(statistics.median(values)),
                "quartiles": [_rounded(_quantile(values, share)) for share in (0.25, 0.75)],
                "p95": _rounded(_quantile(values, 0.95)),
                "values": [_rounded(value) for value in values],
            }
            for kind, values in times.items()
        }
        for name, times in subjects.items()
    }


def _ratios(subjects: dict[str, Times], clock: str) -> dict[str, dict[str, float]]:
    """Returns how often faster the fast subjects are than the others: the median over turns, each turn by itself."""

    def ratio(fast: str, slow: str) -> float:
        pairs = zip(subjects[slow][clock], subjects[fast][clock], strict=False)
        return _rounded(statistics.median(theirs / own for theirs, own in pairs))

    slows = [name for name in subjects if not name.startswith("Fast")]
    fasts = [name for name in subjects if name.startswith("Fast")]
    return {fast: {slow: ratio(fast, slow) for slow in slows} for fast in fasts if slows}


def _quantile(values: list[float], share: float) -> float:
    """Returns a quantile, linear between values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
