"""Events, worlds, plans, benchmark reports and showcase summaries as a Rerun recording, saved or live.

What is logged is taken by its shape, so WorldForge's objects and our own give the same entities; WorldForge itself
is not needed. docs/rerun.md shows the entities and the one timeline of each.

Rerun is imported when something is first logged. Everything is sanitised by `events.clean` before it is written.
"""

import importlib
import json
import logging
import math
import re
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from lewm_evidence import viewer
from lewm_evidence.errors import ConfigError, InputError, ProbeError, StageError
from lewm_evidence.events import ProviderEvent, clean

_LOG = logging.getLogger(__name__)

EVENT_TIMELINE = "worldforge_event"
WORLD_TIMELINE = "worldforge_step"
PLAN_TIMELINE = "worldforge_plan"
BENCHMARK_TIMELINE = "worldforge_benchmark_result"
SHOWCASE_TIMELINE = "worldforge_robotics_showcase"
CANDIDATE_TIMELINE = "worldforge_candidate"

_EVENT_SCALARS = ("attempt", "max_attempts", "duration_ms", "status_code")
_FAILED = {"failure", "failed", "error", "budget_exceeded", "timeout"}
_BENCHMARK_METRICS = (
    *("success_rate", "error_count", "retry_count", "average_latency_ms", "p50_latency_ms", "p95_latency_ms"),
    "throughput_per_second",
)
_GREY, _GREEN, _ORANGE, _BLUE = (110, 110, 110), (60, 170, 90), (235, 150, 40), (65, 105, 225)


@dataclass(frozen=True)
class RerunRecordingConfig:
    """Where a recording goes: to a file, a viewer or a server; at most one of them, and by default nowhere live.

    Attributes:
        save_path: file to write, replaced if it exists.
        spawn: start a viewer on this machine, which ends with the session (see `RerunSession.wait`).
        connect_url: a running viewer or server, `rerun+http://HOST:PORT/proxy`.
        serve_grpc_port: start a server on this port of 127.0.0.1; 0 chooses a free one.
        copy_path: file that gets everything too in a live mode.
        application_id: what belongs together in the viewer.
        recording_id: name of the recording; random when None.
        recording_name: title in the viewer.
        spawn_port: where the viewer that `spawn` starts listens; 0 chooses a free one.
        viewer_memory_limit: of that viewer.
        server_memory_limit: of the server.
        hide_welcome_screen: in that viewer.
        strict: refuse what Rerun cannot encode, instead of leaving it out with a warning.
        default_enabled: false turns all writing off.
        send_properties: write name and start of the recording.
    """

    save_path: str | Path | None = None
    spawn: bool = False
    connect_url: str | None = None
    serve_grpc_port: int | None = None
    copy_path: str | Path | None = None
    application_id: str = "worldforge"
    recording_id: str | None = None
    recording_name: str | None = "WorldForge run"
    spawn_port: int = 9876
    viewer_memory_limit: str = "75%"
    server_memory_limit: str = "1GiB"
    hide_welcome_screen: bool = False
    strict: bool = True
    default_enabled: bool = True
    send_properties: bool = True

    def __post_init__(self) -> None:
        modes = {"save_path": self.save_path, "spawn": self.spawn or None, "connect_url": self.connect_url}
        chosen = [
            name for name, value in (modes | {"serve_grpc_port": self.serve_grpc_port}).items() if value is not None
        ]
        if len(chosen) > 1:
            raise ConfigError(f"a recording goes to one place, not to {' and '.join(chosen)}; copy_path adds a file")
        if not self.application_id.strip():
            raise ConfigError("application_id must not be empty")
        for name in ("serve_grpc_port", "spawn_port"):
            port = getattr(self, name)
            if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535):
                raise ConfigError(f"{name} must be a port, 0 to 65535, got {port!r}")
        if self.connect_url is not None and not re.fullmatch(r"rerun(\+https?)?://[^\s/]+/proxy", self.connect_url):
            raise ConfigError(f"connect_url must look like {viewer.proxy(9876)}, got {self.connect_url!r}")


