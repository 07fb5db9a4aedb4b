"""Asks a real TensorBoard server for every run, tag, point and value that the records name.

A port that answers proves little: TensorBoard thins out long series, and another server may sit on the port. So
the server is our own child, told a random title that it must repeat, and everything it serves is compared with
the records, which are read here independently of the renderer.
"""

import http.client
import io
import json
import re
import secrets
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import numpy as np
from PIL import Image as Picture

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.process import child, last_lines, listens
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Event, Histogram, Image, Scalar, Text

_START_LIMIT = 120.0
_REQUEST_LIMIT = 30.0
# Cards a person wants to see first, by the stage that recorded them; each a regular expression of tags.
_FRONT = {
    "showcase": r"showcase/(error_px|cost/(best|candidates)|cem/(costs|elite_cost_m)|latent_d|prediction|observ|retr)",
    "train": r"train/(loss|prediction_loss|val_|effective_rank|probe)",
}
_PLUGINS = {"scalar": "scalars", "histogram": "histograms", "text": "text", "image": "images"}


class Key(NamedTuple):
    """A row of TensorBoard: a tag of one kind in a run."""

    run: str
    kind: str
    tag: str


# What must be shown under a key: step and content, in order of steps.
Content = dict[Key, list[tuple[int, Any]]]


@dataclass(frozen=True)
class Server:
    """A TensorBoard server that listens on 127.0.0.1.

    Attributes:
        port: where it listens.
        process: the child that was started.
        logdir: the folder it was told to show.
        title: the random window title it was told to carry.
    """

    port: int
    process: "subprocess.Popen[bytes]"
    logdir: Path
    title: str

    def get(self, path: str, told: Any = None, **query: str) -> bytes:
        """Returns the body of a 200 answer, to a POST of `told` as JSON if given; raises `ProbeError` otherwise."""
        target = f"/{path}?{urlencode(query)}" if query else f"/{path}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_REQUEST_LIMIT)
        try:
            if told is None:
                connection.request("GET", target)
            else:
                connection.request("POST", target, json.dumps(told), {"content-type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ProbeError(f"TensorBoard does not answer {target}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise ProbeError(f"TensorBoard answers {target} with status {answer.status} instead of 200")
        return body

    def json(self, path: str, told: Any = None, **query: str) -> Any:
        """Returns the decoded JSON of a 200 answer, asked as `get` does; raises `ProbeError` on anything else."""
        body = self.get(path, told, **query)
        try:
            return json.loads(body)
        except ValueError as error:
            raise ProbeError(f"TensorBoard answers /{path} with something that is not JSON") from error


@contextmanager
def serve(logdir: Path, log: Path, samples: int = 1000, port: int = 0) -> Iterator[Server]:
    """Runs TensorBoard on `logdir` until the block ends; everything is loaded when the block begins.

    Args:
        logdir: the folder to show.
        log: file for the server's output.
        samples: points it keeps per tag; more are thinned out.
        port: where to listen; 0 lets the system choose a free port.

    Raises:
        ProbeError: when the server does not start, or what answers is not the server that was started.
    """
    title = f"probe-{secrets.token_hex(8)}"
    kept = ",".join(f"{plugin}={max(samples, 1)}" for plugin in _PLUGINS.values())
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir.resolve()), "--window_title", title]
    command += ["--host", "127.0.0.1", "--port", str(port), "--samples_per_plugin", kept, "--load_fast", "false"]
    # Load once, before the address is printed: nothing to wait for, nothing half loaded.
    command += ["--reload_interval", "0", "--reload_task", "blocking"]
    with child(command, log) as process:
        server = Server(_wait_for_port(process, log), process, logdir.resolve(), title)
        check_identity(server)
        yield server


def _wait_for_port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    end = time.monotonic() + _START_LIMIT
    while time.monotonic() < end:
        ended = process.poll() is not None
        found = re.search(rb"http://127\.0\.0\.1:(\d+)/", log.read_bytes())
        if found and not ended:
            return int(found[1])
        if ended:
            raise ProbeError(f"TensorBoard ended before it served anything; its last lines: {last_lines(log)}")
        time.sleep(0.05)
    raise ProbeError(f"TensorBoard named no address within {_START_LIMIT:.0f} s; its last lines: {last_lines(log)}")


def check_identity(server: Server) -> None:
    """Raises `ProbeError` unless what answers on the port is the child that was started."""
    if server.process.poll() is not None:
        raise ProbeError(f"the TensorBoard that was started has ended with status {server.process.returncode}")
    if listens(server.process.pid, server.port) is False:
        raise ProbeError(f"port {server.port} is held by another process than the TensorBoard that was started")
    told = server.json("data/environment")
    said = (told.get("window_title"), told.get("data_location")) if isinstance(told, dict) else None
    if said != (server.title, str(server.logdir)):
        raise ProbeError(f"what answers on port {server.port} is not the TensorBoard that was started")


def front_page(server: Server, content: Content) -> str:
    """Returns the address of the page that shows first what matters most of `content`."""
    runs = {key.run for key in content}
    stage = next((stage for stage in _FRONT if f"results/{stage}" in runs), None)
    query = {"runFilter": "results/", "smoothing": "0"}
    if stage is not None:
        query |= {"runFilter": f"results/{stage}", "tagFilter": _FRONT[stage]}
    return f"http://127.0.0.1:{server.port}/?{urlencode(query)}#timeseries"


