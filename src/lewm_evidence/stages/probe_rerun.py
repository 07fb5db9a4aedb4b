"""Lets the real Rerun verify the recording, reads it back and compares it with the records.

Inputs: `render` (a render_rerun run) and the `showcase` it was made from.

Records one event `probe/rerun/check` per entity and kind, with fields `entity`, `kind` and `points`, and one event
`probe/rerun` with the totals `entities` and `points`, the `digest` and the `version` of Rerun. Timings
`probe/verify`, `probe/read` and `probe/screenshot`. The program's output goes to `logs/`.

The view `views/screenshot.png` is what the real viewer shows; where it could not be taken,
`views/screenshot.json` says why.
"""

import json
import time
from importlib.metadata import version

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.rerun import check, verify
from lewm_evidence.probe.rerun_viewer import shoot
from lewm_evidence.probe.screenshot import keep
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.render.rerun import digest


def run(out: Run) -> None:
    """Verifies the recording, compares it with the records and records what was compared."""
    rendered = out.input("render")
    path = rendered.path / "views" / "results" / "showcase.rrd"
    start = time.perf_counter()
    verify(path, out.path / "logs")
    out.timing("probe/verify", time.perf_counter() - start)
    start = time.perf_counter()
    done = check(path, out.input("showcase"))
    total = digest(path)["total"]
    promised = json.loads(path.with_suffix(".rrd.json").read_bytes())["total"]
    if total != promised:
        raise ProbeError(f"{path} says {total[:12]}, its render promised {promised[:12]}; render it again")
    out.timing("probe/read", time.perf_counter() - start)
    for number, row in enumerate(done):
        out.event("probe/rerun/check", number, entity=row.entity, kind=row.kind, points=row.points)
    points, entities = sum(row.points for row in done), len({row.entity for row in done})
    out.event("probe/rerun", entities=entities, points=points, digest=total, version=version("rerun-sdk"))
    say(f"Rerun verifies the recording and reads back {points} points of {entities} entities")
    keep(out, lambda: shoot(path, out.path / "logs"))


if __name__ == "__main__":
    main(run)
