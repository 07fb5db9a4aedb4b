"""Renders the records of finished runs as a TensorBoard log directory.

Inputs: any finished runs, each under its stage's name (`fetch` or `train`, `showcase`, `evaluate`).

Writes `views/results/<stage>/` (a result: its bytes depend on the records alone) and `views/timing/<stage>/`;
open both with `tensorboard --logdir views`. Records one event `tensorboard/series` per TensorBoard run and tag,
with fields `run`, `series` (the tag), `kind` and `points`: what a viewer must show.
"""

from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.render.tensorboard import render


def run(out: Run) -> None:
    """Writes the log directory of every input and records what it must show."""
    series = render([out.input(name) for name in sorted(out.spec.inputs)], out.path / "views")
    for number, row in enumerate(series):
        out.event("tensorboard/series", number, run=row.run, series=row.tag, kind=row.kind, points=row.points)
    points = sum(row.points for row in series)
    say(f"TensorBoard: {len(series)} tags in {len({row.run for row in series})} runs, {points} points")


if __name__ == "__main__":
    main(run)
