"""Does the result hold what evidence must hold?

Input: `evaluate`. Writes one event `gate/check` per check (step = number of the check) with its name, the
measured value, the bound it must stay below and whether it passed. No torch. The stage fails, after it has
recorded every check, when one did not pass; a failed stage has no manifest, so no bundle can be made of it.

Two checks, because random actions alone are too weak an opponent: they carry the agent off the table, so that an
untrained model, which hardly moves, ends closer to the goal than they do. It does not beat staying still.
"""

from dataclasses import dataclass

from lewm_evidence.config import Gate
from lewm_evidence.errors import GateError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.records.job import main, say

BASELINES = {"random": "random actions", "noop": "staying still"}


@dataclass(frozen=True)
class Check:
    """The upper 95 % limit of (LeWM - baseline) final error must lie below `bound`, both in pixels."""

    baseline: str
    value: float
    bound: float

    @property
    def name(self) -> str:
        """What is checked, for a person."""
        return f"final error of LeWM minus that of {BASELINES[self.baseline]}, upper 95 % limit"

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.value < self.bound


def run(out: Run) -> None:
    """Records every check; raises `GateError` when one does not pass."""
    config = Gate.model_validate(out.config)
    evaluate = out.input("evaluate")
    bounds = {"random": config.lewm_minus_random_px, "noop": config.lewm_minus_noop_px}
    checks = [Check(baseline, _difference(evaluate, baseline, "_high"), bounds[baseline]) for baseline in bounds]
    for step, check in enumerate(checks):
        out.event("gate/check", step, name=check.name, value=check.value, bound=check.bound, passed=check.passed)
        say(f"gate: {check.name}: {check.value:.1f} px, must be below {check.bound:.1f} px")
    failed = [check for check in checks if not check.passed]
    if failed:
        raise GateError("\n".join(_explain(check, evaluate) for check in failed))


def _difference(evaluate: FinishedRun, baseline: str, limit: str = "") -> float:
    return evaluate.last(f"evaluate/lewm_minus_{baseline}/final_error_px{limit}")


def _explain(check: Check, evaluate: FinishedRun) -> str:
    errors = {m: evaluate.last(f"evaluate/{m}/mean_final_error_px") for m in ("lewm", check.baseline)}
    mean, low = (_difference(evaluate, check.baseline, limit) for limit in ("", "_low"))
    return (
        f"planning with this checkpoint is not shown to beat {BASELINES[check.baseline]}: {check.name}, is "
        f"{check.value:.1f} px and must be below {check.bound:.1f} px. Mean final error {errors['lewm']:.1f} px "
        f"against {errors[check.baseline]:.1f} px, difference {mean:.1f} px, 95 % interval {low:.1f} to "
        f"{check.value:.1f}. The episodes are in {evaluate.path / 'records.jsonl'}; check that weights, picture "
        "size and normalisation belong together, or train longer"
    )


if __name__ == "__main__":
    main(run)
