"""Renders the records of the showcase as a Rerun recording.

Input: `showcase`.

Writes `views/results/showcase.rrd` and `views/results/showcase.rrd.json`: digests of what the recording says, read
back from it, per entity and in total. Both are results. Records one event `rerun/recording` with the number of
`entities` and the `digest`.
"""

from lewm_evidence.canonical import canonical_json, write_atomic
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.render.rerun import digest, render


def run(out: Run) -> None:
    """Writes the recording of the showcase and the digest of what it says."""
    path = out.path / "views" / "results" / "showcase.rrd"
    render(out.input("showcase"), path)
    says = digest(path)
    write_atomic(path.with_suffix(".rrd.json"), canonical_json(says))
    out.event("rerun/recording", entities=len(says["entities"]), digest=says["total"])
    say(f"Rerun: {len(says['entities'])} entities, {path.stat().st_size / 1e6:.1f} MB, says {says['total'][:12]}")


if __name__ == "__main__":
    main(run)
