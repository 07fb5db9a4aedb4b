"""What must hold before any time counts: the same costs and the same plans."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from bench.planner.process import BenchError, Subject

ACTIONS, COSTS, COSTS_BF16, SPEARMAN = 1e-5, 1e-5, 1e-2, 0.999


class Checks:
    """Compares results with those of the reading model and keeps the worst differences.

    Attributes:
        worst: by check and subject, the largest difference (for `spearman` the smallest correlation).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.worst: dict[str, dict[str, float]] = {}

    def result(self, subject: Subject, do: str, **order: Any) -> tuple[dict[str, Any], Tensor]:
        """Returns a subject's answer and the tensor it computed."""
        file = self.folder / f"{subject.name}.safetensors"
        answer = subject.ask(do, keep=str(file), **order)
        return answer, load_file(file)["out"]

    def costs(self, subject: str, found: Tensor, expected: Tensor) -> None:
        """Compares costs (S,); in bf16 within 1e-2 and in nearly the same order."""
        rough = subject == "FastBf16"
        relative = float(((found - expected).abs() / expected.abs()).max())
        self._hold("costs, largest relative difference", subject, relative, COSTS_BF16 if rough else COSTS)
        if rough:
            correlation = spearman(found, expected)
            held = self.worst.setdefault("costs, smallest Spearman correlation", {})
            held[subject] = min(correlation, held.get(subject, 1.0))
            if correlation < SPEARMAN:
                raise BenchError(f"{subject} ranks costs otherwise: Spearman {correlation:.5f}, at least {SPEARMAN}")

    def actions(self, what: str, subject: str, found: Tensor, expected: Tensor) -> None:
        """Compares plans (…, T, A)."""
        self._hold(f"{what}, largest difference of actions", subject, float((found - expected).abs().max()), ACTIONS)

    def _hold(self, check: str, subject: str, value: float, bound: float) -> None:
        held = self.worst.setdefault(check, {})
        held[subject] = max(value, held.get(subject, 0.0))
        if not value <= bound:
            raise BenchError(f"{subject} is not equal to the reference: {check} is {value:.2g}, at most {bound:g}")


def spearman(a: Tensor, b: Tensor) -> float:
    """Returns the rank correlation of two vectors without ties."""
    ranks = [(x.argsort().argsort().double() - (len(x) - 1) / 2) for x in (a, b)]
    return float((ranks[0] @ ranks[1]) / (ranks[0].norm() * ranks[1].norm()))
