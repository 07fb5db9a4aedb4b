"""Starts the real TensorBoard on the rendered log directory and asks it for everything the records name.

Inputs: `render` (a render_tensorboard run) and the runs it was made from, each under its stage's name.

Records one event `probe/tensorboard/check` per TensorBoard run and tag, with fields `run`, `series`, `kind` and
`points`; one event `probe/tensorboard/page` per page that is no series (`run`, `plugin`, `shown`: how many charts,
settings, tensors or latents); and one event `probe/tensorboard` with the totals `runs`, `tags`, `points`, `images`,
and the `version` of TensorBoard. Timings `probe/startup`, `probe/queries` and `probe/screenshot`. The server's output
goes to `logs/tensorboard.log`.

The view `views/screenshot.png` is the page as Chromium draws it; where it could not be taken,
`views/screenshot.json` says why.
"""

import time
from collections import Counter
from importlib.metadata import version

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.browser import shoot
from lewm_evidence.probe.screenshot import keep
from lewm_evidence.probe.tensorboard import Content, check, expected, front_page, serve
from lewm_evidence.probe.tensorboard_plugins import check_plugins
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run


def run(out: Run) -> None:
    """Serves the log directory, compares it with the records and records what was compared."""
    rendered = out.input("render")
    runs = {name: out.input(name) for name in sorted(out.spec.inputs) if name != "render"}
    content = expected(runs.values())
    _same_promise(rendered, content)
    start = time.perf_counter()
    samples = max((len(points) for points in content.values()), default=1)
    with serve(rendered.path / "views", out.path / "logs" / "tensorboard.log", samples) as server:
        out.timing("probe/startup", time.perf_counter() - start)
        start = time.perf_counter()
        points = check(server, content)
        pages = check_plugins(server, runs)
        out.timing("probe/queries", time.perf_counter() - start)
        keep(out, lambda: shoot(front_page(server, content), out.path / "logs" / "chromium.log"))
    for number, page in enumerate(pages):
        out.event("probe/tensorboard/page", number, **page._asdict())
    _record(out, content, points)


def _same_promise(rendered: FinishedRun, content: Content) -> None:
    promised: Counter[tuple[object, ...]] = Counter()
    for event in rendered.events("tensorboard/series"):
        tag = str(event.fields["series"]).split("#")[0]
        promised[event.fields["run"], event.fields["kind"], tag] += int(event.fields["points"] or 0)
    for key, points in content.items():
        if promised[tuple(key)] != len(points):
            raise ProbeError(
                f"{rendered.name} wrote {promised[tuple(key)]} points of {key.kind} {key.tag!r} in run {key.run!r}, "
                f"the records name {len(points)}; render it again"
            )


def _record(out: Run, content: Content, points: int) -> None:
    for number, (key, rows) in enumerate(sorted(content.items())):
        out.event("probe/tensorboard/check", number, run=key.run, series=key.tag, kind=key.kind, points=len(rows))
    runs = {key.run for key in content}
    images = sum(len(rows) for key, rows in content.items() if key.kind == "image")
    totals = {"runs": len(runs), "tags": len(content), "points": points, "images": images}
    out.event("probe/tensorboard", **totals, version=version("tensorboard"))
    say(f"TensorBoard serves all {points} points of {len(content)} tags in {len(runs)} runs")


if __name__ == "__main__":
    main(run)
