"""In which ways an evaluation is not the paper's, in sentences; read from the specs and protocols of its runs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lewm_evidence.config import PAPER_PLANNER, Planner, Starts
from lewm_evidence.presets import presets
from lewm_evidence.records import FinishedRun
from lewm_evidence.stages.published import PROTOCOLS, Protocol


def differences(runs: Mapping[str, FinishedRun], world: str) -> Iterator[str]:
    """Yields a sentence for each way in which checkpoint, data or protocol are not the paper's.

    Args:
        runs: `checkpoint`, `starts`, `success` and `surprise`.
        world: the checkpoint's.
    """
    yield from _checkpoint(runs["checkpoint"])
    yield from _data(dict(runs["starts"].events("starts/protocol")[0].fields))
    if world in PROTOCOLS:
        starts = Starts.model_validate(runs["starts"].spec.config["starts"])
        planner = Planner.model_validate(runs["success"].spec.config["planner"])
        yield from _protocol(starts, planner, PROTOCOLS[world])
    else:
        yield "The paper has no numbers for this world."
    yield "Planned actions are clipped to the simulator's [-1, 1]; the published evaluation executes them as they are."
    yield "The paper's spreads are over training seeds or pictures; these intervals are over starts or episodes."


def _checkpoint(run: FinishedRun) -> Iterator[str]:
    config = run.spec.config
    known = {(row.repo, row.revision) for row in presets().values()}
    if (config.get("repo"), config.get("revision")) in known:
        return
    model = json.loads((run.path / "checkpoint" / "config.json").read_bytes())
    encoder = model.get("encoder", {})
    yield (
        f"Another checkpoint than the paper's: {encoder.get('kind')} encoder at {encoder.get('image_size')} px with "
        f"latents of {model.get('dim')} numbers; the paper's has a ViT-tiny at 224 px and 192."
    )


def _data(protocol: Mapping[str, Any]) -> Iterator[str]:
    if protocol["source"] == "scripted":
        yield (
            f"Starts and probed episodes are scripted (seed {protocol['seed']}), not the paper's recorded ones: they "
            "differ in what is done and in how far goals are, so success rates are not the same quantity."
        )
    else:
        yield "Starts come from the dataset as a whole, training episodes included, as in the published evaluation."


def _protocol(starts: Starts, planner: Planner, paper: Protocol) -> Iterator[str]:
    if starts.episodes != paper.episodes:
        yield f"{starts.episodes} starts instead of {paper.episodes}, drawn by the same rule."
    if (starts.goal_offset, starts.budget) != (paper.goal_offset, paper.budget):
        yield (
            f"Goals lie {starts.goal_offset} steps ahead with a budget of {starts.budget}; the paper says "
            f"{paper.goal_offset} and {paper.budget} for this world."
        )
    if starts.choice_seed != 42:
        yield f"Starts are drawn with seed {starts.choice_seed} instead of 42."
    given, wanted = planner.model_dump(), {**PAPER_PLANNER.model_dump(), "iterations": paper.iterations}
    changed = [f"{name} {given[name]} instead of {value}" for name, value in wanted.items() if given[name] != value]
    if changed:
        yield f"Other CEM settings: {', '.join(changed)}."
