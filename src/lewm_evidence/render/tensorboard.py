"""Records to TensorBoard event files whose bytes depend on the records alone.

TensorBoard's own writers put the clock, the host and the process id into file names and contents. Here the
protocol buffers are filled and framed directly: fixed file name, wall time from the step, deterministic
serialisation. Neither torch nor TensorFlow is needed.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from tensorboard.compat.proto import types_pb2
from tensorboard.compat.proto.event_pb2 import Event as TfEvent
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text.summary_v2 import text_pb

from lewm_evidence.errors import StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Event, Histogram, Image, Record, Scalar, Text
from lewm_evidence.render import hparams, projector
from lewm_evidence.render.framing import frame

FILE_NAME = "events.out.tfevents.0000000000.evidence"
# Step s is shown at second s of 1970, so that nobody takes it for a time that was measured.
EPOCH = 0.0
_TOGETHER = 4096
_FLOAT32_MAX = 3.4e38  # what is larger or not a number is left to protobuf

# Charts of the custom-scalars page, by stage: title and the tags (regular expressions) drawn into it.
LAYOUT: dict[str, dict[str, list[str]]] = {
    "showcase": {
        "Cost of the shown candidates": [r"showcase/cost/(best|mean|max)$"],
        "Elite cost over CEM iterations": [r"showcase/cem/elite_cost_(mean|min)$"],
        "Distance to the goal (px)": [r"showcase/error_px$"],
        "Latent distance and prediction error": [r"showcase/(latent_distance|prediction_error)$"],
    },
    "train": {
        "Loss": [r"train/(loss|prediction_loss|sigreg)$"],
        "Validation": [r"train/(val_prediction|val_copy)$"],
    },
}


class Series(NamedTuple):
    """What TensorBoard must show: `points` values of one `kind` under `tag` in `run`."""

    run: str
    tag: str
    kind: str
    points: int


class EventWriter:
    """Writes one event file, below `folder`, that is complete after every call and can be watched.

    With `buffered` it is complete when the block ends only, and written many times faster.

    The file appears with the first point: TensorBoard would list an empty one as a run.
    The faster of TensorBoard's two readers drops what does not come later than the value before it. A value
    whose step is not larger than the last one of its tag therefore opens a second series, `<tag>#2`, and so on.

    Attributes:
        kinds: kind by tag, in the order of first appearance.
        points: number of points by tag.
    """

    def __init__(self, folder: Path, buffered: bool = False) -> None:
        self._path = folder / FILE_NAME
        self._file: BinaryIO | None = None
        self._waiting: list[bytes] = []
        self._together = _TOGETHER if buffered else 1
        self._last_step: dict[str, int] = {}
        self.kinds: dict[str, str] = {}
        self.points: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drain()
        if self._file is not None:
            self._file.close()

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Writes one number, as float32: the only kind of scalar that both of TensorBoard's readers show."""
        if self.kinds.get(name := self._next(tag, step)) == "scalar" and step >= 0 and abs(value) < _FLOAT32_MAX:
            self._last_step[name] = step
            self.points[name] += 1
            self._put(_scalar_event(name, value, step))
            return
        tensor = TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[value])
        metadata = scalar_metadata.create_summary_metadata(display_name=None, description=None)
        self._add(tag, "scalar", step, Summary.Value(tensor=tensor, metadata=metadata))

    def histogram(self, tag: str, values: Iterable[float], step: int) -> None:
        """Writes a sample, binned into 30 buckets of equal width."""
        self._add(tag, "histogram", step, histogram_pb(tag, list(values)).value[0])

    def text(self, tag: str, markdown: str, step: int) -> None:
        """Writes markdown."""
        self._add(tag, "text", step, text_pb(tag, markdown).value[0])

    def image(self, tag: str, png: bytes, width: int, height: int, step: int) -> None:
        """Writes one picture of `width` by `height` pixels from its PNG file's bytes."""
        content = [str(width).encode(), str(height).encode(), png]
        metadata = image_metadata.create_summary_metadata(display_name=None, description=None)
        self._add(tag, "image", step, Summary.Value(tensor=_strings(content), metadata=metadata))

    def layout(self, title: str, charts: Mapping[str, list[str]]) -> None:
        """Writes the custom-scalars page: a category `title` with a line chart for each title and its tags."""
        rows = [
            layout_pb2.Chart(title=name, multiline=layout_pb2.MultilineChartContent(tag=tags))
            for name, tags in charts.items()
        ]
        page = layout_pb2.Layout(category=[layout_pb2.Category(title=title, chart=rows)])
        tensor = _strings([page.SerializeToString(deterministic=True)], scalar=True)
        value = Summary.Value(
            tag=layout_metadata.CONFIG_SUMMARY_TAG,
            tensor=tensor,
            metadata=layout_metadata.create_summary_metadata(),
        )
        self.setting(value)

    def setting(self, value: Any) -> None:
        """Writes a value that tells a plugin what to show and is no point of a series."""
        self._write(TfEvent(wall_time=EPOCH, summary=Summary(value=[value])))

    def graph(self, definition: bytes) -> None:
        """Writes the graph of the run, a serialised `GraphDef`."""
        self._write(TfEvent(wall_time=EPOCH, graph_def=definition))

    def _add(self, tag: str, kind: str, step: int, value: Any) -> None:
        name = self._place(tag, step)
        if name not in self.kinds:
            self.kinds[name] = kind
        elif self.kinds[name] != kind:
            raise StageError(
                f"tag {tag!r} is recorded as {self.kinds[name]} and as {kind}; TensorBoard shows one kind per "
                "tag, so give them different tags"
            )
        else:
            value.ClearField("metadata")  # only the first value of a tag carries it
        self.points[name] = self.points.get(name, 0) + 1
        value.tag = name
        self._write(TfEvent(wall_time=EPOCH + step, step=step, summary=Summary(value=[value])))

    def _place(self, tag: str, step: int) -> str:
        name = self._next(tag, step)
        self._last_step[name] = step
        return name

    def _next(self, tag: str, step: int) -> str:
        name, number = tag, 1
        while step <= self._last_step.get(name, -1):
            number += 1
            name = f"{tag}#{number}"
        return name

    def _write(self, event: Any) -> None:
        self._put(event.SerializeToString(deterministic=True))

    def _put(self, record: bytes) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb")
            self._write(TfEvent(wall_time=EPOCH, file_version="brain.Event:2"))
        self._waiting.append(record)
        if len(self._waiting) >= self._together:
            self._drain()

    def _drain(self) -> None:
        if self._file is not None:
            self._file.write(frame(self._waiting))
            self._file.flush()
            self._waiting = []


