"""One table of what was measured about this checkpoint, beside the paper's own numbers, and what differs.

Inputs: `checkpoint`, `starts`, `success`, `baselines`, `probing`, `surprise`. No torch.
Config: `world`, `seed`, `bootstrap`.

Writes
- for each row the scalar `tables/<row>` with `_low` and `_high`, and an event `tables/row` with the row in full: `row`,
  `label`, `value`, `low`, `high`, `unit`, `n`, `interval` (how it was made), `p` (of a paired test against LeWM, not
  adjusted), `paper` and `where` (None where the paper has no such number);
- an event `tables/differs` with `text` for each way in which protocol, data or checkpoint are not the paper's;
- `views/results/tables.md` and `views/results/tables.csv`; apart, because machines differ, `views/planning_time.md`
  and the timings `planning/cold`, `planning/p50`, `planning/p95`.

Success rates have Wilson intervals; mean final errors and differences of methods percentile bootstrap intervals over
the paired starts. p is McNemar's exact test for success, the paired t-test for surprise.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.canonical import write_atomic
from lewm_evidence.errors import StageError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.records.job import main, say
from lewm_evidence.render import paper_tables
from lewm_evidence.stages.differs import differences
from lewm_evidence.stages.inference import mcnemar, wilson
from lewm_evidence.stages.published import PUBLISHED, Published
from lewm_evidence.stages.statistics import Estimate, bootstrap_means, record_estimate

# Who plays the starts, which stage has it, and how it is called.
METHODS = {
    "lewm": ("success", "LeWM"),
    "untrained": ("success", "untrained LeWM"),
    "oracle": ("baselines", "oracle, CEM in the simulator"),
    "replay": ("baselines", "recorded actions"),
    "random": ("baselines", "random actions"),
    "noop": ("baselines", "staying still"),
}
GROUPS = {"agent_position": "agent position", "block_position": "block position", "block_angle": "block angle"}
PROBES = {"linear": "linear", "mlp": "MLP"}
METRICS = {"mse": "MSE, standardised", "r2": "R²", "pearson_r": "Pearson r"}
CONDITIONS = {"teleport": "teleport", "colour": "colour change"}


@dataclass(frozen=True)
class Row:
    """A measured number; see the module's docstring for the fields."""

    row: str
    label: str
    value: float
    low: float
    high: float
    unit: str
    n: int
    interval: str
    p: float | None = None


def run(out: Run) -> None:
    """Gathers the rows and what differs, and writes both as records, Markdown and CSV."""
    world = out.config["world"]
    found = {role: out.input(role) for role in sorted(out.spec.inputs)}
    published = PUBLISHED.get(world, {})
    rows = [*_planning(out, found), *_probing(found["probing"]), *_surprise(found["surprise"])]
    written = [{**asdict(row), **_paper(published.get(row.row))} for row in rows]
    for step, row in enumerate(rows):
        record_estimate(out, f"tables/{row.row}", Estimate(row.value, row.low, row.high))
        out.event("tables/row", step, **written[step])
    differing = list(differences(found, world))
    for step, text in enumerate(differing):
        out.event("tables/differs", step, text=text)
    folder = out.path / "views" / "results"
    write_atomic(folder / "tables.md", paper_tables.markdown(written, differing, world).encode())
    write_atomic(folder / "tables.csv", paper_tables.csv_text(written).encode())
    _planning_time(out, found["success"], published.get("planning_time"))
    say(
        "\n".join(f"{row.label}: {paper_tables.measured(asdict(row))}" for row in rows if row.row.startswith("success"))
    )


def _paper(published: Published | None) -> dict[str, str | None]:
    return {"paper": published.text, "where": published.where} if published else {"paper": None, "where": None}


