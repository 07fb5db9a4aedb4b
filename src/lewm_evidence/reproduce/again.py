"""Making the runs of a bundle again from the bundle alone, stage by stage, and comparing each with the sealed one.

The plan.

1. The bundle is verified; an archive is unpacked into a private folder.
2. What was needed to make it, and how this machine and installation differ, is told before anything runs.
3. Every stage is started as the pipeline starts it, in a folder of its own, inputs before users. Its spec is the
   sealed one with the code digest and package versions of this installation, so nothing is claimed of other code.
4. Each result is compared with the sealed one. What needs a stage that came out different is not made again: its
   own difference would say nothing new.

A stage whose input was not made again takes the sealed input from the bundle.
"""

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lewm_evidence.errors import BundleError, StageError
from lewm_evidence.keys import PACKAGE, device_class, import_closure, resolved_versions
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.run import run_key
from lewm_evidence.records.schema import Spec
from lewm_evidence.records.start import start_stage
from lewm_evidence.reproduce.compare import Comparison, compare_runs
from lewm_evidence.reproduce.environment import Change, changes, described, needed, other_code
from lewm_evidence.reproduce.opened import Opened, opened
from lewm_evidence.seal.keys import AllowedSigners

Outcome = Literal["equal", "within tolerance", "different", "skipped", "failed"]
# Run only when asked for: what they write is about this machine, or about the bundle itself.
_SKIPPED = {
    "seal": "it makes the bundle",
    "verify": "it checks the bundle",
    "report": "it shows timings; its numbers are those of the other stages",
    "probe_tensorboard": "it asks a viewer on this machine",
    "probe_rerun": "it asks a viewer on this machine",
}


@dataclass(frozen=True)
class Stage:
    """What became of one stage.

    Attributes:
        name: the stage as the bundle calls it.
        run: `<stage>/<key>` of the sealed run.
        again: `<stage>/<key>` of the new run; None when there is none.
        outcome: what came of it.
        reason: why it was skipped or failed; what else there is to know.
        comparison: None when there is nothing to compare.
    """

    name: str
    run: str
    again: str | None
    outcome: Outcome
    reason: str = ""
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Reproduction:
    """The result of making a bundle's runs again.

    Attributes:
        address: of the bundle.
        verdict: the worst of the stages that ran; `could not run` when a stage failed, or none ran.
        environment: lines on what was needed.
        changes: in what this environment differs.
        other_code: stages whose installed code is another.
        stages: in the order they were looked at.
    """

    address: str
    environment: list[str]
    changes: list[Change]
    other_code: list[str]
    stages: list[Stage] = field(default_factory=list)

    @property
    def verdict(self) -> Literal["equal", "within tolerance", "different", "could not run"]:
        """The worst that came of a stage."""
        outcomes = {stage.outcome for stage in self.stages} - {"skipped"}
        if "different" in outcomes:
            return "different"
        if "failed" in outcomes or not outcomes:
            return "could not run"
        return "within tolerance" if "within tolerance" in outcomes else "equal"

    @property
    def first_difference(self) -> Stage | None:
        """The first stage that came out different, else the first that is within tolerance."""
        for wanted in ("different", "within tolerance"):
            for stage in self.stages:
                if stage.outcome == wanted:
                    return stage
        return None

    def as_dict(self) -> dict[str, Any]:
        """Returns everything, for JSON."""
        return {"verdict": self.verdict} | asdict(self)


