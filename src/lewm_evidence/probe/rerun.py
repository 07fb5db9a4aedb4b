"""Asks Rerun itself whether a recording can be read, and reads back what the records say it must hold."""

import json
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.process import child, last_lines
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Arrays, Event, Histogram, Image, Scalar, Text
from lewm_evidence.render.chunks import Chunk, RrdReader

_VERIFY_LIMIT = 120.0


class Point(NamedTuple):
    """A cell read back: its index values by timeline (empty when static) and its content."""

    times: dict[str, int]
    content: Any


class Check(NamedTuple):
    """What was compared: `points` rows of the `kind` of thing at `entity`."""

    entity: str
    kind: str
    points: int


# What is stored for each kind of record, and how a stored cell is read.
_COMPONENTS = {
    "scalar": "Scalars:scalars",
    "histogram": "BarChart:values",
    "image": "EncodedImage:blob",
    "text": "TextDocument:text",
    "event": "TextDocument:text",
    "strips": "LineStrips2D:strips",
    "positions": "Points2D:positions",
    "points": "Points2D:positions",
}


def binary() -> Path:
    """Returns the viewer's own program; the `rerun` command is a wrapper that leaves it alive when stopped."""
    spec = find_spec("rerun_cli")
    path = Path(spec.origin).parent / "rerun" if spec and spec.origin else None
    if path is None or not path.exists():
        raise ProbeError("the rerun program is not installed; install lewm-evidence[pipeline]")
    return path


def verify(path: Path, logs: Path) -> None:
    """Runs `rerun rrd verify` on a recording, with usage reports switched off.

    Args:
        path: the recording.
        logs: folder for the program's output and for the settings that keep it silent.

    Raises:
        ProbeError: when Rerun refuses the file, or does not answer in two minutes.
    """
    log = logs / "rerun-verify.log"
    with child([binary(), "rrd", "verify", path], log, quiet(logs)) as process:
        try:
            status = process.wait(_VERIFY_LIMIT)
        except subprocess.TimeoutExpired as error:
            raise ProbeError(f"rerun rrd verify did not finish {path} within {_VERIFY_LIMIT:.0f} s") from error
    if status != 0:
        raise ProbeError(f"rerun rrd verify refuses {path} with status {status}: {last_lines(log)}")


