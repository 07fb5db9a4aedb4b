"""Which runs nothing needs any more, and removing them.

A run stays while a job makes it, while a bundle here or in the store cites it, while the configuration plans it,
while a rule for the young or the latest keeps it, and while a run that stays was made from it.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lewm_evidence.errors import ConfigError
from lewm_evidence.records.folder import FoundRun, alone, look
from lewm_evidence.store.retention import DAY, Retention

if TYPE_CHECKING:
    from lewm_evidence.config import Config
    from lewm_evidence.plan import Planned

_AWAY = ".pruned-"  # what is being removed, in the folder of its stage


@dataclass(frozen=True)
class Verdict:
    """Whether a run goes, and why.

    Attributes:
        run: the run.
        goes: whether it may be removed.
        reason: in a few words.
    """

    run: FoundRun
    goes: bool
    reason: str


def judge(runs: Sequence[FoundRun], needed: Mapping[str, str], rule: Retention, now: float) -> list[Verdict]:
    """Returns a verdict on each run, in their order.

    Args:
        runs: every run of a folder, the youngest of a stage first, as `find_runs` gives them.
        needed: why, by `<stage>/<key>`, for runs that something outside of the folder needs.
        rule: what else to keep; `latest` counts in each stage.
        now: the time, seconds since 1970.
    """
    kept = {run.name: needed[run.name] for run in runs if run.name in needed}
    for _, group in groupby(runs, lambda run: run.stage):
        for number, run in enumerate(group):
            reason = _own_reason(run, number, rule, now)
            if reason:
                kept.setdefault(run.name, reason)
    by_name = {run.name: run for run in runs}
    waiting = list(kept)
    while waiting:
        user = waiting.pop()
        for name in by_name[user].inputs:
            if name in by_name and name not in kept:
                kept[name] = f"{user} was made from it"
                waiting.append(name)
    return [Verdict(run, run.name not in kept, kept.get(run.name, "nothing needs it")) for run in runs]


def _own_reason(run: FoundRun, number: int, rule: Retention, now: float) -> str | None:
    if run.state == "running":
        return "a job is making it"
    if run.state == "unreadable":
        return "it cannot be read as a run of this name; look at it, then remove it yourself"
    if number < (rule.latest or 0):
        return f"among the {rule.latest} latest of its stage"
    if rule.days is not None and run.changed >= now - rule.days * DAY:
        return f"younger than {rule.days:g} day{'' if rule.days == 1 else 's'}"
    return None


def remove(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Removes the runs that go and returns all verdicts as they came out.

    A run stays when a job has begun to make it, when it is not as it was judged or cannot be removed, and when a run
    that was made from it stays.
    """
    judged = list(verdicts)
    going = {verdict.run.name: verdict.run for verdict in judged if verdict.goes}
    inputs_first = TopologicalSorter({name: [*filter(going.get, run.inputs)] for name, run in going.items()})
    stay: dict[str, str] = {}
    for left in {left for run in going.values() for left in run.path.parent.glob(f"{_AWAY}*")}:
        shutil.rmtree(left, ignore_errors=True)  # of a call that was stopped
    # What was made from others first, so that a run never lacks its inputs, also after Ctrl-C.
    for name in reversed([*inputs_first.static_order()]):
        if name not in stay and (fault := _remove(going[name])) and going[name].path.exists():
            stay[name] = fault  # else another call has removed it meanwhile
        if name in stay:
            stay = dict.fromkeys(going[name].inputs, f"{name} was made from it") | stay
    return [
        replace(one, goes=False, reason=stay[one.run.name]) if one.goes and one.run.name in stay else one
        for one in judged
    ]


def _remove(run: FoundRun) -> str | None:
    """Removes a run; returns why it stays, if it does."""
    try:
        with alone(run.path) as free:
            if not free:
                return "a job has begun to make it"
            if look(run.path).changed != run.changed:
                return "it has changed since it was looked at"
            # Out of the way in one step: whatever comes, nobody finds half a run there.
            with TemporaryDirectory(dir=run.path.parent, prefix=_AWAY) as away:
                run.path.rename(Path(away, run.path.name))
    except OSError as error:
        return f"it cannot be removed: {error.strerror or error}"
    return None


def cited_by(bundles: Iterable[Path]) -> dict[str, str]:
    """Returns the runs that the bundle folders cite, by name, with the reason to keep them.

    Raises:
        BundleError: when a bundle cannot be read; which runs it cites is not known then.
    """
    from lewm_evidence.seal.bag import INDEX
    from lewm_evidence.seal.bundle import BAG
    from lewm_evidence.seal.documents import Index, canonical_document, checked

    found = {}
    for bundle in bundles:
        index = bundle / BAG / INDEX
        for run in checked(Index, canonical_document(index.read_bytes(), str(index)), str(index)).runs.values():
            found[f"{run.stage}/{run.key}"] = f"{bundle} cites it"
        found[f"seal/{bundle.name}"] = f"it made {bundle}"
    return found


def planned_by(configfile: Path, runs: Path) -> dict[str, str]:
    """Returns the runs that every target of the Snakefile plans with a configuration, with the reason to keep them.

    Raises:
        ConfigError: when the file cannot be read, or not planned with what is installed.
    """
    from lewm_evidence.configfile import read_config
    from lewm_evidence.errors import EvidenceError
    from lewm_evidence.plan import plan
    from lewm_evidence.plan_workers import plan_wandb, plan_workers
    from lewm_evidence.sweep import plan_sweep
    from lewm_evidence.workers.environment import LOCKS

    made: list[Planned] = []
    locks = runs.parent / LOCKS
    try:
        for config in _on_each_device(read_config(configfile)):
            evidence = plan(config, runs)
            made += evidence.values()
            if locks.is_dir():  # else there are no workers here
                for targets in (plan_workers, plan_wandb):
                    made += targets(config, evidence, locks).values()
            if config.sweep is not None:
                sweep = plan_sweep(config, runs)
                made += [*sweep.runs.values(), sweep.aggregate]
    except EvidenceError as error:
        raise ConfigError(f"what {configfile} needs is not known: {error}") from error
    return {run.name: f"{configfile} plans it" for run in made}


def _on_each_device(config: "Config") -> "Iterator[Config]":
    """Yields the configuration for every device that `auto` may mean: the runs may come from another node than this."""
    from lewm_evidence.keys import device_class

    if config.device != "auto":
        yield config
        return
    yield config.model_copy(update={"device": "cpu"})
    with suppress(ConfigError):  # a CPU build of torch
        yield config.model_copy(update={"device": device_class("cuda")})
