"""Learning curves of foreign trainers side by side, seeds of one trainer together with their interval.

REQUIRED INPUTS: `worker` runs, each under its name.
OUTPUTS: by curve `<worker>-<algo>-<environment>`: scalars `compare/<curve>/episodic_return` with `_low` and `_high`
(95 % interval of the mean over seeds, Student's t; equal to the mean for one seed) at steps common to the seeds; event
`compare/curve` with the number of seeds; the page `views/results/curves.html`.
"""

from collections import defaultdict

from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.records.schema import Scalar
from lewm_evidence.render.curves import Curve, curves_page, mean_curve

RETURN = "charts/episodic_return"


def run(out: Run) -> None:
    """Joins the seeds of each trainer and draws all."""
    groups: dict[str, list[FinishedRun]] = defaultdict(list)
    for name in sorted(out.spec.inputs):
        finished = out.input(name)
        config = finished.spec.config
        groups[f"{config['worker']}-{config['algo']}-{config['env_id']}"].append(finished)
    curves = [_curve(out, place, name, runs) for place, (name, runs) in enumerate(sorted(groups.items()))]
    folder = out.path / "views" / "results"
    folder.mkdir(parents=True)
    (folder / "curves.html").write_text(curves_page(curves), encoding="utf-8")
    say(f"compared {len(curves)} trainers")


def _curve(out: Run, place: int, name: str, runs: list[FinishedRun]) -> Curve:
    series = {str(event.fields["series"]): event.fields for event in runs[0].events("worker/series")}
    estimator = str(series[RETURN]["estimator"])
    curve = mean_curve(name, estimator, [_points(run) for run in runs])
    tag = f"compare/{name.replace('/', '_').replace(':', '_')}/episodic_return"
    for step, mean, low, high in zip(curve.steps, curve.mean, curve.low, curve.high, strict=True):
        out.scalar(tag, mean, step)
        out.scalar(f"{tag}_low", low, step)
        out.scalar(f"{tag}_high", high, step)
    out.event("compare/curve", place, curve=name, seeds=len(runs), estimator=estimator)
    return curve


def _points(run: FinishedRun) -> list[tuple[int, float]]:
    records = (record for record in run.records("scalar") if isinstance(record, Scalar))
    return [(record.step, record.value) for record in records if record.tag == RETURN]


if __name__ == "__main__":
    main(run)