def expected(runs: Iterable[FinishedRun]) -> Content:
    """Returns what the records of `runs` say TensorBoard must show.

    The content is a float32 for scalars, (count, smallest, largest) for histograms, the words of a text, and the
    bytes of a PNG file for images.
    """
    content: Content = defaultdict(list)
    for run in runs:
        label = run.label
        for record in run.records():
            row = _expected_point(run, record)
            if row:
                kind, tag, value = row
                content[Key(f"results/{label}", kind, tag)].append((record.step, value))
        for timing in run.timings():
            key = Key(f"timing/{label}", "scalar", f"timing/{timing.tag}")
            content[key].append((timing.step, _float32(timing.value)))
    return {key: sorted(points, key=lambda point: point[0]) for key, points in content.items()}


def _expected_point(run: FinishedRun, record: object) -> tuple[str, str, Any] | None:
    if isinstance(record, Scalar):
        return "scalar", record.tag, _float32(record.value)
    if isinstance(record, Histogram):
        values = record.values or [0.0]
        return "histogram", record.tag, (len(record.values), min(values), max(values))
    if isinstance(record, Text):
        return "text", record.tag, _words(record.text)
    if isinstance(record, Event):
        return "text", f"events/{record.tag}", _words(" ".join(f"{n} {v}" for n, v in record.fields.items()))
    if isinstance(record, Image):
        return "image", record.tag, (run.path / record.path).read_bytes()
    return None


def _float32(value: float) -> float:
    return float(np.float32(value))


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9]+", text)


def check(server: Server, content: Content) -> int:
    """Compares everything the server shows with `content`, both ways, and returns the number of points.

    Raises:
        ProbeError: naming run and tag of the first thing that is missing, different or too much.
    """
    runs = {key.run for key in content}
    _same_names("run", "the log directory", runs, set(server.json("data/runs")))
    for kind, plugin in _PLUGINS.items():
        tags = server.json(f"data/plugin/{plugin}/tags")
        for run in sorted(runs):
            wanted = {key.tag for key in content if (key.run, key.kind) == (run, kind)}
            # A tag that goes back in steps is continued as `tag#2`, see `render.tensorboard.EventWriter`.
            series: dict[str, list[str]] = defaultdict(list)
            for name in tags.get(run, []):
                series[name.split("#")[0]].append(name)
            _same_names(f"{kind} tag", f"run {run!r}", wanted, set(series))
            for tag in sorted(wanted):
                key = Key(run, kind, tag)
                served = [point for name in series[tag] for point in _served(server, key._replace(tag=name))]
                _same_points(key, content[key], sorted(served, key=lambda point: point[0]))
    return sum(len(points) for points in content.values())


def _same_names(what: str, where: str, wanted: set[str], served: set[str]) -> None:
    if wanted - served:
        raise ProbeError(
            f"TensorBoard does not show {what} {min(wanted - served)!r} of {where}, which the records name"
        )
    if served - wanted:
        raise ProbeError(f"TensorBoard shows {what} {min(served - wanted)!r} of {where}, which no record names")


def _served(server: Server, key: Key) -> Iterator[tuple[int, Any]]:
    plugin = _PLUGINS[key.kind]
    rows = server.json(f"data/plugin/{plugin}/{plugin}", run=key.run, tag=key.tag)
    for row in rows:
        if key.kind in ("scalar", "histogram"):
            yield row[1], row[2]
        elif key.kind == "text":
            yield row["step"], unescape(row["text"])
        else:
            yield row["step"], server.get(f"data/plugin/images/individualImage?{row['query']}")


def _same_points(key: Key, wanted: list[tuple[int, Any]], served: list[tuple[int, Any]]) -> None:
    where = f"{key.kind} {key.tag!r} in run {key.run!r}"
    if len(served) != len(wanted):
        raise ProbeError(f"TensorBoard shows {len(served)} points of {where}, the records name {len(wanted)}")
    for (step, value), (served_step, shown) in zip(wanted, served, strict=True):
        if step != served_step:
            raise ProbeError(f"TensorBoard shows {where} at step {served_step}, the records name step {step}")
        if not _agrees(key.kind, value, shown):
            raise ProbeError(f"TensorBoard shows another {where} at step {step} than the record holds")


def _agrees(kind: str, value: Any, shown: Any) -> bool:
    if kind == "scalar":
        return bool(value == shown)
    if kind == "text":
        return set(value) <= set(_words(shown))
    if kind == "histogram":
        filled = [bucket for bucket in shown if bucket[2]]
        count, low, high = value
        edges = (filled[0][0], filled[-1][1]) if filled else (low, high)
        return sum(bucket[2] for bucket in shown) == count and bool(np.allclose(edges, (low, high), rtol=1e-12))
    return value == shown and _decodes(shown)


def _decodes(png: bytes) -> bool:
    try:
        with Picture.open(io.BytesIO(png)) as picture:
            picture.load()
    except (OSError, SyntaxError):  # what Pillow raises for broken PNG files
        return False
    return True
