"""Shows a checkpoint that a host program runs in TensorBoard: where it comes from, its costs, its latencies.

The host calls; nothing here runs a model, reads a file of secrets or sends anything. The first `log_*` call opens
the event file, importing this module or making an inspector does nothing. Without TensorBoard everything is a
no-op, said once. docs/tensorboard.md shows the tags.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Protocol, Self

from lewm_evidence.errors import InputError
from lewm_evidence.events import REDACTED, clean, clean_text

__all__ = [
    "TensorBoardCheckpointInspector",
    "TensorBoardLogConfig",
    "TensorBoardSession",
    "create_tensorboard_inspector",
    "default_run_name",
]

_LOG = logging.getLogger(__name__)
_PREFIX = "worldforge/leworldmodel"
_NO_SDK = (
    "nothing is written for TensorBoard: neither tensorboard nor tensorboardX can be imported; "
    "install lewm-evidence[tensorboard]"
)
_SUMMARY_TEXTS = ("task", "checkpoint_display", "checkpoint", "state_dir")
_EVENT_NUMBERS = ("attempt", "max_attempts", "duration_ms", "status_code")


@dataclass(frozen=True)
class TensorBoardLogConfig:
    """Where and how a session writes.

    Attributes:
        log_dir: the folder to open with TensorBoard. A relative one lies below the project: the nearest folder
            above the working directory with a `pyproject.toml` or `.git`, else the working directory.
        run_name: the run's folder below `log_dir`; None writes into `log_dir` itself.
        flush_secs: seconds between flushes of a SummaryWriter; this package's own writer flushes every value.
        max_queue: values a SummaryWriter holds back at most.
        filename_suffix: ends the name of the event file.
        purge_step: TensorBoard forgets what earlier files of the run hold from this step on.
        write_to_disk: False makes every call a no-op.

    Raises:
        InputError: for a value that cannot be used, when the configuration is made.
    """

    log_dir: str | Path
    run_name: str | None = None
    flush_secs: int = 30
    max_queue: int = 10
    filename_suffix: str = ""
    purge_step: int | None = None
    write_to_disk: bool = True

    def __post_init__(self) -> None:
        if not str(self.log_dir):
            raise InputError("log_dir is empty; name the folder that TensorBoard will open")
        for name in ("flush_secs", "max_queue"):
            if not _whole(getattr(self, name), 1):
                raise InputError(f"{name}={getattr(self, name)!r} is not a whole number of 1 or more")
        if self.purge_step is not None and not _whole(self.purge_step, 0):
            raise InputError(f"purge_step={self.purge_step!r} is not a whole number of 0 or more")
        if "/" in self.filename_suffix:
            raise InputError(f"filename_suffix={self.filename_suffix!r} names a folder; it only ends a file name")
        if self.run_name is not None and not _stays_below(self.run_name):
            raise InputError(f"run_name={self.run_name!r} is not the name of a folder below log_dir")

    @property
    def resolved_log_dir(self) -> Path:
        """The folder of this run's event files."""
        folder = Path(self.log_dir).expanduser()
        return (folder if folder.is_absolute() else project() / folder) / (self.run_name or "")


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _stays_below(name: str) -> bool:
    return bool(name.strip()) and not Path(name).is_absolute() and ".." not in Path(name).parts


def project() -> Path:
    """Returns the nearest folder above with a `pyproject.toml` or `.git`, else the working directory."""
    here = Path.cwd()
    marked = (
        folder for folder in (here, *here.parents) if any((folder / m).exists() for m in ("pyproject.toml", ".git"))
    )
    return next(marked, here)


def default_run_name(prefix: str = "run") -> str:
    """Returns `prefix` with the time in UTC, as in `run-20260102T030405Z`."""
    return f"{_segment(prefix)}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


