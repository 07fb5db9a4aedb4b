"""The runs that a terminal report is about, finished or not, read again and again as they grow."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError
from safetensors import SafetensorError

from lewm_evidence.errors import EvidenceError, StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.folder import free
from lewm_evidence.records.manifest import MANIFEST
from lewm_evidence.records.schema import RECORD, Arrays, Event, Image, Scalar, Spec, Text, Timing
from lewm_evidence.records.tail import Tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lewm_evidence.records.schema import Record

State = Literal["waiting", "running", "done", "failed"]
# In the order in which evidence is made. Whoever makes evidence waits for all from the showcase on.
STAGES = (
    *("fetch", "collect", "train", "showcase", "evaluate", "gate", "render_tensorboard", "render_rerun"),
    *("probe_tensorboard", "probe_rerun", "report", "seal", "verify"),
)
ALWAYS = STAGES[STAGES.index("showcase") :]
_LOG_END = 4096  # bytes of a console log that are looked at


class LiveRun:
    """One run directory.

    Attributes:
        path: the run directory.
        spec: what it was asked to do.
        records: what it has recorded so far, in order.
        timings: what it has measured so far, in order.
        state: `done` with a manifest, `running` while a job holds its lock, else `failed`: ended or killed before that.
        fault: why its records cannot be read, or nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[Record] = []
        self.timings: list[Timing] = []
        self.state: State = "running"
        self.fault = ""
        self._tails = (Tail(path / "records.jsonl"), Tail(path / "timing.jsonl"))
        try:
            self.spec = Spec.model_validate_json((path / "spec.json").read_bytes())
        except ValidationError as error:
            raise StageError(f"{path / 'spec.json'} is not a spec ({error.error_count()} faults)") from error

    @property
    def name(self) -> str:
        """`<stage>/<key>`, as other runs name this one."""
        return f"{self.path.parent.name}/{self.path.name}"

    def turn(self) -> bool:
        """Reads what is new; says whether anything is."""
        if self.state == "done" or self.fault:
            return False
        before = self.state
        # The state first: what a run records before its manifest is there when that is.
        self.state = _state(self.path)
        try:
            new = [self._read(self._tails[0], self.records, RECORD.validate_json)]
            new.append(self._read(self._tails[1], self.timings, Timing.model_validate_json))
        except ValidationError as error:
            self.fault = f"holds a line that is no record: {error.errors()[0]['msg']}"
            return True
        return self.state != before or any(new)

    @staticmethod
    def _read(tail: Tail, into: list[Any], parse: Any) -> bool:
        lines = tail.lines()
        if tail.went_back:
            into.clear()
        into.extend(parse(line) for line in lines)
        return bool(lines) or tail.went_back

    def scalars(self, tag: str) -> dict[int, float]:
        """Returns the values of one scalar tag by step."""
        return {r.step: r.value for r in self.records if isinstance(r, Scalar) and r.tag == tag}

    def events(self, tag: str | None = None) -> list[Event]:
        """Returns the events in order, of one tag if given."""
        return [r for r in self.records if isinstance(r, Event) and tag in (None, r.tag)]

    def text(self, tag: str) -> str:
        """Returns the last text of a tag, or nothing."""
        return next((r.text for r in reversed(self.records) if isinstance(r, Text) and r.tag == tag), "")

    def times(self, tag: str) -> dict[int, float]:
        """Returns the measurements of one tag by step."""
        return {timing.step: timing.value for timing in self.timings if timing.tag == tag}

    def images(self, tag: str) -> dict[int, Image]:
        """Returns the pictures of one tag by step."""
        return {r.step: r for r in self.records if isinstance(r, Image) and r.tag == tag}

    def arrays(self, tag: str) -> "dict[int, dict[str, NDArray[np.generic]]]":
        """Returns the named arrays of one tag by step; a finished file is read once."""
        return {r.step: self._array_file(r.path) for r in self.records if isinstance(r, Arrays) and r.tag == tag}

    @cached_property
    def _files(self) -> "dict[str, dict[str, NDArray[np.generic]]]":
        return {}

    def _array_file(self, path: str) -> "dict[str, NDArray[np.generic]]":
        if path not in self._files:
            self.file(path)
            try:
                self._files[path] = FinishedRun(self.path).arrays(path)
            except SafetensorError as error:
                raise StageError(f"{self.name}: {path} is no safetensors file: {error}") from error
        return self._files[path]

    def file(self, path: str) -> Path:
        """Returns where the file lies that a record names; raises `StageError` unless it is a plain file in the run."""
        found = self.path / path
        if not found.is_file() or not found.resolve().is_relative_to(self.path.resolve()):
            raise StageError(f"{self.name} names {path!r}, which is not a file of the run")
        return found

    @property
    def last_line(self) -> str:
        """What the stage said last on its console, or nothing."""
        logs = sorted(self.path.glob("logs/console*.log"), key=lambda log: log.stat().st_mtime)
        if not logs:
            return ""
        with logs[-1].open("rb") as file:
            file.seek(max(0, logs[-1].stat().st_size - _LOG_END))
            lines = file.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    @property
    def begun(self) -> float:
        """When its job began, in seconds since 1970."""
        lock = self.path / "logs" / "lock"  # opened for writing when a job begins, then held
        return (lock if lock.exists() else self.path / "spec.json").stat().st_mtime


