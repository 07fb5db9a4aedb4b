"""Lets the real Rerun verify the recordings, reads them back and compares them with the records.

Inputs: `render` (a render_rerun run) and what it was made from: `showcase`, and `train` if there was one.

Records one event `probe/rerun/check` per entity and kind, with fields `entity`, `kind` and `points`, and one event
`probe/rerun` with the totals `entities` and `points`, `showcase_digest` and `training_digest`, and the `version` of
Rerun. Timings `probe/verify` and `probe/read` (step = recording), `probe/screenshot`. The program's output goes to
`logs/`.

The view `views/screenshot.png` is what the real viewer shows of the showcase; where it could not be taken,
`views/screenshot.json` says why.
"""

import json
import time
from importlib.metadata import version
from pathlib import Path

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.rerun import Check, check, verify
from lewm_evidence.probe.rerun_viewer import shoot
from lewm_evidence.probe.screenshot import keep
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.render.rerun import FILES, digest


def run(out: Run) -> None:
    """Verifies the recordings, compares them with the records and records what was compared."""
    rendered = out.input("render")
    done: list[Check] = []
    digests: dict[str, str] = {}
    showcase = None
    for role in sorted(out.spec.inputs.keys() - {"render"}):
        path = _recording(rendered, FILES[role])
        showcase = path if role == "showcase" else showcase
        start = time.perf_counter()
        verify(path, out.path / "logs")
        out.timing("probe/verify", time.perf_counter() - start, len(digests))
        start = time.perf_counter()
        done += check(path, out.input(role))
        digests[path.stem] = _promised(rendered, path)
        out.timing("probe/read", time.perf_counter() - start, len(digests) - 1)
    for number, row in enumerate(done):
        out.event("probe/rerun/check", number, entity=row.entity, kind=row.kind, points=row.points)
    points, entities = sum(row.points for row in done), len({row.entity for row in done})
    fields: dict[str, bool | int | float | str | None] = {f"{name}_digest": found for name, found in digests.items()}
    fields |= {"entities": entities, "points": points, "version": version("rerun-sdk")}
    out.event("probe/rerun", **fields)  # type: ignore[arg-type]  # none of the names is `step`
    say(f"Rerun verifies {len(digests)} recordings and reads back {points} points of {entities} entities")
    if showcase:
        keep(out, lambda: shoot(showcase, out.path / "logs"))


def _recording(rendered: FinishedRun, name: str) -> Path:
    views = rendered.path / "views"
    exact = views / "results" / name
    return exact if exact.exists() else views / name


def _promised(rendered: FinishedRun, path: Path) -> str:
    total = str(digest(path)["total"])
    promise = rendered.path / "views" / "results" / f"{path.name}.json"
    promised = json.loads(promise.read_bytes())["total"]
    if total != promised:
        raise ProbeError(f"{path} says {total[:12]}, its render promised {promised[:12]}; render it again")
    return total


if __name__ == "__main__":
    main(run)
