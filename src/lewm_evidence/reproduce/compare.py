"""Where and by how much two runs of one spec differ: file, line and tag, tensor and place, pixel."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.reproduce.tolerances import EXACT, PIXEL, PIXEL_SHARE, Tolerance, tolerance
from lewm_evidence.seal.runs import SPEC

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Verdict = Literal["equal", "within tolerance", "different"]
_DIGEST = re.compile(r"[0-9a-f]{12,64}")
_LONGEST = 60
# Stages that copy bytes: nothing they write depends on the machine.
_COPIED = {"fetch"}


@dataclass(frozen=True)
class Difference:
    """One difference between two files.

    Attributes:
        place: where in the file, for a person.
        sealed: what the first file has there.
        found: what the second has.
        size: by how much numbers differ; None for what is no number.
        allowed: how much they may.
        derived: a digest or text that follows from other values, so that it says nothing by itself.
    """

    place: str
    sealed: str
    found: str
    size: float | None = None
    allowed: float = 0.0
    derived: bool = False

    @property
    def within(self) -> bool:
        """Whether the difference is a small number."""
        return self.size is not None and self.size <= self.allowed

    def __str__(self) -> str:
        by = "" if self.size is None else f", off by {self.size:.3g} (allowed {self.allowed:.3g})"
        return f"{self.place}: sealed {self.sealed}, here {self.found}{by}"


@dataclass(frozen=True)
class FileDifference:
    """What is different in one file: the first place, the worst, and how many there are."""

    file: str
    first: Difference
    worst: Difference
    count: int


@dataclass(frozen=True)
class Comparison:
    """How a run made again compares with the sealed one.

    Attributes:
        verdict: `equal` also when only keys differ, because code, packages or inputs have other names.
        sealed: result digest of the sealed run.
        found: result digest of the other.
        files: those that differ.
    """

    verdict: Verdict
    sealed: str
    found: str
    files: tuple[FileDifference, ...]

    @property
    def first(self) -> FileDifference | None:
        """The file to look at: the first that is off by too much, else the first that differs at all."""
        return next((file for file in self.files if not _fine(file)), self.files[0] if self.files else None)

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields, for JSON."""
        return asdict(self)


def compare_runs(sealed: FinishedRun, found: FinishedRun, same_inputs: bool) -> Comparison:
    """Compares the results of two runs file by file.

    Args:
        sealed: the run to compare with.
        found: the run made again.
        same_inputs: whether its inputs were equal; if not, digests and texts may differ because of them.
    """
    digests = (sealed.manifest.result_digest, found.manifest.result_digest)
    if digests[0] == digests[1]:
        return Comparison("equal", *digests, ())
    differences = tuple(_different_files(sealed, found))
    return Comparison(_verdict(differences, same_inputs), *digests, differences)


def _verdict(files: tuple[FileDifference, ...], same_inputs: bool) -> Verdict:
    if not files:
        return "equal"
    measured = [file for file in files if not file.worst.derived]
    if not all(_fine(file) for file in files) or (same_inputs and not measured):
        return "different"
    return "within tolerance"


def _fine(file: FileDifference) -> bool:
    return file.worst.within or file.worst.derived


def _different_files(sealed: FinishedRun, found: FinishedRun) -> Iterator[FileDifference]:
    before, after = _results(sealed), _results(found)
    # The spec names the code, the packages and the inputs' keys: that they differ is said elsewhere.
    for name in sorted((before.keys() | after.keys()) - {SPEC}, key=str.encode):
        if before.get(name) == after.get(name):
            continue
        if name not in after or name not in before:
            words = ("is there", "is missing") if name in before else ("is missing", "is there")
            alone = Difference("the file", *words)
            yield FileDifference(name, alone, alone, 1)
            continue
        differences = compare_files(name, sealed.path / name, found.path / name)
        if sealed.manifest.stage in _COPIED:
            differences = (replace(one, allowed=0.0, derived=False) for one in differences)
        if summary := summarise(name, differences):
            yield summary