class RerunSession:
    """A recording that is begun when first written to, and ended by `close` or the end of a `with` block.

    Safe to use from several threads.

    Args:
        config: where the recording goes.
        sdk: stands in for the package `rerun`.
    """

    def __init__(self, config: RerunRecordingConfig | None = None, sdk: Any = None) -> None:
        self.config = config or RerunRecordingConfig()
        self.server_uri: str | None = None
        self._sdk = sdk
        self._stream: Any = None
        self._closed = False
        self._lock = threading.RLock()
        self._children = ExitStack()
        self._processes: list[Popen[bytes]] = []

    def __enter__(self) -> "RerunSession":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def rr(self) -> Any:
        """The package `rerun`; raises `StageError` when it is not installed."""
        if self._sdk is None:
            try:
                self._sdk = importlib.import_module("rerun")
            except ImportError as error:
                raise StageError(
                    "recording needs the package rerun-sdk, which is not installed; install lewm-evidence[rerun]"
                ) from error
        return self._sdk

    @property
    def stream(self) -> Any:
        """The `rerun.RecordingStream`, begun if need be."""
        return self.start()._stream

    def start(self) -> "RerunSession":
        """Begins the recording unless it has begun.

        Raises:
            StageError: when Rerun is not installed or the recording is closed.
            ProbeError: when a viewer or server cannot be started or reached.
        """
        with self._lock:
            if self._closed:
                raise StageError("this recording is closed; begin another session to record more")
            if self._stream is None:
                self._begin()
        return self

    def _begin(self) -> None:
        config, rr = self.config, self.rr
        rr.set_strict_mode(config.strict)
        stream = rr.RecordingStream(
            config.application_id,
            recording_id=config.recording_id,
            default_enabled=config.default_enabled,
            send_properties=config.send_properties,
        )
        try:
            self._direct(stream)
        except BaseException:
            self._children.close()
            raise
        if config.recording_name and config.send_properties:
            stream.send_recording_name(config.recording_name)
        self._stream = stream

    def _direct(self, stream: Any) -> None:
        url = self._live()
        files = [Path(path) for path in (self.config.save_path, self.config.copy_path) if path is not None]
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
        sinks = [self.rr.FileSink(str(path)) for path in files]
        if url:
            sinks.append(self.rr.GrpcSink(url))
        try:
            if sinks:
                stream.set_sinks(*sinks)
        except RuntimeError as error:
            raise ProbeError(f"the recording cannot be written: {error}") from error

    def _live(self) -> str | None:
        """Starts what is to receive the recording and returns its address; None for a file."""
        config = self.config
        if config.connect_url:
            _reach(config.connect_url)
            return config.connect_url
        if config.serve_grpc_port is not None:
            limit = ["--server-memory-limit", config.server_memory_limit]
            self.server_uri = self._child(config.serve_grpc_port, ["--serve-grpc", *limit])
            return self.server_uri
        if config.spawn:
            hidden = ["--hide-welcome-screen"] if config.hide_welcome_screen else []
            return self._child(config.spawn_port, ["--memory-limit", config.viewer_memory_limit, *hidden])
        return None

    def _child(self, port: int, arguments: Sequence[str]) -> str:
        # The program and not the SDK's own server and viewer: those listen on every interface.
        port = port or viewer.free_port()
        running = viewer.running([*arguments, "--port", str(port)], [port])
        self._processes.append(self._children.enter_context(running))
        return viewer.proxy(port)

    def log(self, path: str, archetype: Any, timeline: str | None = None, index: int = 0) -> None:
        """Writes one row.

        Args:
            path: entity path.
            archetype: what it holds, an archetype of `rerun`.
            timeline: where the row lies, and nowhere else; None for what holds at all times.
            index: its place there.
        """
        with self._lock:
            stream = self.stream
            # Rerun keeps the time of a thread until it is told otherwise.
            stream.reset_time()
            if timeline is not None:
                stream.set_time(timeline, sequence=index)
            stream.log(path, archetype, static=timeline is None)
            stream.reset_time()

    def flush(self) -> None:
        """Waits until everything written so far has left this process; raises `ProbeError` when nobody takes it."""
        with self._lock:
            if self._stream is not None:
                try:
                    self._stream.flush()
                except RuntimeError as error:
                    sentence = f"the recording does not arrive ({error}): is the viewer closed, or is there no display?"
                    raise ProbeError(sentence) from error

    def wait(self) -> None:
        """Waits until the viewer or server that this session started has ended."""
        for process in self._processes:
            process.wait()

    def close(self) -> None:
        """Ends the recording, and a server or viewer that it started; again does nothing."""
        with self._lock:
            try:
                if self._stream is not None:
                    # A viewer that a person has closed takes nothing any more, and need not.
                    closed = any(process.poll() is not None for process in self._processes)
                    with suppress(ProbeError) if closed else nullcontext():
                        self.flush()
                    self._stream.disconnect()
            finally:
                self._stream = None
                self._closed = True
                self._children.close()