def reproduce(
    path: Path,
    into: Path,
    only: Collection[str] = (),
    threads: int | None = None,
    keep_going: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    allowed: AllowedSigners | None = None,
) -> Reproduction:
    """Makes the runs of the bundle at `path` again below the empty folder `into` and compares them.

    Args:
        path: bundle folder, bag or archive.
        into: gets `runs/` and `logs/`; made when it does not exist.
        only: names of stages; others are not run, and what these need of them is taken from the bundle.
        threads: torch threads; by default what the bundle was made with.
        keep_going: also run what needs a stage that came out different.
        tell: is given a line whenever something happens.
        allowed: who may have signed it; without it anybody.

    Raises:
        RefusedError: the bundle is not as it was sealed, or signed by somebody else.
        BundleError: it cannot be read, `into` is not empty, or `only` names a stage that it does not hold.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise BundleError(f"{into} is not an empty folder; name a new one with --into")
    with opened(path, allowed) as bundle:
        if bundle.address is None:
            raise BundleError(f"{path} is a run, not a bundle; give a bundle folder, a bag or an archive")
        unknown = sorted(set(only) - bundle.runs.keys())
        if unknown:
            raise BundleError(f"{path} holds no stage {unknown[0]!r}; it holds {', '.join(bundle.runs)}")
        return _Work(bundle, into.absolute(), only, threads, keep_going, tell).run()


class _Work:
    def __init__(
        self,
        bundle: Opened,
        into: Path,
        only: Collection[str],
        threads: int | None,
        keep_going: bool,
        tell: Callable[[str], None],
    ) -> None:
        self.bundle, self.into, self.only, self.keep_going, self.tell = bundle, into, only, keep_going, tell
        self.order = topological(bundle.runs)
        asked = [bundle.runs[name] for name in self.order if self.why_not(name) is None]
        environment = needed(asked)
        self.threads = threads or int(environment.get("threads") or 1)
        self.result = Reproduction(
            bundle.address or "",
            described(environment, bundle.locks),
            changes(environment, self.threads),
            other_code(run.spec for run in asked),
        )
        # What the stages that need a run take it for: its new name, and whether it came out equal.
        self.names: dict[str, str] = {}
        self.outcomes: dict[str, Outcome] = {}
        # Runs that were asked for but not made, because of what came before them.
        self.blocked: set[str] = set()

    def why_not(self, name: str) -> str | None:
        """Returns why a stage is not run; None when it is."""
        if self.only:
            return None if name in self.only else "not asked for"
        return _SKIPPED.get(self.bundle.runs[name].spec.stage)

    def run(self) -> Reproduction:
        self.tell(f"verified  address sha256:{self.bundle.address}")
        self.tell(f"signed by {self.bundle.signer}")
        for label, lines in (("made with", self.result.environment), ("here", self.differs())):
            for line in lines:
                self.tell(f"{label:<9} {line}")
        self.into.mkdir(parents=True, exist_ok=True)
        for name in self.order:
            stage = self.stage(name)
            self.result.stages.append(stage)
            self.outcomes[stage.run] = stage.outcome
            self.tell(row(stage))
        return self.result

    def differs(self) -> list[str]:
        found = [str(change) for change in self.result.changes]
        if self.result.other_code:
            found.append(
                f"the installed code of {', '.join(self.result.other_code)} is not the sealed code; "
                "it runs all the same under new keys and is compared by what it writes"
            )
        return found or ["the same in all that is recorded"]

    def stage(self, name: str) -> Stage:
        sealed = self.bundle.runs[name]
        reason = self.why_not(name)
        if reason is not None:
            return Stage(name, sealed.name, None, "skipped", reason)
        if reason := self.blocked_by(sealed):
            self.blocked.add(sealed.name)
            return Stage(name, sealed.name, None, "skipped", reason)
        try:
            spec = self.spec(sealed)
        except StageError as error:
            return Stage(name, sealed.name, None, "failed", str(error))
        again = FinishedRun(self.into / "runs" / spec.stage / run_key(spec))
        failure = self.start(name, spec)
        if failure:
            hint = ". To go on from the sealed checkpoint, name other stages with --only" if name == "fetch" else ""
            return Stage(name, sealed.name, None, "failed", failure + hint)
        self.names[sealed.name] = again.name
        same = all(self.outcomes.get(needs) in (None, "equal", "skipped") for needs in sealed.spec.inputs.values())
        comparison = compare_runs(sealed, again, same)
        note = "" if spec.device == sealed.spec.device else f"sealed on {sealed.spec.device}, here on {spec.device}"
        return Stage(name, sealed.name, again.name, comparison.verdict, note, comparison)

    def blocked_by(self, sealed: FinishedRun) -> str | None:
        """Returns which input keeps a run from saying anything new; None when it can be made."""
        for needs in sorted(sealed.spec.inputs.values()):
            stage, before = needs.split("/")[0], self.outcomes.get(needs)
            if before == "failed" or (before == "different" and not self.keep_going):
                return f"its input {stage} {'failed' if before == 'failed' else 'is different'}"
            if needs in self.blocked:
                return f"its input {stage} was not made again"
        return None

    def spec(self, sealed: FinishedRun) -> Spec:
        """Returns the sealed spec with the code, packages, device and inputs of this installation."""
        old = sealed.spec
        closure = import_closure(f"{PACKAGE}.stages.{old.stage}")
        device = old.device
        if device == "cuda" and device_class("auto") != "cuda":
            device = "cpu"
        return old.model_copy(
            update={
                "code": closure.digest,
                "packages": resolved_versions(closure.packages),
                "device": device,
                "inputs": {role: self.input(name) for role, name in old.inputs.items()},
            }
        )

    def input(self, name: str) -> str:
        """Returns the name of the run to use for the sealed run `name`, which is copied when not made again."""
        if name in self.names:
            return self.names[name]
        for sealed in self.bundle.runs.values():
            if sealed.name == name:
                shutil.copytree(sealed.path, self.into / "runs" / name, dirs_exist_ok=True)
                return name
        raise StageError(f"its input {name} is not in the bundle")

    def start(self, name: str, spec: Spec) -> str | None:
        """Runs a stage as the pipeline does; returns None, or the last lines it said when it failed."""
        self.tell(f"running   {name}")
        log = self.into / "logs" / f"{name}.log"
        return start_stage(
            spec, self.into / "runs", log, lambda line: self.tell(f"          {line}"), self.threads, self.into
        )


def topological(runs: Mapping[str, FinishedRun]) -> list[str]:
    """Returns the names of `runs`, inputs before users, otherwise by name."""
    by_run = {run.name: name for name, run in runs.items()}
    order: dict[str, None] = {}

    def add(name: str) -> None:
        # Keys are digests that include those of the inputs: a circle cannot be made.
        for needs in sorted(runs[name].spec.inputs.values()):
            if needs in by_run and by_run[needs] not in order:
                add(by_run[needs])
        order[name] = None

    for name in sorted(runs):
        if name not in order:
            add(name)
    return list(order)


def row(stage: Stage) -> str:
    """Returns a line on what became of a stage, and below it what is different."""
    line = f"{stage.outcome:<17}{stage.name:<19}{stage.reason}".rstrip()
    comparison = stage.comparison
    if comparison is None or comparison.first is None:
        return line
    first = comparison.first
    shown = first.first if first.first.within == first.worst.within else first.worst
    many = len(comparison.files)
    lines = [line, f"  {many} file{'s differ' if many > 1 else ' differs'}; {first.file}: {shown}"]
    if first.count > 1 and first.worst != shown:
        lines.append(f"  the worst of {first.count} differences there: {first.worst}")
    return "\n".join(lines)