def _results(run: FinishedRun) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in run.manifest.files if entry.role == "result"}


def summarise(file: str, differences: Iterable[Difference]) -> FileDifference | None:
    """Returns first, worst and number of `differences`, None when there are none."""
    first = worst = None
    count = 0
    for one in differences:
        count += 1
        first = first or one
        worst = one if worst is None or _badness(one) > _badness(worst) else worst
    return FileDifference(file, first, worst, count) if first and worst else None


def _badness(one: Difference) -> float:
    """How bad a difference is, so that the worst of a file can be named: 1 is just allowed."""
    if one.derived:
        return -1.0
    if one.size is None:
        return float("inf")
    return one.size / one.allowed if one.allowed else 1e300


def compare_files(name: str, sealed: Path, found: Path) -> Iterator[Difference]:
    """Yields the differences between two files of one name, in the order of the file. Equal bytes give none."""
    before, after = sealed.read_bytes(), found.read_bytes()
    if before == after:
        return
    try:
        differences = list(_by_kind(name, before, after))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, RecursionError):
        differences = []  # one of them is not what its name says
    # Without any, the bytes differ and what they say does not: order of keys, compression, framing.
    yield from differences or [_bytes(before, after)]


def _by_kind(name: str, before: bytes, after: bytes) -> Iterator[Difference]:
    if name.endswith(".jsonl"):
        return _lines(before, after)
    if name.endswith(".rrd.json"):
        return _entities(before, after)
    if name.endswith(".json"):
        return _values(json.loads(before), json.loads(after), "")
    if name.endswith(".safetensors"):
        return _tensors(name, before, after)
    if name.endswith(".png"):
        return _pixels(before, after, "")
    if "tfevents" in name:
        return _events(before, after)
    # Compressed, with ids and a layout of its own; the digests beside it say which entity differs.
    return iter([_bytes(before, after, derived=name.endswith(".rrd"))])


def _bytes(before: bytes, after: bytes, derived: bool = False) -> Difference:
    at = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    sizes = (f"{len(before)} bytes", f"{len(after)} bytes")
    if len(before) == len(after):
        sizes = (f"0x{before[at]:02x}", f"0x{after[at]:02x}")
    return Difference(f"byte {at}", *sizes, derived=derived)


def _number(place: str, name: str, before: float, after: float, scale: float | None = None) -> Difference | None:
    if before == after:
        return None
    allowed = tolerance(name).allowed(max(abs(before), abs(after)) if scale is None else scale)
    return Difference(place, f"{before!r}", f"{after!r}", abs(before - after), allowed)


def _words(place: str, before: Any, after: Any, derived: bool = False) -> Difference | None:
    return None if before == after else Difference(place, _short(before), _short(after), derived=derived)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _lines(before: bytes, after: bytes) -> Iterator[Difference]:
    """Yields differences of two record files; the first line that records something else ends it."""
    rows = [data.decode().splitlines() for data in (before, after)]
    for number, (a, b) in enumerate(zip(*rows, strict=False), 1):
        if a == b:
            continue
        old, new = json.loads(a), json.loads(b)
        what = [(line.get("kind"), line.get("tag"), line.get("step")) for line in (old, new)]
        if what[0] != what[1]:
            words = [f"{kind} {tag} step {step}" for kind, tag, step in what]
            yield Difference(f"line {number}", words[0], words[1])
            return
        place = f"line {number}, {what[0][0]} {what[0][1]} step {what[0][2]}"
        yield from _record(place, old, new)
    if len(rows[0]) != len(rows[1]):
        yield Difference(f"line {min(map(len, rows)) + 1}", f"{len(rows[0])} lines", f"{len(rows[1])} lines")