def _planning(out: Run, found: dict[str, FinishedRun]) -> Iterator[Row]:
    reached = {m: _outcomes(found[stage], f"{stage}/{m}/reached") for m, (stage, _) in METHODS.items()}
    errors = {m: _outcomes(found[stage], f"{stage}/{m}/final_error_px") for m, (stage, _) in METHODS.items()}
    n = len(reached["lewm"])
    for method, (_, name) in METHODS.items():
        share = wilson(int(reached[method].sum()), n)
        yield _row(f"success/{method}", f"success, {name}", share, "%", n, "Wilson")
    baselines = [method for method in METHODS if method != "lewm"]
    columns = [100 * (reached["lewm"] - reached[m]) for m in baselines]
    columns += [errors[m] for m in METHODS] + [errors["lewm"] - errors[m] for m in baselines]
    estimates = iter(bootstrap_means(np.array(columns).T, out.config["bootstrap"], out.config["seed"]).values())
    for method in baselines:
        p = mcnemar(reached["lewm"], reached[method])
        label = f"success, LeWM minus {METHODS[method][1]}"
        yield _row(f"success_minus/{method}", label, next(estimates), "points", n, "paired bootstrap", p)
    for method in METHODS:
        label = f"final error, {METHODS[method][1]}"
        yield _row(f"error/{method}", label, next(estimates), "px", n, "bootstrap")
    for method in baselines:
        label = f"final error, LeWM minus {METHODS[method][1]}"
        yield _row(f"error_minus/{method}", label, next(estimates), "px", n, "paired bootstrap")


def _row(row: str, label: str, estimate: Estimate, unit: str, n: int, interval: str, p: float | None = None) -> Row:
    scale = 100.0 if unit == "%" else 1.0
    return Row(row, label, scale * estimate.mean, scale * estimate.low, scale * estimate.high, unit, n, interval, p)


def _outcomes(run: FinishedRun, tag: str) -> NDArray[np.float64]:
    values = run.scalars(tag)
    if not values:
        raise StageError(f"{run.path} holds no scalar {tag!r}; was it made by another version?")
    return np.array([values[number] for number in sorted(values)])


def _probing(run: FinishedRun) -> Iterator[Row]:
    n = int(run.events("probing/protocol")[0].fields["held_out"] or 0)
    scalars = {record.tag: record.value for record in run.records("scalar") if record.kind == "scalar"}

    def estimate(tag: str) -> Estimate:
        return Estimate(*(scalars[tag + end] for end in ("", "_low", "_high")))

    for model, name in (("lewm", ""), ("untrained", ", untrained LeWM")):
        prefix = "" if model == "lewm" else "_untrained"
        for group, what in GROUPS.items():
            for probe, how in PROBES.items():
                for metric, measure in METRICS.items():
                    tag = f"probing/{model}/{probe}/{group}/{metric}"
                    if tag in scalars:
                        label = f"{what}, {how}, {measure}{name}"
                        row = f"probe{prefix}/{probe}/{group}/{metric}"
                        yield _row(row, label, estimate(tag), "", n, "bootstrap over episodes")
    episodes = int(run.events("probing/protocol")[0].fields["episodes"] or 0)
    for model, name in (("lewm", "LeWM"), ("untrained", "untrained LeWM")):
        straight = estimate(f"probing/{model}/straightness")
        yield _row(f"straightness/{model}", f"straightness, {name}", straight, "", episodes, "bootstrap over episodes")


def _surprise(run: FinishedRun) -> Iterator[Row]:
    for condition, name in CONDITIONS.items():
        tag = f"surprise/{condition}"
        difference = Estimate(*(run.last(f"{tag}/difference{end}") for end in ("", "_low", "_high")))
        n, p = int(run.last(f"{tag}/n")), run.last(f"{tag}/p")
        yield _row(tag, f"surprise, {name} minus expected", difference, "", n, "paired t", p)


def _planning_time(out: Run, success: FinishedRun, published: Published | None) -> None:
    """Records how long a plan took: machine-dependent, so timing and a view that is no result."""
    seconds = [timing.value for timing in success.timings() if timing.tag == "success/solve"]
    if len(seconds) < 2:
        return
    p50, p95 = np.percentile(seconds[1:], [50, 95])
    times = {"cold": seconds[0], "p50": float(p50), "p95": float(p95)}
    for name, value in times.items():
        out.timing(f"planning/{name}", value)
    planner = success.spec.config["planner"]
    paper = f"{published.text} ({published.where})" if published else None
    text = paper_tables.planning_time(times, len(seconds), planner, paper)
    write_atomic(out.path / "views" / "planning_time.md", text.encode())


if __name__ == "__main__":
    main(run)