def _scalar_event(name: str, value: float, step: int) -> bytes:
    """Returns the bytes of a scalar's event, as protobuf would write them, which takes several times longer."""
    when = b"" if step == 0 else b"\x09" + struct.pack("<d", EPOCH + step) + b"\x10" + _varint(step)
    return when + _scalar_start(name) + struct.pack("<f", value)


@lru_cache(maxsize=4096)
def _scalar_start(name: str) -> bytes:
    # Event.summary (5) > Summary.value (1) > tag (1) and tensor (8) > dtype (1) and float_val (5), without its value.
    tag = name.encode()
    value = b"\x0a" + _varint(len(tag)) + tag + b"\x42\x08\x08\x01\x2a\x04"
    summary = b"\x0a" + _varint(len(value) + 4) + value
    return b"\x2a" + _varint(len(summary) + 4) + summary


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _strings(values: list[bytes], scalar: bool = False) -> Any:
    dims = [] if scalar else [TensorShapeProto.Dim(size=len(values))]
    return TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=TensorShapeProto(dim=dims), string_val=values)


def render(runs: Iterable[FinishedRun], logdir: Path) -> list[Series]:
    """Writes the log directory for finished runs and returns what it must show.

    Beside the points, runs get their configuration (HParams), charts (custom scalars), the graph of a checkpoint and
    the latents of a showcase (projector) where they hold such.

    Results go to the TensorBoard run `results/<label>`, measurements of the machine to `timing/<label>`, with
    `timing/` before their tags: TensorBoard sorts by tag, and results should come first.

    Args:
        runs: what to show.
        logdir: the folder to open with TensorBoard, created if need be.

    Returns:
        One row per run and tag, in the order written.

    Raises:
        StageError: when one tag carries two kinds of records.
    """
    runs = list(runs)
    page = _experiment(runs)
    return [series for run in runs for series in _render_run(run, logdir, page)]


def _experiment(runs: Iterable[FinishedRun]) -> Any:
    asked = [run for run in runs if run.manifest.stage in hparams.METRICS]
    metrics = [hparams.METRICS[run.manifest.stage].items() for run in asked]
    return hparams.experiment([hparams.flat(run.spec.config) for run in asked], dict(chain.from_iterable(metrics)))


def _render_run(run: FinishedRun, logdir: Path, page: Any) -> Iterator[Series]:
    # Not above: the bridge needs the writer too, and no safetensors.
    from lewm_evidence.render import architecture

    stage, label = run.manifest.stage, run.label
    folder = logdir / "results" / label
    with EventWriter(folder, buffered=True) as writer:
        if stage in hparams.METRICS:
            writer.setting(page)
            writer.setting(hparams.session(f"{label} {run.manifest.key[:8]}", hparams.flat(run.spec.config)))
        for record in run.records():
            write_record(writer, run, record)
        charts = _charts(stage, writer.kinds)
        if charts:
            writer.layout(label.capitalize(), charts)
        weights = run.path / "checkpoint" / "model.safetensors"
        if weights.exists():
            writer.graph(architecture.graph(weights))
    embedded = projector.points(run) if stage == "showcase" else None
    if embedded:
        projector.write(embedded, folder)
    yield from _rows(f"results/{label}", writer)
    with EventWriter(logdir / "timing" / label, buffered=True) as writer:
        for timing in run.timings():
            writer.scalar(f"timing/{timing.tag}", timing.value, timing.step)
    yield from _rows(f"timing/{label}", writer)


def _rows(name: str, writer: EventWriter) -> Iterator[Series]:
    return (Series(name, tag, kind, writer.points[tag]) for tag, kind in writer.kinds.items())


def _charts(stage: str, tags: Iterable[str]) -> dict[str, list[str]]:
    # Only charts of which something was recorded: an empty one looks like a fault.
    charts = LAYOUT.get(stage, {}).items()
    names = list(tags)
    return {
        title: patterns
        for title, patterns in charts
        if any(re.match(pattern, name) for pattern in patterns for name in names)
    }


def write_record(writer: EventWriter, run: FinishedRun, record: Record) -> None:
    """Writes one record of `run`; events become tables below `events/`, arrays are not shown."""
    if isinstance(record, Scalar):
        writer.scalar(record.tag, record.value, record.step)
    elif isinstance(record, Histogram):
        writer.histogram(record.tag, record.values, record.step)
    elif isinstance(record, Text):
        writer.text(record.tag, record.text, record.step)
    elif isinstance(record, Image):
        png = (run.path / record.path).read_bytes()
        writer.image(record.tag, png, record.width, record.height, record.step)
    elif isinstance(record, Event):
        writer.text(f"events/{record.tag}", _table(record), record.step)


def _table(event: Event) -> str:
    rows = "".join(f"\n| {name} | {_one_cell(str(value))} |" for name, value in event.fields.items())
    return f"| field | value |\n|---|---|{rows}"


def _one_cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
