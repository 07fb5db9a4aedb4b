"""Renders records as Rerun recordings: the showcase, and where there was one the training.

Inputs: `showcase`; `train` if the checkpoint was trained here.

Writes `views/results/showcase.rrd` and `views/results/showcase.rrd.json`: digests of what the recording says, read
back from it, per entity and in total. Both are results. Likewise `training.rrd` and `training.rrd.json`. A version of
Rerun whose files cannot be made repeatable writes the recordings to `views/` instead, where they are no results; the
digests still are. Records one event `rerun/recording` per recording with its `name`, the number of `entities` and the
`digest`.
"""

from lewm_evidence.canonical import canonical_json, write_atomic
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.render import rerun, rerun_training
from lewm_evidence.render.rerun import FILES, digest

_RENDERERS = {"showcase": rerun.render, "train": rerun_training.render}


def run(out: Run) -> None:
    """Writes a recording of each input and the digest of what it says."""
    results = out.path / "views" / "results"
    for number, role in enumerate(sorted(out.spec.inputs)):
        path = results / FILES[role]
        results.mkdir(parents=True, exist_ok=True)
        exact = _RENDERERS[role](out.input(role), path)
        says = digest(path)
        write_atomic(path.with_suffix(".rrd.json"), canonical_json(says))
        if not exact:
            say(f"Rerun: this version writes other bytes each time; {path.name} is no result, only its digest is")
            path = path.replace(out.path / "views" / path.name)
        out.event("rerun/recording", number, name=path.name, entities=len(says["entities"]), digest=says["total"])
        say(f"Rerun: {path.name}, {len(says['entities'])} entities, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(run)
