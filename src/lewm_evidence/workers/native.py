"""A worker's own TensorBoard files, read whole, as rows of the common tags.

Values are taken as they were written; TensorBoard's own down-sampling readers are not used.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_ndarray

from lewm_evidence.errors import StageError

# Environment steps per second is a measurement of the machine, so its rows stand with the timings.
MEASURED = "charts/SPS"
# Stands for a tag where a worker logs no steps per second: the clock of its events tells them.
CLOCK = "(event wall time)"
COMMON = (
    "charts/SPS",
    "charts/episodic_length",
    "charts/episodic_return",
    "charts/learning_rate",
    "losses/entropy",
    "losses/policy_loss",
    "losses/value_loss",
)


class Row(NamedTuple):
    """One value of a common tag.

    Attributes:
        tag: the common tag.
        step: environment steps so far.
        value: in the common meaning.
        source: the worker's own tag.
        estimator: what one value is.
    """

    tag: str
    step: int
    value: float
    source: str
    estimator: str


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns every scalar below `folder` as (step, value) by tag, ordered by step, then by file.

    A tag that several files hold, as XuanCe writes one a parallel environment, is merged. `CLOCK` holds the time at
    which each step was logged, in seconds.
    """
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in sorted(folder.rglob("*tfevents*")):
        for event in _events(path):
            if event.HasField("summary"):
                found[CLOCK].append((event.step, event.wall_time))
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found[value.tag].append((event.step, value.simple_value))
                elif value.HasField("tensor") and not value.tensor.tensor_shape.dim:
                    number = make_ndarray(value.tensor)
                    if number.dtype.kind == "f":
                        found[value.tag].append((event.step, float(number)))
    return {tag: sorted(points, key=lambda point: point[0]) for tag, points in sorted(found.items())}


def _events(path: Path) -> Iterator[Event]:
    for data in RawEventFileLoader(str(path)).Load():
        yield Event.FromString(data)


def common_rows(folder: Path, sources: Mapping[str, Mapping[str, Any] | None]) -> list[Row]:
    """Returns the rows of all common tags, by tag and step.

    Args:
        folder: the worker's own logs.
        sources: by common tag `{tags, estimator, scale}`, or None where the algorithm defines none.

    Raises:
        StageError: when a tag that the worker promised was never written.
    """
    scalars = read_scalars(folder)
    rows = []
    for tag in COMMON:
        source = sources.get(tag)
        if source is None:
            continue
        if source["tags"] == [CLOCK]:
            rows += [Row(tag, step, rate, CLOCK, source["estimator"]) for step, rate in _rates(scalars[CLOCK])]
            continue
        native = next((name for name in source["tags"] if name in scalars), None)
        if native is None:
            wanted = " or ".join(source["tags"])
            raise StageError(f"the worker wrote no {wanted}, so {tag} is empty; has it run long enough to log once?")
        scale, estimator = source["scale"], source["estimator"]
        rows += [Row(tag, step, value * scale, native, estimator) for step, value in scalars[native]]
    return rows


def _rates(clock: list[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    first_step, first_time = clock[0]
    latest = dict(clock)
    for step, now in sorted(latest.items()):
        if now > first_time:
            yield step, (step - first_step) / (now - first_time)
