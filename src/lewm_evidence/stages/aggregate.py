"""Gather the measurements of a sweep's members: a table with intervals over seeds, and a page.

Inputs: `evaluate` of every member, under `<checkpoint>/<task>/<seed>`. Config: the names of `checkpoints`, `tasks` and
`seeds` in the order wanted, and `bundles`, the seal key of every member.

Writes `views/results/summary.json`, canonical JSON; `views/results/table.csv`, one row a member; and
`views/results/index.html`, a self-contained page with links to the runs and bundles beside it. All of them are results.
Records, step = position of checkpoint and task: scalars `aggregate/<method>/<metric>` with `_low` and `_high`.
"""

from lewm_evidence.canonical import canonical_json, write_atomic
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.render.sweep import METHODS, METRICS, render_page, summarise, table


def run(out: Run) -> None:
    """Writes the summary, the table and the page, and records the means."""
    summary = summarise(out.config, {name: out.input(name) for name in out.spec.inputs})
    views = out.path / "views" / "results"
    write_atomic(views / "summary.json", canonical_json(summary))
    write_atomic(views / "table.csv", table(summary).encode())
    write_atomic(views / "index.html", render_page(summary).encode())
    for step, cell in enumerate(summary["cells"]):
        for method in METHODS:
            for metric in METRICS:
                estimate = cell["over_seeds"][method][metric]
                for suffix, limit in (("", "mean"), ("_low", "low"), ("_high", "high")):
                    if estimate[limit] is not None:
                        out.scalar(f"aggregate/{method}/{metric}{suffix}", estimate[limit], step)
    say(f"aggregate: {len(out.spec.inputs)} members in {len(summary['cells'])} rows, {views / 'index.html'}")


if __name__ == "__main__":
    main(run)
