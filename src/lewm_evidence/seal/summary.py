"""What a person wants to know of a bundle at the end: is it good news, which bundle is it, where to look."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from lewm_evidence.errors import BundleError, StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.seal.bag import INDEX, TAG_MANIFEST
from lewm_evidence.seal.bundle import BAG
from lewm_evidence.seal.documents import Index, canonical_document, checked
from lewm_evidence.seal.tree import stored

_METHODS = {"lewm": "LeWM", "random": "random", "noop": "no-op"}


def summary(bundle: Path) -> list[str]:
    """Returns the lines that `make evidence` ends with, for the bundle folder `bundle`.

    Nothing is verified here. Raises `BundleError` when `bundle` is not a bundle folder.
    """
    bag = bundle / BAG
    try:
        index = checked(Index, canonical_document((bag / INDEX).read_bytes(), INDEX), INDEX)
        address = stored(bag / TAG_MANIFEST).sha256
    except OSError as error:
        raise BundleError(f"{bundle} is not a bundle folder: {error.filename} cannot be read") from error
    runs = {run.stage: FinishedRun(bag / run.folder) for run in index.runs.values()}
    lines = [f"bundle   {bundle}", f"address  sha256:{address}", f"result   {index.result_digest}"]
    for stage, tell in (("evaluate", _scores), ("score", _skipped), ("gate", _verdict)):
        if stage in runs:
            try:
                lines += tell(runs[stage])
            except (KeyError, TypeError, ValueError) as error:
                sentence = (
                    f"{runs[stage].path} does not hold what is told of it ({error}); was it made by another version?"
                )
                raise StageError(sentence) from error
    return [*lines, *_places(bundle, runs)]


def _skipped(run: FinishedRun) -> Iterator[str]:
    for event in run.events("score/skipped"):
        yield f"skipped  {event.fields['stage']}: {event.fields['reason']}"


def _scores(run: FinishedRun) -> Iterator[str]:
    scalars = {record.tag: record.value for record in run.records("scalar") if record.kind == "scalar"}

    def interval(tag: str, scale: float, digits: int) -> str:
        value, low, high = (scalars[tag + end] * scale for end in ("", "_low", "_high"))
        return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    for method, name in _METHODS.items():
        success = interval(f"evaluate/{method}/success_rate", 100, 0)
        error = interval(f"evaluate/{method}/mean_final_error_px", 1, 1)
        yield f"{name:<8} success {success} %   final error {error} px"
    for baseline in ("random", "noop"):
        difference = interval(f"evaluate/lewm_minus_{baseline}/final_error_px", 1, 1)
        yield f"LeWM minus {_METHODS[baseline]:<6}  final error {difference} px"
    yield "         (95 % intervals, paired starts)"


def _verdict(run: FinishedRun) -> Iterator[str]:
    for check in run.events("gate/check"):
        yield f"holds    {check.fields['name']}: {check.fields['value']:.1f} px, below {check.fields['bound']:.1f} px"


def _places(bundle: Path, runs: dict[str, FinishedRun]) -> Iterator[str]:
    program, place = _program(), shlex.quote(str(bundle))
    for page in (*_files(runs, "report", ".html"), *_files(runs, "compare", ".html")):
        yield f"report   {page}"
    if "report" in runs:
        yield f"look     {program} report {place}"
    if any("tfevents" in file.name for file in _files(runs, "render_tensorboard", "")):
        yield f"look     {program} open-tensorboard --logdir {place}"
    if _files(runs, "render_rerun", "showcase.rrd"):
        yield f"look     {program} open-rerun {place}"
    yield f"check    {program} verify {place}"


def _program() -> str:
    """This program as a person can type it here: by its name where a shell finds it, else by its place."""
    name = "lewm-evidence"
    place = Path(sys.executable).with_name(name)
    if shutil.which(name) or not place.exists():
        return name
    return shlex.quote(str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place))


def _files(runs: dict[str, FinishedRun], stage: str, ending: str) -> list[Path]:
    if stage not in runs:
        return []
    run = runs[stage]
    return [run.path / entry.path for entry in run.manifest.files if entry.path.endswith(ending)]