class _Writer(Protocol):
    def scalar(self, tag: str, value: float, step: int) -> None: ...
    def histogram(self, tag: str, values: Iterable[float], step: int) -> None: ...
    def text(self, tag: str, markdown: str, step: int) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class _Foreign:
    """A SummaryWriter of torch or tensorboardX under the names of our own writer."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self.scalar = writer.add_scalar
        self.histogram = writer.add_histogram
        self.text = writer.add_text
        self.flush = writer.flush

    def close(self) -> None:
        self._writer.flush()
        self._writer.close()


def _open_writer(folder: Path, config: TensorBoardLogConfig, sdk: Callable[..., Any] | None) -> _Writer | None:
    if sdk is None:
        try:
            native = import_module("lewm_evidence.render.live_tensorboard")
        except ImportError:
            sdk = _summary_writer()
        else:
            writer: _Writer = native.LiveWriter(folder, config.filename_suffix, config.purge_step)
            return writer
    if sdk is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    options = ("flush_secs", "max_queue", "filename_suffix", "purge_step")
    return _Foreign(sdk(log_dir=str(folder), **{name: getattr(config, name) for name in options}))


def _summary_writer() -> Callable[..., Any] | None:
    # torch is never imported for this, only used where the host has done so.
    names = ["tensorboardX"]
    if "torch" in sys.modules or "torch.utils.tensorboard" in sys.modules:
        names.insert(0, "torch.utils.tensorboard")
    for name in names:
        try:
            found: Callable[..., Any] = import_module(name).SummaryWriter
        except (ImportError, AttributeError):
            continue
        return found
    return None


class TensorBoardSession:
    """One run of TensorBoard, opened by the first value.

    Steps of a tag only go up, for TensorBoard may drop what does not: a value whose step is not larger than the
    one before it opens a second series, `<tag>#2`, and so on. After `close` another value opens a new file.

    Args:
        config: where and how to write.
        sdk: makes a writer with `add_scalar`, `add_histogram`, `add_text`, `flush` and `close` from the keywords
            of torch's SummaryWriter, in place of the one that is found.

    Attributes:
        config: as given.
        log_dir: the folder of this run's event files, found when the session is made.
        events_written: whether anything was logged.
    """

    def __init__(self, config: TensorBoardLogConfig, sdk: Callable[..., Any] | None = None) -> None:
        self.config = config
        self.log_dir = config.resolved_log_dir
        self.sdk = sdk
        self.events_written = False
        self._lock = RLock()
        self._writer: _Writer | None = None
        self._missing = not config.write_to_disk
        self._last_step: dict[str, int] = {}

    def start(self) -> Self:
        """Opens the writer: `tensorboard`, else `torch.utils.tensorboard` if torch is loaded, else `tensorboardX`."""
        with self._lock:
            if self._writer is None and not self._missing:
                self._writer = _open_writer(self.log_dir, self.config, self.sdk)
                if self._writer is None:
                    self._missing = True
                    _LOG.warning(_NO_SDK)
        return self

    @property
    def writer(self) -> Any:
        """The open writer, or None where there is none to open."""
        return self.start()._writer

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Writes one number; NaN and infinities too, TensorBoard marks them."""
        self._write("scalar", tag, float(value), step)

    def histogram(self, tag: str, values: Iterable[float], step: int) -> None:
        """Writes a sample of finite numbers."""
        self._write("histogram", tag, values, step)

    def text(self, tag: str, markdown: str, step: int) -> None:
        """Writes markdown, sanitized."""
        self._write("text", tag, _clean(markdown), step)

    def _write(self, kind: str, tag: str, value: Any, step: int) -> None:
        if not _whole(step, 0):
            raise InputError(f"step={step!r} of {tag!r} is not a whole number of 0 or more")
        with self._lock:
            if self.start()._writer is None:
                return
            getattr(self._writer, kind)(self._place(tag, step), value, step)
            self.events_written = True

    def _place(self, tag: str, step: int) -> str:
        name, number = tag, 1
        while step <= self._last_step.get(name, -1):
            number += 1
            name = f"{tag}#{number}"
        self._last_step[name] = step
        return name

    def as_summary(self) -> dict[str, Any]:
        """Returns the `tensorboard` block of a showcase's summary."""
        config = self.config
        return {
            "log_dir": _clean(str(config.log_dir)),
            "run_name": config.run_name,
            "flush_secs": config.flush_secs,
            "events_written": self.events_written,
        }

    def flush(self) -> None:
        """Makes everything written so far readable."""
        with self._lock:
            if self._writer is not None:
                self._writer.flush()

    def close(self) -> None:
        """Closes the event file; safe to call twice."""
        with self._lock:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()


