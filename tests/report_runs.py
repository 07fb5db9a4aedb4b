"""Everything a report is made from, made up, and the report on it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import example_runs
import stage_runs
import tiny
from lewm_evidence.canonical import canonical_json
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.stages import report, score

# Whatever record it stands in, it must come out as words.
HOSTILE = "</script></style><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">'\""


def write_gate(out: Run) -> None:
    """Records one check that passed."""
    out.event("gate/check", 0, name="margin over random", value=-131.5, bound=-50.0, passed=True)


def build(runs: Path, name: str = "pusht", **writers: Callable[[Run], None]) -> dict[str, FinishedRun]:
    """Returns made-up runs by role about checkpoint `name`; `writers` replace what stages write, or add stages."""
    made: dict[str, FinishedRun] = {}
    defaults: dict[str, Callable[[Run], None]] = {
        "fetch": example_runs.write_fetch,
        "showcase": example_runs.write_showcase,
        "evaluate": example_runs.write_evaluate,
        "gate": write_gate,
        "probe_tensorboard": lambda out: out.event("probe/tensorboard", tags=12, points=345),
        "probe_rerun": lambda out: out.event("probe/rerun", entities=9),
        "smoke_train": example_runs.write_train,
    }
    for role, write in (defaults | writers).items():
        config = {"source": "embedded", "name": name} if role == "fetch" else {"seed": 11}
        stage = {"smoke_train": "train"}.get(role, role)
        made["checkpoint" if role == "fetch" else role] = stage_runs.run_stage(runs, stage, write, config)
    return made


def build_scored(runs: Path, **writers: Callable[[Run], None]) -> dict[str, FinishedRun]:
    """Returns runs by role about a tiny checkpoint of a world without simulator, really scored."""

    def write_fetch(out: Run) -> None:
        tiny.tiny_checkpoint(out.path / "checkpoint", world="reacher")
        out.scalar("checkpoint/parameters", 12345)
        out.scalar("checkpoint/tensors", 67)

    pinned = {"source": "hub", "repo": "someone/lewm-reacher", "revision": "0" * 40, "world": "reacher"}
    fetched = stage_runs.run_stage(runs, "fetch", write_fetch, pinned)
    made = {"checkpoint": fetched}
    defaults: dict[str, Callable[[Run], None]] = {
        "score": score.run,
        "probe_tensorboard": lambda out: out.event("probe/tensorboard", tags=12, points=345),
        "smoke_train": example_runs.write_train,
    }
    for role, write in (defaults | writers).items():
        stage, config = {"smoke_train": "train"}.get(role, role), {"seed": 11, "planner": stage_runs.PLANNER}
        made[role] = stage_runs.run_stage(runs, stage, write, config, checkpoint=fetched)
    return made


def make(runs: Path, inputs: dict[str, FinishedRun]) -> tuple[str, dict[str, Any], FinishedRun]:
    """Returns the page, the summary and the run of a report on `inputs`."""
    done = stage_runs.run_stage(runs, "report", report.run, {}, **inputs)
    raw = (done.path / "views" / "results" / "summary.json").read_bytes()
    assert raw == canonical_json(json.loads(raw))
    return page_of(done).read_text(encoding="utf-8"), json.loads(raw), done


def page_of(done: FinishedRun) -> Path:
    """Returns where the page of a report is."""
    return done.path / "views" / "report" / "index.html"


def write_tables(out: Run) -> None:
    """Records one row of the paper's tables, and one difference."""
    row = {"row": "success/lewm", "label": "success, LeWM", "value": 80.0, "low": 49.0, "high": 94.3, "unit": "%"}
    row |= {"n": 10, "interval": "Wilson", "p": None, "paper": "96.0 ± 2.83", "where": "Table 5"}
    out.event("tables/row", 0, **row)
    out.event("tables/differs", 0, text="10 starts instead of 50.")


def write_probing(out: Run) -> None:
    """Records what probes of both models read."""
    for model, best in (("lewm", 0.95), ("untrained", 0.4)):
        for probe in ("linear", "mlp"):
            for quantity in ("agent_x", "agent_position", "block_position", "block_angle"):
                for end, value in (("", best), ("_low", best - 0.1), ("_high", best + 0.03)):
                    out.scalar(f"probing/{model}/{probe}/{quantity}/r2{end}", value)


def write_surprise(out: Run) -> None:
    """Records the surprise of three conditions; what cannot happen is at block 3."""
    out.event("surprise/protocol", n=4, before=3, after=2)
    for condition, jump in (("expected", 0.0), ("teleport", 2.0), ("colour", 1.0)):
        for block in range(1, 6):
            mean = 0.1 + jump * (block == 3)
            for end, value in (("", mean), ("_low", mean - 0.05), ("_high", mean + 0.05)):
                out.scalar(f"surprise/{condition}/curve{end}", value, block)
        if jump:
            out.scalar(f"surprise/{condition}/p", 1e-5)


def write_hostile_evaluate(out: Run) -> None:
    """Records an evaluation whose words are markup."""
    example_runs.write_evaluate(out)
    out.event("evaluate/protocol", n=6, seed=1, world=HOSTILE, judged=HOSTILE)


def write_hostile_showcase(out: Run) -> None:
    """Records a showcase in which the winner's source, which the player tells, is markup."""
    event = out.event

    def hostile(tag: str, *place: Any, **fields: Any) -> None:
        event(tag, *place, **(fields | {"winner_source": HOSTILE} if tag == "showcase/decision" else fields))

    out.event = hostile  # type: ignore[method-assign]
    example_runs.write_showcase(out)


def write_hostile_gate(out: Run) -> None:
    """Records a failed check whose name is markup."""
    out.event("gate/check", 0, name=HOSTILE, value=3.0, bound=-50.0, passed=False)


def write_hostile_probe(out: Run) -> None:
    """Records a probe whose answers and reason are markup."""
    out.event("probe/rerun", entities=HOSTILE)
    (out.path / "views").mkdir()
    (out.path / "views" / "screenshot.json").write_bytes(canonical_json({"status": HOSTILE, "reason": HOSTILE}))


def write_hostile_tables(out: Run) -> None:
    """Records rows of a table whose words are markup."""
    write_tables(out)
    out.event("tables/differs", 1, text=HOSTILE)


def write_hostile_score(out: Run) -> None:
    """Scores, but says that repeats differed and skips a stage whose name and reason are markup."""
    event = out.event

    def hostile(tag: str, *place: Any, **fields: Any) -> None:
        changed = {"score/repeats": {"equal": False}, "score/skipped": {"stage": HOSTILE, "reason": HOSTILE}}
        event(tag, *place, **(fields | changed.get(tag, {})))

    out.event = hostile  # type: ignore[method-assign]
    score.run(out)


HOSTILE_WRITERS: dict[str, Callable[[Run], None]] = {
    "evaluate": write_hostile_evaluate,
    "showcase": write_hostile_showcase,
    "gate": write_hostile_gate,
    "probe_rerun": write_hostile_probe,
    "tables": write_hostile_tables,
}