def quiet(logs: Path) -> dict[str, str]:
    """Returns the variables that give Rerun settings of its own below `logs`, with usage reports switched off."""
    home = logs.resolve() / "rerun-home"
    settings = home / "config" / "rerun" / "analytics.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    silent = {"analytics_enabled": False, "analytics_id": "", "metadata": {}}
    settings.write_text(json.dumps(silent | {"config_file_path": str(settings), "data_dir_path": str(home / "data")}))
    return {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")}


def read(path: Path) -> dict[tuple[str, str], list[Point]]:
    """Returns every cell of the recording at `path` by (entity path, component).

    Raises:
        ProbeError: when Rerun's reader cannot read the file.
    """
    found: dict[tuple[str, str], list[Point]] = defaultdict(list)
    try:
        chunks = RrdReader(path).stream().to_chunks()
    except (OSError, RuntimeError, ValueError) as error:
        raise ProbeError(f"Rerun's reader cannot read {path}: {error}") from error
    for chunk in chunks:
        for component, point in _cells(chunk):
            found[chunk.entity_path, component].append(point)
    return found


def _cells(chunk: Chunk) -> Iterator[tuple[str, Point]]:
    batch = chunk.to_record_batch()
    # As numbers: a time of the clock is finer than Python's.
    clock = [name for name in chunk.timeline_names if name not in ("log_time", "log_tick")]
    times = {name: batch.column(name).cast("int64").to_pylist() for name in clock}
    for component in set(batch.schema.names) & set(_COMPONENTS.values()):
        for row, cell in enumerate(batch.column(component).to_pylist()):
            if cell is not None:
                yield component, Point({name: values[row] for name, values in times.items()}, cell)


def check(path: Path, run: FinishedRun) -> list[Check]:
    """Compares the recording at `path` with the records of the showcase or training `run` it was made from.

    Returns:
        What was compared, in the order of the records.

    Raises:
        ProbeError: naming the first entity that is missing, incomplete or different.
    """
    found = read(path)
    done = []
    for (kind, entity), wanted in _expected(run).items():
        points = found.get((entity, _COMPONENTS[kind]), [])
        _same(entity, kind, wanted, points)
        done.append(Check(entity, kind, len(wanted)))
    return done


def _expected(run: FinishedRun) -> dict[tuple[str, str], list[tuple[int, Any]]]:
    wanted: dict[tuple[str, str], list[tuple[int, Any]]] = defaultdict(list)
    for record in run.records():
        entity = "/" + record.tag.partition("/")[2]
        if isinstance(record, Scalar):
            wanted["scalar", entity].append((record.step, record.value))
        elif isinstance(record, Histogram):
            wanted["histogram", entity].append((record.step, sorted(record.values)))
        elif isinstance(record, Image):
            wanted["image", entity].append((record.step, (run.path / record.path).read_bytes()))
        elif isinstance(record, Text):
            wanted["text", entity].append((record.step, record.text))
        elif isinstance(record, Event):
            strings = [value for value in record.fields.values() if isinstance(value, str)]
            words = re.findall(r"[A-Za-z0-9]+", " ".join([*record.fields, *strings]).replace("_", " "))
            wanted["event", entity].append((record.step, words))
        elif isinstance(record, Arrays) and record.tag == "showcase/decision":
            for key, content in _drawn(run.arrays(record.path)):
                wanted[key].append((record.step, content))
        elif isinstance(record, Arrays) and record.tag == "train/latents":
            wanted["points", "/latents"].append((record.step, len(run.arrays(record.path)["latents"])))
    if agent := _agent(run):
        wanted["positions", "/tabletop/agent"] = agent
    return wanted


def _drawn(decision: dict[str, NDArray[Any]]) -> Iterator[tuple[tuple[str, str], list[bytes]]]:
    paths = decision["candidate_paths"]
    yield ("strips", "/tabletop/candidates"), _strips(paths)
    yield ("strips", "/tabletop/winner"), _strips(paths[[decision["winner"].item()]])
    yield ("strips", "/tabletop/elites"), _strips(decision["elite_paths"].reshape(-1, *paths.shape[1:]))


def _strips(paths: Any) -> list[bytes]:
    """Returns line strips as bytes, in an order of their own: the renderer may draw them in any order."""
    return sorted(np.asarray(path, dtype=np.float32).tobytes() for path in paths)


def _agent(run: FinishedRun) -> list[tuple[int, Any]]:
    across, down = run.scalars("showcase/agent_x"), run.scalars("showcase/agent_y")
    return [(step, [np.float32(across[step]), np.float32(down[step])]) for step in sorted(across)]


def _same(entity: str, kind: str, wanted: list[tuple[int, Any]], points: list[Point]) -> None:
    if not points:
        raise ProbeError(f"the recording holds no {kind} at {entity!r}, the records name {len(wanted)}")
    if len(points) != len(wanted):
        raise ProbeError(f"the recording holds {len(points)} of {len(wanted)} {kind} points at {entity!r}")
    timelines = points[0].times
    if not timelines and len(wanted) == 1:
        pairs = [(wanted[0], points[0])]
    else:
        ordered = sorted(wanted, key=lambda row: row[0])
        pairs = list(zip(ordered, _in_steps(entity, kind, [step for step, _ in ordered], points), strict=True))
    for (step, content), point in pairs:
        if not _agrees(kind, content, point.content):
            raise ProbeError(f"the recording holds another {kind} at {entity!r}, step {step}, than the record")


def _in_steps(entity: str, kind: str, steps: list[int], points: list[Point]) -> list[Point]:
    """Returns `points` in the order of the timeline whose values are the records' steps."""
    for timeline in points[0].times:
        if Counter(point.times.get(timeline) for point in points) == Counter(steps):
            return sorted(points, key=lambda point: point.times[timeline])
    raise ProbeError(f"no timeline of the recording has the steps {steps[:5]}... of {kind} {entity!r}")


def _agrees(kind: str, content: Any, cell: Any) -> bool:
    if kind == "scalar":
        return bool(cell == [content])
    if kind == "histogram":
        return bool(cell[0]["buffer"] == content)
    if kind == "image":
        return bool(bytes(cell[0]) == content)
    if kind == "text":
        return bool(cell == [content])
    if kind == "event":
        return all(word in cell[0] for word in content)
    if kind == "points":
        return bool(len(cell) == content)
    if kind == "strips":
        return bool(_strips(cell) == content)
    return bool(cell == [content])