@dataclass
class TensorBoardCheckpointInspector:
    """Writes what is known of a checkpoint and of its runs, all tags below `prefix`.

    Where no step is given, the calls of a method count: 0, 1, 2. Usable in a `with` statement, which closes it.

    Attributes:
        session: the run to write to.
        prefix: stands before every tag.
    """

    session: TensorBoardSession
    prefix: str = _PREFIX
    _last: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _seen: set[object] = field(default_factory=set, init=False, repr=False)
    _lock: RLock = field(default_factory=RLock, init=False, repr=False)

    def __post_init__(self) -> None:
        self.prefix = "/".join(_segment(part) for part in self.prefix.split("/") if part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def log_dir(self) -> Path:
        """The folder of this run's event files."""
        return self.session.log_dir

    def flush(self) -> None:
        """Makes everything written so far readable."""
        self.session.flush()

    def close(self) -> None:
        """Closes the event file; safe to call twice."""
        self.session.close()

    def log_text(self, tag: str, text: str, *, step: int | None = None) -> None:
        """Writes a text panel, sanitized and shown as it is."""
        # Sanitized before it is fenced too: a longer run of backticks must not come from a mark.
        shown = _clean(text)
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
        self.session.text(self._tag(tag), f"{fence}\n{shown}\n{fence}", self._step(tag, step))

    def log_json(self, tag: str, payload: object, *, step: int | None = None) -> None:
        """Writes a mapping or list as indented JSON, sanitized; NaN and infinities as strings."""
        self.log_text(tag, json.dumps(clean(payload), indent=2, sort_keys=True, ensure_ascii=False), step=step)

    def log_scalar(self, tag: str, value: object, *, step: int | None = None) -> None:
        """Writes a number: of Python, numpy or torch; True and False are 1 and 0. Anything else is left out."""
        number = _number(value)
        if number is not None:
            self.session.scalar(self._tag(tag), number, self._step(tag, step))

    def log_histogram(self, tag: str, values: object, *, step: int | None = None) -> bool:
        """Writes the finite numbers of an array, tensor or iterable; the rest is counted in `<tag>/non_finite`.

        Returns:
            Whether a histogram could be made: not of an empty sample, nor of things that are not numbers.
        """
        found = _sample(values)
        if found is None or (found[0].size == 0 and found[1] == 0):
            return False
        finite, others = found
        number = self._step(tag, step)
        if finite.size:
            self.session.histogram(self._tag(tag), finite, number)
        if others:
            self.session.scalar(self._tag(f"{tag}/non_finite"), others, number)
        return bool(finite.size)

    def log_checkpoint_summary(self, summary: Mapping[str, Any]) -> None:
        """Writes where a checkpoint comes from.

        Args:
            summary: anything JSON can hold; `output` (or `checkpoint`), `policy`, `repo_id`, `revision` and
                `created` get panels of their own.
        """
        step = self._step("checkpoint", None)
        self.log_json("checkpoint/provenance", summary, step=step)
        path = summary.get("output") or summary.get("checkpoint")
        texts = {"path": path, "policy": summary.get("policy")}
        texts |= {"repo": summary.get("repo_id"), "revision": summary.get("revision")}
        for name, text in texts.items():
            if text:
                self.log_text(f"checkpoint/{name}", str(text), step=step)
        if isinstance(summary.get("created"), bool):
            self.log_scalar("checkpoint/created", summary["created"], step=step)

    def log_score_distribution(
        self,
        scores: object,
        *,
        best_index: int | None = None,
        best_score: object = None,
        step: int | None = None,
    ) -> None:
        """Writes the cost of each candidate, their spread and the best of them.

        Args:
            scores: (N,) costs, lowest is best: array, tensor or iterable of numbers.
            best_index: the chosen candidate; the one of lowest cost when left out.
            best_score: its cost; the one at `best_index` when left out.
            step: decision or iteration.
        """
        costs = _floats(scores)
        finite = [cost for cost in costs if math.isfinite(cost)]
        step = self._step("scores", step)
        for index, cost in enumerate(costs):
            self.log_scalar(f"scores/candidate_{index:03d}", cost, step=step)
        if not finite:
            return
        if best_index is None:
            best_index = costs.index(min(finite))
        if best_score is None and 0 <= best_index < len(costs):
            best_score = costs[best_index]
        self.log_histogram("scores/cost_distribution", costs, step=step)
        stats = {"min": min(finite), "max": max(finite), "mean": math.fsum(finite) / len(finite)}
        for name, value in {**stats, "best_index": best_index, "best_score": best_score}.items():
            self.log_scalar(f"scores/{name}", value, step=step)

    def log_metrics(self, metrics: Mapping[str, object], *, step: int | None = None) -> None:
        """Writes numbers by name; what is not a number is left out."""
        step = self._step("metrics", step)
        for name, value in metrics.items():
            self.log_scalar(f"metrics/{name}", value, step=step)

    def log_event(self, event: object) -> None:
        """Writes that a provider did something, once.

        Args:
            event: an object or mapping with `provider`, `operation`, `phase` and what else a ProviderEvent has.
                Its step is its `sequence`, where it has one; an event with a `sequence` seen before is left out.
        """
        provider, operation = _get(event, "provider"), _get(event, "operation")
        if not isinstance(provider, str) or not isinstance(operation, str):
            raise InputError(f"an event needs provider and operation, {type(event).__name__} has not got both")
        sequence = _get(event, "sequence")
        identity = (str(_get(event, "run_id")), sequence)
        if _whole(sequence, 0):
            if identity in self._seen:
                return
            self._seen.add(identity)
        step = self._step("events", sequence if _whole(sequence, 0) else None)
        place = f"events/{_name(provider)}/{_name(operation)}"
        phase = _get(event, "phase")
        message = _get(event, "message") or f"{provider}.{operation} {phase or ''}"
        self.log_text(f"{place}/log", str(message).strip(), step=step)
        for name in _EVENT_NUMBERS:
            self.log_scalar(f"{place}/{name}", _get(event, name), step=step)
        for name in ("failure", "retry"):
            self.log_scalar(f"{place}/{name}", phase == name, step=step)

    log_provider_event = log_event

    def log_robotics_showcase_summary(self, summary: Mapping[str, Any]) -> None:
        """Writes the summary of a robotics showcase: texts, candidate costs, metrics and, if none came yet, events.

        Args:
            summary: as the showcase writes it to JSON. Of `provider_events`, those that were logged while they
                happened are not logged again.
        """
        step = self._step("robotics_showcase", None)
        self.log_json("robotics_showcase/summary", summary, step=step)
        for name in _SUMMARY_TEXTS:
            if summary.get(name):
                self.log_text(f"robotics_showcase/{name}", str(summary[name]), step=step)
        for name in ("inputs", "health"):
            if isinstance(summary.get(name), Mapping):
                self.log_json(f"robotics_showcase/{name}", summary[name], step=step)
        result = summary.get("score_result")
        if isinstance(result, Mapping) and result.get("scores"):
            best = result.get("best_index")
            self.log_score_distribution(result["scores"], best_index=best, best_score=result.get("best_score"))
        numbers = [summary.get(name) for name in ("score_stats", "metrics")]
        self.log_metrics({name: value for part in numbers if isinstance(part, Mapping) for name, value in part.items()})
        if "events" not in self._last:
            for event in summary.get("provider_events") or ():
                self.log_event(event)

    log_robotics_showcase = log_robotics_showcase_summary

    def log_state_dict_histograms(self, state_dict: Mapping[str, object], *, step: int | None = None) -> int:
        """Writes the distribution of every parameter.

        Args:
            state_dict: tensors by name; whatever has `detach`, `cpu` and `numpy`, or is an array. bfloat16,
                integers and single numbers too.
            step: training step.

        Returns:
            How many parameters have a histogram now. The others are named in a warning.
        """
        step = self._step("weights", step)
        left_out = [
            name for name, value in state_dict.items() if not self.log_histogram(f"weights/{name}", value, step=step)
        ]
        if left_out:
            _LOG.warning("no histogram of %s: empty, or no finite numbers", ", ".join(sorted(left_out)))
        return len(state_dict) - len(left_out)

    def _tag(self, tag: str) -> str:
        return "/".join([self.prefix, *(_segment(part) for part in tag.split("/") if part)])

    def _step(self, group: str, step: int | None) -> int:
        with self._lock:
            last = self._last.get(group, -1)
            step = last + 1 if step is None else step
            self._last[group] = max(last, step)
        return step


def _clean(text: str) -> str:
    # Text that was cleaned before is left as it is: a mark is not cleaned again.
    return REDACTED.join(clean_text(part) for part in text.split(REDACTED))


@lru_cache(maxsize=4096)
def _segment(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", _clean(text)).strip("._-") or "item"


def _name(text: str) -> str:
    return _segment(text.replace("/", "_"))


def _get(event: object, name: str) -> Any:
    return event.get(name) if isinstance(event, Mapping) else getattr(event, name, None)


def _number(value: object) -> float | None:
    if not isinstance(value, (bool, int, float)) and callable(getattr(value, "item", None)):
        try:
            value = value.item()  # type: ignore[attr-defined]  # numpy's and torch's single numbers
        except (ValueError, TypeError, RuntimeError):
            return None
    return float(value) if isinstance(value, (bool, int, float)) else None


def _floats(values: object) -> list[float]:
    if callable(getattr(values, "tolist", None)):
        values = values.tolist()  # type: ignore[attr-defined]
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes, Mapping)):
        raise InputError(f"scores are a sequence of numbers, not {type(values).__name__}")
    numbers = [_number(value) for value in values]
    if None in numbers:
        raise InputError(f"score {numbers.index(None)} is not a number")
    return [number for number in numbers if number is not None]


