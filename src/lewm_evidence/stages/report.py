"""The report: what was shown and whether it holds, on one page.

Inputs: `checkpoint` (fetch or train), `showcase`, `evaluate`, `gate`, `probe_tensorboard`, `probe_rerun`; where they
are planned, `smoke_train`, `tables`, `probing` and `surprise`. For a checkpoint whose simulator is not here `score`
in place of the showcase and all that needs one.

Writes `views/report/index.html`, one self-contained page; it shows timings, so it is a view. Its result numbers
are `views/results/summary.json`, a result: canonical JSON without timing. Where there is a showcase,
`views/showcase.json`, a view, is the summary of it that WorldForge's tools read, with the blocks `tensorboard` and
`rerun`.
"""

from lewm_evidence.canonical import canonical_json, write_atomic
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.render.report.numbers import summarise
from lewm_evidence.render.report.page import render_page
from lewm_evidence.render.showcase_summary import showcase_summary


def run(out: Run) -> None:
    """Writes the page and its numbers."""
    runs = {role: out.input(role) for role in sorted(out.spec.inputs)}
    write_atomic(out.path / "views" / "results" / "summary.json", canonical_json(summarise(runs)))
    if "showcase" in runs:
        write_atomic(out.path / "views" / "showcase.json", canonical_json(showcase_summary(runs)))
    page = render_page(runs).encode()
    write_atomic(out.path / "views" / "report" / "index.html", page)
    say(f"report: {len(page) / 1e6:.2f} MB, {out.path / 'views' / 'report' / 'index.html'}")


if __name__ == "__main__":
    main(run)