def _reach(url: str) -> None:
    try:
        place = urlsplit(url)
        with socket.create_connection((place.hostname or "", place.port or 9876), timeout=5):
            pass
    except (OSError, ValueError) as error:  # the latter of what is no address
        raise ProbeError(f"nothing answers at {url}: {error}; start a viewer there first") from error


def segment(name: object, fallback: str = "item") -> str:
    """Returns `name` as one part of an entity path: letters, digits, `_`, `.` and `-`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", "" if name is None else str(name)).strip("._-") or fallback


def _path(*parts: object) -> str:
    return "/".join(segment(part) for whole in parts for part in str(whole).split("/") if part)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _held(value: Any, what: str) -> dict[str, Any]:
    """Returns what `value` holds as sanitised JSON."""
    held = clean(value)
    if not isinstance(held, dict):
        raise InputError(f"{what} must be a mapping or have to_dict(), got {type(value).__name__}")
    return held


def _number(value: object) -> float | None:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if fine else None  # type: ignore[arg-type]


def _point(value: object) -> list[float] | None:
    """Returns x, y, z of a mapping or a sequence of two or three numbers."""
    if isinstance(value, Mapping):
        value = [value.get("x"), value.get("y"), value.get("z", 0.0)]
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in (2, 3):
        return None
    numbers = [number for number in map(_number, value) if number is not None]
    return [*numbers, 0.0][:3] if len(numbers) == len(value) else None


class _Writer:
    """Writes the few kinds of rows that everything here is made of, below a prefix and on one timeline."""

    def __init__(self, session: RerunSession, base: str, timeline: str | None = None, index: int = 0) -> None:
        self._session, self._base, self._timeline, self._index = session, base, timeline, index
        self.rr = session.rr

    def put(self, name: str, archetype: Any) -> None:
        self._session.log(f"{self._base}/{name}", archetype, self._timeline, self._index)

    def json(self, name: str, value: Any) -> None:
        self.put(name, self.rr.TextDocument(_json(value), media_type="application/json"))

    def text(self, name: str, text: str, level: str = "INFO") -> None:
        self.put(name, self.rr.TextLog(text, level=level))

    def scalar(self, name: str, value: object) -> None:
        number = _number(value)
        if number is not None:
            self.put(name, self.rr.Scalars([number]))

    def bars(self, name: str, values: list[float], color: tuple[int, int, int]) -> None:
        try:
            self.put(name, self.rr.BarChart(values, color=color))
        except ValueError:
            if len(values) != 1:
                raise
            _LOG.warning("this version of Rerun draws no single bar; %s is left out", name)


class RerunEventSink:
    """An event handler that records each event it is called with.

    Args:
        session: where to.
        path_prefix: entity path above the events.
        timeline: counts the events; those of an `EventStream` keep their number.
        extra_fields: added to the payload of every event.
    """

    def __init__(
        self,
        session: RerunSession,
        path_prefix: str = "worldforge/events",
        timeline: str = EVENT_TIMELINE,
        extra_fields: Mapping[str, Any] | None = None,
    ) -> None:
        self._session, self._prefix, self._timeline = session, _path(path_prefix), timeline
        self._extra = _held(extra_fields or {}, "extra_fields")
        self._next = 0
        self._lock = threading.Lock()

    def __call__(self, event: Any) -> None:
        """Records an event of any shape."""
        taken = ProviderEvent.of(event)
        with self._lock:
            number = self._next if taken.sequence is None else taken.sequence
            self._next = max(self._next, number + 1)
        place = _path(self._prefix, *map(segment, (taken.provider, taken.operation, taken.phase)))
        write = _Writer(self._session, place, self._timeline, number)
        retry, failure = "retry" in taken.phase.lower(), taken.phase.lower() in _FAILED
        write.text("log", event_line(taken), "ERROR" if failure else "WARN" if retry else "INFO")
        write.json("payload", {**self._extra, **taken.to_dict(), "sequence": number})
        for name in _EVENT_SCALARS:
            write.scalar(name, getattr(taken, name))
        write.scalar("retry", float(retry))
        write.scalar("failure", float(failure))


def event_line(event: ProviderEvent) -> str:
    """Returns an event in a line for people."""
    parts = [f"{event.provider} {event.operation} {event.phase}"]
    if event.max_attempts > 1:
        parts.append(f"attempt {event.attempt} of {event.max_attempts}")
    if event.duration_ms is not None:
        parts.append(f"{event.duration_ms:g} ms")
    parts += [f"status {event.status_code}"] if event.status_code is not None else []
    return ", ".join([*parts, *filter(None, [event.target, event.message])])


def create_rerun_event_handler(
    config: RerunRecordingConfig | None = None, *, session: RerunSession | None = None
) -> RerunEventSink:
    """Returns an event handler that records to a new session with `config`, or to `session`.

    Raises:
        ConfigError: when both are given.
    """
    if config is not None and session is not None:
        raise ConfigError("give config or session, not both")
    return RerunEventSink(session or RerunSession(config))


class RerunArtifactLogger:
    """Records worlds, plans, benchmark reports, showcase summaries and any JSON.

    Args:
        session: where to.
        path_prefix: entity path above all of it.
    """

    def __init__(self, session: RerunSession, path_prefix: str = "worldforge") -> None:
        self._session, self._prefix = session, _path(path_prefix)
        self._plans = 0
        self._results = 0
        self._steps: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def log_json(self, path: str, payload: Any) -> None:
        """Records `payload` as JSON at the entity `path`, for all times.

        Args:
            path: below the prefix, parts separated by `/`.
            payload: a mapping, or an object with `to_dict()`.
        """
        if not _path(path):
            raise InputError("log_json needs a path, such as diagnostics/doctor")
        _Writer(self._session, self._prefix).json(_path(path), _held(payload, "payload"))

    def log_world(self, world: Any, *, label: str | None = None, step: int | None = None) -> None:
        """Records a snapshot of a world: its state, and its objects as points and boxes.

        Args:
            world: WorldForge's, its `to_dict()`, or one of `lewm_evidence.worlds`.
            label: what to call the moment.
            step: of the world; by default what it says itself, else how often it was recorded before.
        """
        held = _held(_own_world(world) if hasattr(world, "state_names") else world, "a world")
        name = segment(held.get("id") or held.get("name"), "world")
        with self._lock:
            said = held.get("step")
            step = step if step is not None else said if isinstance(said, int) else self._steps[name]
            self._steps[name] = step + 1
        write = _Writer(self._session, f"{self._prefix}/worlds/{name}", WORLD_TIMELINE, step)
        write.json("state", held)
        if label:
            write.text("label", clean(label))
        objects = [each for each in _objects(held) if each.position is not None]
        write.scalar("object_count", len(_objects(held)))
        _put_objects(write, objects)

    def log_plan(self, plan: Any, *, label: str | None = None, targets: Any = None) -> None:
        """Records a plan: its payload, action count, success probability or cost, and where its actions lead.

        Args:
            plan: WorldForge's, its `to_dict()`, or what `planning.CEM` returns.
            label: what to call it.
            targets: points (T, 2) or (T, 3) to mark; by default those of `move_to` actions.
        """
        held = _held(_own_plan(plan) if hasattr(plan, "history") and hasattr(plan, "cost") else plan, "a plan")
        with self._lock:
            number, self._plans = self._plans, self._plans + 1
        names = (segment(held.get("provider"), "provider"), segment(held.get("planner"), "planner"))
        write = _Writer(self._session, f"{self._prefix}/plans/{names[0]}/{names[1]}/{number}", PLAN_TIMELINE, number)
        actions = held["actions"] if isinstance(held.get("actions"), list) else []
        write.json("payload", held)
        write.text("label", clean(label) if label else f"plan {number}")
        write.scalar("action_count", held.get("action_count", len(actions)))
        for name in ("success_probability", "cost"):
            write.scalar(name, held.get(name))
        points = [_point(action) for action in clean(targets)] if targets is not None else list(map(_target, actions))
        marked = [(number, point) for number, point in enumerate(points) if point is not None]
        if marked:
            labels = [f"action {number}" for number, _ in marked]
            marks = write.rr.Points3D([point for _, point in marked], labels=labels, colors=[_ORANGE], radii=[0.035])
            write.put("action_targets", marks)

    def log_benchmark_report(self, report: Any) -> None:
        """Records a benchmark report: the whole as JSON, and each result with its metrics.

        Args:
            report: WorldForge's, its `to_dict()`, or the JSON of `make bench`: any mapping whose entry `results` is
                a list of mappings, or a mapping of them by operation. Their numbers are the metrics.
        """
        held = _held(report, "a benchmark report")
        results = list(_results(held))
        _Writer(self._session, f"{self._prefix}/benchmarks").json("report", held)
        for result in results:
            with self._lock:
                index, self._results = self._results, self._results + 1
            names = [segment(result.get(name), fallback) for name, fallback in _RESULT_NAMES]
            place = "/".join([self._prefix, "benchmarks", *names])
            write = _Writer(self._session, place, BENCHMARK_TIMELINE, index)
            write.json("result", result)
            for metric, value in _metrics(result).items():
                write.scalar(segment(metric), value)

    def log_robotics_showcase_summary(self, summary: Any) -> None:
        """Records the summary of a robotics showcase as a scene: targets and paths, scores, latencies.

        Args:
            summary: the mapping that WorldForge's showcase writes as JSON.
        """
        held = _held(summary, "a showcase summary")
        base = f"{self._prefix}/robotics_showcase"
        write = _Writer(self._session, base, SHOWCASE_TIMELINE)
        write.json("summary", held)
        if isinstance(held.get("task"), str) and held["task"].strip():
            write.text("task", held["task"])
        scored = held.get("score_result")
        scored = scored if isinstance(scored, dict) else {}
        scores = [number for number in map(_number, scored.get("scores") or []) if number is not None]
        _put_tabletop(write, held, scored, scores)
        if scores:
            write.bars("scores/cost_bars", scores, _ORANGE)
            write.scalar("scores/best_cost", scored.get("best_score", min(scores)))
        for index, score in enumerate(scores):
            _Writer(self._session, base, CANDIDATE_TIMELINE, index).scalar("scores/candidate_cost", score)
        _put_latencies(write, held)


_RESULT_NAMES = (("provider", "lewm-evidence"), ("operation", "operation"))


@dataclass(frozen=True)
class _Object:
    name: str
    position: list[float] | None
    low: list[float] | None = None
    high: list[float] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def _objects(held: Mapping[str, Any]) -> list[_Object]:
    scene = held.get("scene")
    found = scene.get("objects") if isinstance(scene, dict) else None
    rows = list(found.items()) if isinstance(found, dict) else list(enumerate(found or []))
    return [_object(str(key), row) for key, row in rows if isinstance(row, dict)]


def _object(key: str, row: dict[str, Any]) -> _Object:
    pose = row.get("pose")
    position = _point((pose.get("position") if isinstance(pose, dict) else None) or row.get("position"))
    box = row.get("bbox")
    low, high = (_point(box.get("min")), _point(box.get("max"))) if isinstance(box, dict) else (None, None)
    name = str(row.get("name") or row.get("id") or key)
    return _Object(name, position, low, high, {"id": str(row.get("id") or key), "name": name})


def _put_objects(write: _Writer, objects: list[_Object]) -> None:
    rr = write.rr
    positions = [each.position for each in objects]
    names = [each.name for each in objects]
    # Also when there are none: what was there before is gone.
    write.put("objects", rr.Points3D(positions, labels=names, radii=[0.04]))
    for each in objects:
        write.put(f"objects/{segment(each.facts['id'])}", rr.AnyValues(**each.facts, position=each.position))
    boxes = [(each.name, each.low, each.high) for each in objects if each.low and each.high]
    centres = [[(a + b) / 2 for a, b in zip(low, high, strict=True)] for _, low, high in boxes if low and high]
    sizes = [[b - a for a, b in zip(low, high, strict=True)] for _, low, high in boxes if low and high]
    write.put("object_boxes", rr.Boxes3D(centers=centres, sizes=sizes, labels=[name for name, _, _ in boxes]))


def _own_world(world: Any) -> dict[str, Any]:
    """Returns a world of `lewm_evidence.worlds` in the shape of a snapshot: pixels of its plane, z = 0."""
    state = dict(zip(world.state_names, map(float, world.state), strict=True))
    objects = {"agent": _flat("agent", [[0.0, 0.0]], [state["agent_x"], state["agent_y"]])}
    if world.block_outline is not None:
        pose = [state["block_x"], state["block_y"]]
        turn = [math.cos(state["block_angle"]), math.sin(state["block_angle"])]
        outline = [[turn[0] * x - turn[1] * y, turn[1] * x + turn[0] * y] for x, y in world.block_outline.tolist()]
        objects["block"] = _flat("block", outline, pose)
    scene = {"objects": objects, "space": list(world.space)}
    return {"id": world.name, "name": world.title, "provider": "lewm-evidence", "scene": scene, "state": state}


def _flat(name: str, outline: list[list[float]], place: list[float]) -> dict[str, Any]:
    corners = [[x + place[0] for x, _ in outline], [y + place[1] for _, y in outline]]
    box = {"min": [*map(min, corners), 0.0], "max": [*map(max, corners), 0.0]}
    return {"id": name, "name": name, "pose": {"position": [*place, 0.0]}, "bbox": box}


def _own_plan(plan: Any) -> dict[str, Any]:
    """Returns a plan of `planning.CEM` in the shape of a plan. A cost is no probability, so it names none."""
    actions = [{"type": "action_block", "parameters": {"z_scored": block}} for block in plan.actions.tolist()]
    costs = [float(each.costs.min()) for each in plan.history]
    head = {"provider": "lewm-evidence", "planner": "cem", "actions": actions, "action_count": len(actions)}
    return {**head, "cost": float(plan.cost), "best_cost_by_iteration": costs}


def _target(action: Any) -> list[float] | None:
    parameters = action.get("parameters") if isinstance(action, dict) else None
    if not isinstance(parameters, dict) or action.get("type", action.get("kind")) != "move_to":
        return None
    return _point(parameters.get("target", parameters))


def _results(held: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    results = held.get("results")
    if isinstance(results, dict):
        results = [{"operation": name, **row} for name, row in results.items() if isinstance(row, dict)]
    if not isinstance(results, list):
        raise InputError("a benchmark report needs an entry `results`: a list, or a mapping by operation")
    yield from (row for row in results if isinstance(row, dict))


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """Returns the metrics of a result: those every report has, and for our own reports every number."""
    done, failed = _number(result.get("success_count")), _number(result.get("error_count"))
    total = (done or 0.0) + (failed or 0.0)
    rate = {"success_rate": done / total} if done is not None and total else {}
    numbers = {name: number for name, value in result.items() if (number := _number(value)) is not None}
    known = {name: value for name, value in (rate | numbers).items() if name in _BENCHMARK_METRICS}
    return known or numbers


def _put_tabletop(write: _Writer, held: dict[str, Any], scored: dict[str, Any], scores: list[float]) -> None:
    seen = held.get("visualization")
    rows = seen.get("candidate_targets") if isinstance(seen, dict) else None
    found = [(row.get("index", number), _point(row)) for number, row in enumerate(rows or []) if isinstance(row, dict)]
    targets = {index: point for index, point in found if isinstance(index, int) and point is not None}
    if not targets or not isinstance(seen, dict):
        return
    chosen = scored.get("best_index", seen.get("selected_candidate"))
    # Where the document's showcase puts block and goal, unless the summary says otherwise.
    start, goal = _point(seen.get("start")) or [0.0, 0.5, 0.0], _point(seen.get("goal")) or [0.5, 0.5, 0.0]
    done = held.get("execution")
    final = _point(done.get("final_block_position")) if isinstance(done, dict) else None
    ends = [("final", final, _BLUE)] if final else []
    colors = [_GREEN if index == chosen else _ORANGE for index in targets]
    costs = [f", cost {scores[index]:.4g}" if 0 <= index < len(scores) else "" for index in targets]
    labels = [f"candidate {index}{cost}" for index, cost in zip(targets, costs, strict=True)]
    rr = write.rr
    points = [start, goal, *targets.values(), *(point for _, point, _ in ends)]
    names = ["start", "goal", *labels, *(name for name, _, _ in ends)]
    write.put(
        "tabletop/points",
        rr.Points3D(points, labels=names, colors=[_GREY, _GREEN, *colors, *(c for _, _, c in ends)], radii=[0.035]),
    )
    strips = [[start, point] for point in targets.values()]
    radii = [0.01 if index == chosen else 0.004 for index in targets]
    write.put("tabletop/candidate_paths", rr.LineStrips3D(strips, labels=labels, colors=colors, radii=radii))
    selected = targets.get(chosen) if isinstance(chosen, int) else None
    if selected:
        vector = [b - a for a, b in zip(start, selected, strict=True)]
        write.put("tabletop/selected_vector", rr.Arrows3D(origins=[start], vectors=[vector], colors=[_GREEN]))
    if final:
        replay = [start, *([selected] if selected else []), final]
        write.put("tabletop/selected_replay", rr.LineStrips3D([replay], colors=[_BLUE], radii=[0.012]))
    boxes = [start, *([final] if final else [])]
    shown = ["start", "final"][: len(boxes)]
    sizes = [[0.1, 0.1, 0.05]] * len(boxes)
    write.put(
        "tabletop/block_boxes",
        rr.Boxes3D(centers=boxes, sizes=sizes, labels=shown, colors=[_GREY, _BLUE][: len(boxes)]),
    )


def _put_latencies(write: _Writer, held: dict[str, Any]) -> None:
    events = [row for row in held.get("provider_events") or [] if isinstance(row, dict)]
    rows = [(f"{row.get('provider')}.{row.get('operation')}", _number(row.get("duration_ms"))) for row in events]
    metrics = held.get("metrics")
    measured = metrics if isinstance(metrics, dict) else {}
    rows += [(name, _number(measured.get(name))) for name in ("plan_latency_ms", "total_latency_ms")]
    known = [(name, value) for name, value in rows if value is not None]
    if known:
        values = [value for _, value in known]
        write.bars("runtime/latency_bars", values, _BLUE)
        labels = [name for name, _ in known]
        write.put("runtime/latency_labels", write.rr.AnyValues(labels=labels, values_ms=values))