def _state(run: Path) -> State:
    if (run / MANIFEST).exists():
        return "done"
    if not free(run):
        return "running"
    # It may have finished between the two looks.
    return "done" if (run / MANIFEST).exists() else "failed"


@dataclass(frozen=True)
class Place:
    """What a person named.

    Attributes:
        shown: as it was named.
        runs: the folder that holds all runs.
        bundle: the bundle folder or bag that holds them, if they are sealed.
        run: the one run that was named, if one was.
    """

    shown: Path
    runs: Path
    bundle: Path | None = None
    run: Path | None = None


def find(path: Path) -> Place:
    """Returns what lies at `path`; raises `EvidenceError` when that is neither runs nor a run nor a bundle."""
    if not path.is_dir():
        what = "a file (unpack an archive first)" if path.is_file() else "not there"
        wanted = "a folder of runs (`make evidence` makes it), a showcase run, or a bundle folder"
        raise EvidenceError(f"{path} is {what}; give {wanted}")
    for bag in (path / "bag", path):
        if (bag / "bagit.txt").is_file():
            return Place(path, bag / "data" / "runs", bundle=path)
    if (path / "spec.json").is_file():
        return Place(path, path.resolve().parents[1], run=path.resolve())
    return Place(path, path)


class Runs:
    """The runs at a place that belong together, read as they grow.

    These are the last showcase (or the one that was named), everything made from it, everything it was made from, and
    what was made from that checkpoint. Where there is no showcase, the last run of every stage. A run of another
    origin is among them when it was seen running, such as a training that goes on beside.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.chosen: list[LiveRun] = []
        self.faults: dict[Path, str] = {}
        self._known: dict[str, LiveRun] = {}
        self._beside: set[str] = set()

    def turn(self) -> bool:
        """Looks for new runs and new records; says whether there are any."""
        new = self._discover()
        if self.place.run is None:
            self._beside |= {name for name, run in self._known.items() if _state(run.path) == "running"}
        chosen = _together(self._known, self.place.run, self._beside)
        new |= [run.name for run in chosen] != [run.name for run in self.chosen]
        self.chosen = chosen
        return sum(run.turn() for run in chosen) > 0 or new

    def _discover(self) -> bool:
        there = {name: run for name, run in self._known.items() if run.path.is_dir()}
        new, self._known = len(there) < len(self._known), there
        self._beside &= there.keys()
        for spec in sorted(self.place.runs.glob("*/*/spec.json")):
            path = spec.parent
            if f"{path.parent.name}/{path.name}" in self._known or path in self.faults:
                continue
            new = True
            try:
                run = LiveRun(path)
                if run.spec.stage != path.parent.name:
                    raise StageError(f"{path} is not a run of the stage that its spec names")
                self._known[run.name] = run
            except (StageError, OSError) as error:
                self.faults[path] = str(error)
        return new

    def stage(self, stage: str) -> LiveRun | None:
        """Returns the run of a stage, or nothing; of several trainings the first."""
        return next((run for run in self.chosen if run.spec.stage == stage), None)

    @property
    def running(self) -> bool:
        """Whether any of them is being made."""
        return any(run.state == "running" for run in self.chosen)


def _together(known: dict[str, LiveRun], named: Path | None, beside: set[str]) -> list[LiveRun]:
    newest = sorted(known.values(), key=lambda run: (run.begun, run.name), reverse=True)
    if named is not None:
        anchor = known.get(f"{named.parent.name}/{named.name}")
    else:
        anchor = next((run for run in newest if run.spec.stage == "showcase"), None)
    origin = _origin(known, anchor) if anchor else set()
    chosen = dict.fromkeys(origin)
    stages = {known[name].spec.stage for name in origin}
    for run in newest:
        made_of = _origin(known, run)
        if run.spec.stage not in stages and (anchor is None or made_of & origin):
            chosen.update(dict.fromkeys(made_of))
            stages |= {known[name].spec.stage for name in made_of}
    chosen.update({name: None for name in beside if known[name].spec.stage not in stages})
    rank = {stage: number for number, stage in enumerate(STAGES)}
    return sorted((known[name] for name in chosen), key=lambda run: (rank.get(run.spec.stage, len(rank)), run.name))


def _origin(known: dict[str, LiveRun], run: LiveRun) -> set[str]:
    """Returns the names of a run and of everything it was made from, as far as that is here."""
    found, open_ = set(), [run.name]
    while open_:
        name = open_.pop()
        if name in known and name not in found:
            found.add(name)
            open_ += known[name].spec.inputs.values()
    return found


def waiting(chosen: Iterable[LiveRun]) -> Iterator[str]:
    """Yields the stages that evidence still waits for."""
    there = {run.spec.stage for run in chosen}
    yield from (stage for stage in ALWAYS if stage not in there)


def read_summary(path: Path) -> dict[str, Any]:
    """Returns the summary that a showcase wrote; raises `EvidenceError` when the file is not one."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path} cannot be read as JSON: {error}; give the summary the showcase wrote") from error
    if not isinstance(summary, dict):
        raise EvidenceError(f"{path} holds no JSON object; give the summary that the showcase wrote")
    return summary
