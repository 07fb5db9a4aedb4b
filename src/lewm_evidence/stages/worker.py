"""Trains a foreign agent in its own environment and records its learning curves under the common tags.

REQUIRED INPUTS: none of the pipeline; the environment `envs/<worker>-<digest>/` that its locks make.
OUTPUTS: scalars `charts/*`, `losses/*` (step = environment steps), `charts/SPS` among the timings, event
`worker/outcome`, an event `worker/series` for each common tag with its source and estimator, `metrics.jsonl` with the
same rows, and the worker's own logs, which stay on this machine (`logs/native/`).
"""

import math
from pathlib import Path

import lewm_evidence.workers
from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import StageError
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.workers.contract import NATIVE, Told, run_worker, ulid
from lewm_evidence.workers.environment import ENVIRONMENTS, READY
from lewm_evidence.workers.native import COMMON, MEASURED, Row, common_rows

_ASKED = ("algo", "env_id", "seed", "total_timesteps", "hyperparameters")
ADAPTERS = Path(lewm_evidence.workers.__path__[0]) / "adapters"


def run(out: Run) -> None:
    """Runs the worker and records what it logged."""
    config = out.config
    environment = ENVIRONMENTS / config["environment"]
    if not (environment / READY).exists():
        raise StageError(f"{environment} is not there; `snakemake workers` makes it before it starts the worker")
    command: list[str | Path] = [
        (environment / "bin/python").absolute(),
        ADAPTERS / f"{config['worker']}_worker.py",
    ]
    label = ulid(out.key)
    say(f"worker {label}: {config['worker']} {config['algo']} on {config['env_id']}")
    asked = {name: config[name] for name in _ASKED}
    told = run_worker(command, label, asked, out.path / "logs", out.threads, config["time_limit"])
    rows = common_rows(out.path / "logs" / NATIVE, told.sources)
    _record(out, label, told, rows)


def _record(out: Run, label: str, told: Told, rows: list[Row]) -> None:
    kept = [row for row in rows if math.isfinite(row.value)]
    for row in kept:
        if row.tag == MEASURED:
            out.timing(row.tag, row.value, row.step, unit="1/s")
        else:
            out.scalar(row.tag, row.value, row.step)
    lines = [canonical_json(row._asdict()) for row in kept if row.tag != MEASURED]
    (out.path / "metrics.jsonl").write_bytes(b"".join(lines))
    for place, tag in enumerate(COMMON):
        _record_series(out, place, tag, [row for row in kept if row.tag == tag])
    last = max((row.step for row in kept), default=0)
    out.event("worker/outcome", run_id=label, status=str(told.ended), steps=last, dropped=len(rows) - len(kept))


def _record_series(out: Run, place: int, tag: str, rows: list[Row]) -> None:
    source = rows[0].source if rows else None
    estimator = rows[0].estimator if rows else "not defined for this algorithm"
    out.event("worker/series", place, series=tag, source=source, estimator=estimator, points=len(rows))


if __name__ == "__main__":
    main(run)