def _sample(values: object) -> tuple[Any, int] | None:
    """Returns the finite numbers as a flat float64 array and how many others there are; None if not numbers."""
    try:
        import numpy as np
    except ImportError:  # then there is no writer either
        return None
    try:
        if all(callable(getattr(values, name, None)) for name in ("detach", "cpu", "numpy")):
            values = _array(values)
        elif not hasattr(values, "__array__"):
            if not isinstance(values, Iterable) or isinstance(values, (str, bytes, Mapping)):
                return None
            values = list(values)
        numbers = np.asarray(values).astype(np.float64).ravel()
    except (TypeError, ValueError, RuntimeError):
        return None
    finite = numbers[np.isfinite(numbers)]
    return finite, numbers.size - finite.size


def _array(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:  # numpy has no bfloat16
        return tensor.float().numpy()


def create_tensorboard_inspector(
    *,
    log_dir: str | Path,
    run_name: str | None = None,
    flush_secs: int = 30,
    prefix: str = _PREFIX,
    sdk: Callable[..., Any] | None = None,
) -> TensorBoardCheckpointInspector:
    """Returns an inspector that writes to `log_dir/run_name`; nothing is made before its first `log_*` call.

    Args:
        log_dir: the folder to open with TensorBoard; a relative one lies below the project.
        run_name: the run's folder in it; None writes into `log_dir` itself.
        flush_secs: see `TensorBoardLogConfig`.
        prefix: stands before every tag.
        sdk: see `TensorBoardSession`.
    """
    config = TensorBoardLogConfig(log_dir=log_dir, run_name=run_name, flush_secs=flush_secs)
    return TensorBoardCheckpointInspector(TensorBoardSession(config, sdk), prefix)