def _record(place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    same = {"kind", "tag", "step", "v"}
    for field in sorted((old.keys() | new.keys()) - same):
        if field == "text":
            yield from _found(_words(place, old.get(field), new.get(field), derived=True))
        else:
            name = old["tag"] if field in ("value", "values") else f"{old['tag']}/{field}"
            yield from _values(old.get(field), new.get(field), name, f"{place}, {field}")


def _values(old: Any, new: Any, name: str, place: str = "") -> Iterator[Difference]:
    """Yields differences of two JSON values; `name` grows with the path and chooses the tolerance."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = f"{name}/{key}" if name else key
            if key not in old or key not in new:
                missing = ("absent", _short(new[key])) if key not in old else (_short(old[key]), "absent")
                yield Difference(f"{place}.{key}" if place else key, *missing)
            else:
                yield from _values(old[key], new[key], inner, f"{place}.{key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from _values(*pair, name, f"{place}[{number}]")
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new)):
        yield from _found(_number(place, name, old, new))
    else:
        digests = all(isinstance(value, str) and _DIGEST.fullmatch(value) for value in (old, new))
        yield from _found(_words(place, old, new, derived=digests))


def _found(one: Difference | None) -> Iterator[Difference]:
    if one is not None:
        yield one


def _entities(before: bytes, after: bytes) -> Iterator[Difference]:
    """Yields which entities of a Rerun recording say something else, from the digests beside it."""
    old, new = (json.loads(data)["entities"] for data in (before, after))
    for entity in sorted(old.keys() | new.keys()):
        if entity not in old or entity not in new:
            words = ("is there", "is missing") if entity in old else ("is missing", "is there")
            yield Difference(f"entity {entity}", *words)
        else:
            yield from _found(_words(f"entity {entity}", old[entity], new[entity], derived=True))


def _tensors(name: str, before: bytes, after: bytes) -> Iterator[Difference]:
    old, new = (read_tensors(data) for data in (before, after))
    for tensor in sorted(old.keys() | new.keys()):
        place = f"tensor {tensor}"
        if tensor not in old or tensor not in new:
            words = ("is there", "is missing") if tensor in old else ("is missing", "is there")
            yield Difference(place, *words)
            continue
        a, b = old[tensor], new[tensor]
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            yield Difference(place, f"{a.dtype} {list(a.shape)}", f"{b.dtype} {list(b.shape)}")
        else:
            yield from _array(place, f"{name}:{tensor}" if name.startswith("checkpoint/") else tensor, a, b)


def _array(place: str, name: str, a: "NDArray[np.generic]", b: "NDArray[np.generic]") -> Iterator[Difference]:
    """Yields the largest difference of two arrays of one shape, with its index and how many values differ."""
    import numpy as np

    equal = (a == b) | ((a != a) & (b != b))  # NaN equals NaN here
    off = np.argwhere(~equal)
    if not len(off):
        if a.tobytes() != b.tobytes():
            yield Difference(place, "another sign of zero or NaN", "")
        return
    with np.errstate(invalid="ignore", over="ignore"):  # also a signalling NaN warns when it is converted
        x, y = a.astype(np.float64), b.astype(np.float64)
        gaps = np.where(equal, 0.0, np.abs(np.nan_to_num(x - y, nan=np.inf, posinf=np.inf, neginf=np.inf)))
    worst = tuple(int(n) for n in np.unravel_index(int(gaps.argmax()), gaps.shape))
    scale = float(np.max(np.abs(np.nan_to_num(x, posinf=0.0, neginf=0.0)))) if name_is_measured(name) else 0.0
    where = f"{place}{list(worst)}" if worst else place
    many = f" ({len(off)} of {a.size} values differ, the largest)" if len(off) > 1 else ""
    found = tolerance(name).allowed(scale) if np.issubdtype(a.dtype, np.floating) else EXACT.absolute
    # Integers beyond 2^53 may differ by nothing that a float can hold.
    size = float(gaps[worst]) if 0 < gaps[worst] < np.inf else None
    yield Difference(where + many, f"{x[worst]:.9g}", f"{y[worst]:.9g}", size, found)


def name_is_measured(name: str) -> bool:
    """Whether values called `name` have a tolerance at all."""
    return tolerance(name) is not EXACT


_KINDS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?"},
}


def read_tensors(data: bytes) -> "dict[str, NDArray[Any]]":
    """Returns the arrays of a safetensors file; bfloat16, which numpy lacks, as float32."""
    import numpy as np

    end = 8 + int.from_bytes(data[:8], "little")
    found: dict[str, NDArray[Any]] = {}
    for name, row in json.loads(data[8:end]).items():
        if name == "__metadata__":
            continue
        first, last = (end + offset for offset in row["data_offsets"])
        if row["dtype"] == "BF16":
            array = (np.frombuffer(data[first:last], "<u2").astype("<u4") << 16).view("<f4")
        else:
            array = np.frombuffer(data[first:last], _KINDS.get(row["dtype"], "u1"))
        found[name] = array.reshape(row["shape"]) if row["dtype"] in (*_KINDS, "BF16") else array
    return found


def _pixels(before: bytes, after: bytes, place: str) -> Iterator[Difference]:
    """Yields one difference for two pictures: the first pixel, how many, and the share beyond the tolerance."""
    import io

    import numpy as np
    from PIL import Image

    a, b = (np.asarray(Image.open(io.BytesIO(data))) for data in (before, after))
    if a.shape != b.shape:
        yield Difference(f"{place}picture", f"{list(a.shape)}", f"{list(b.shape)}")
        return
    gaps = np.abs(a.astype(np.int64) - b.astype(np.int64))
    gaps = gaps.max(axis=2) if gaps.ndim == 3 else gaps
    if not gaps.any():
        return
    y, x = (int(n) for n in np.argwhere(gaps)[0])
    beyond = float((gaps > PIXEL.absolute).mean())
    words = (f"{a[y, x].tolist()}", f"{b[y, x].tolist()}; {int((gaps > 0).sum())} of {gaps.size} pixels differ")
    where = f"{place}pixel ({x}, {y}), share of pixels off by more than {PIXEL.absolute:g}"
    yield Difference(where, *words, beyond, PIXEL_SHARE)


def _events(before: bytes, after: bytes) -> Iterator[Difference]:
    """Yields differences of two TensorBoard event files; the first event that is of another tag or step ends it."""
    old, new = (list(_points(data)) for data in (before, after))
    for number, ((tag, step, a), (other, there, b)) in enumerate(zip(old, new, strict=False)):
        if (tag, step) != (other, there):
            yield Difference(f"point {number}", f"{tag} step {step}", f"{other} step {there}")
            return
        yield from _point(f"{tag} step {step}", tag.split("#")[0], a, b)
    if len(old) != len(new):
        yield Difference(f"point {min(len(old), len(new))}", f"{len(old)} points", f"{len(new)} points")


def _points(data: bytes) -> Iterator[tuple[str, int, Any]]:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.util.tensor_util import make_ndarray

    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        try:
            event = Event.FromString(data[at + 12 : at + 12 + size])
        except DecodeError as error:
            raise ValueError(f"no event at byte {at}") from error
        at += size + 16
        for value in event.summary.value:
            tensor = make_ndarray(value.tensor)
            yield value.tag, event.step, list(tensor.flat) if tensor.dtype == object else tensor


def _point(place: str, tag: str, a: Any, b: Any) -> Iterator[Difference]:
    if isinstance(a, list) and isinstance(b, list):
        for x, y in zip(a, b, strict=False):
            if x != y and x.startswith(b"\x89PNG") and y.startswith(b"\x89PNG"):
                yield from _pixels(x, y, f"{place}, ")
            elif x != y:
                yield Difference(
                    place, _short(x.decode(errors="replace")), _short(y.decode(errors="replace")), None, 0, True
                )
    elif isinstance(a, list) or isinstance(b, list) or a.shape != b.shape:
        yield Difference(place, "a value", "a value of another kind or shape")
    else:
        yield from _array(place, tag, a, b)


__all__ = ["Comparison", "Difference", "FileDifference", "Tolerance", "compare_files", "compare_runs"]
