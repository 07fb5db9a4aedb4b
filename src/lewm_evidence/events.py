"""What a provider did, as one sanitised stream that every bridge can listen to.

An event comes in by shape: a `ProviderEvent`, a mapping, or any object with `to_dict()` or the fields as attributes
(WorldForge's events are such). Before anyone sees it, secrets are taken out of its texts and of its metadata:
values that `records.redact` knows, then what looks like one. Patterns miss what nobody thought of; they are the
second line, and no reason to put secrets into metadata.

A key names a secret by its words, so `api_key` and `apiKey` do and `tokenizer` does not; and `token` counts only
for texts that are no number, and not for the tokens of language (`mask_token`).
"""

import base64
import binascii
import dataclasses
import math
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

from lewm_evidence.errors import InputError
from lewm_evidence.records.redact import redact

REDACTED = "[redacted]"

_SECRET_WORDS = {
    *("password", "passwords", "passwd", "pwd", "passphrase", "secret", "secrets", "credential", "credentials"),
    *("authorization", "signature", "sig", "apikey", "accesskey", "privatekey", "secretkey", "cookie", "bearer"),
}
_SECRET_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("signing", "key"), ("signed", "url")}
# What stands before `token` when it is a piece of text or of a picture.
_LANGUAGE = {
    *("mask", "pad", "eos", "bos", "cls", "class", "sep", "unk", "special", "image", "text", "start", "end", "next"),
    *("stop", "first", "last", "per", "action", "state", "register", "patch", "prompt", "video"),
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# One token per run of letters, so that a long run is looked at once.
_KEY = re.compile(r"(?<![\w-])([A-Za-z_][\w-]{0,63})[\"']?\s{0,4}[=:]\s{0,4}")
_VALUE = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"?|'[^'\n]*'?|[^\s,;&\"'}\]]+")
_HEADER = re.compile(r"[^\n\"']+")  # the value of an HTTP header, blanks and all
_NO_TEXT = ("attempt", "max_attempts", "status_code", "duration_ms", "sequence", "metadata")  # fields of an event
_SWITCH = re.compile(r"[\"']?(?:true|false|null|none|yes|no|on|off)?[\"']?", re.IGNORECASE)
_NUMBER = re.compile(r"[\"']?[+-]?\d{1,12}(?:\.\d{0,12})?[\"']?")
_URL = re.compile(r"(?<![A-Za-z0-9+.-])([a-z][a-z0-9+.-]{1,20}://)([^\s\"'<>\\]+)", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer\s{1,4})[\w.~+/-]{8,}=*", re.IGNORECASE)
_BASIC = re.compile(r"\b(basic\s{1,4})([A-Za-z0-9+/]{6,}={0,2})", re.IGNORECASE)
_FORMATS = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|hf_[A-Za-z0-9]{20,}|sk-[\w-]{16,}|glpat-[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----(?:[^-]+(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?)?"
)


def names_secret(key: str) -> bool:
    """Says whether what is kept under `key` is secret, whatever it is."""
    words = [word.lower() for word in _WORD.findall(key)]
    return bool(_SECRET_WORDS & set(words)) or any(pair in _SECRET_PAIRS for pair in pairwise(words))


def _names_token(key: str) -> bool:
    words = [word.lower() for word in _WORD.findall(key)]
    places = [place for place, word in enumerate(words) if word == "token"]
    return any(place == 0 or words[place - 1] not in _LANGUAGE for place in places)


def clean_text(text: str) -> str:
    """Returns `text` in composed Unicode without secrets: known values, URL credentials, keyed and known formats.

    A URL keeps scheme, host and path; what follows `?` or `#`, and a user before `@`, goes.
    """
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    # The bytes of a file name that are not UTF-8 can be neither JSON nor an event file's text.
    visible = visible.encode("utf-8", "backslashreplace").decode()
    text = _URL.sub(_clean_url, redact(visible))
    text = _FORMATS.sub(REDACTED, _BEARER.sub(rf"\1{REDACTED}", text))
    return _without_keyed(_BASIC.sub(_clean_basic, text))


def _clean_url(found: re.Match[str]) -> str:
    place = re.split(r"[?#]", found[2], maxsplit=1)[0]
    host, slash, path = place.partition("/")
    return found[1] + host.rpartition("@")[2] + slash + path


def _clean_basic(found: re.Match[str]) -> str:
    try:
        pair = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4))
    except binascii.Error:
        return found[0]
    return found[1] + REDACTED if b":" in pair else found[0]


def _without_keyed(text: str) -> str:
    parts, kept = [], 0
    for found in _KEY.finditer(text):
        # Only then look at the value: it may be long, and the next key inside it.
        if found.start() < kept or not (names_secret(found[1]) or _names_token(found[1])):
            continue
        header = found[1].lower().endswith(("authorization", "cookie"))
        value = (header and _HEADER.match(text, found.end())) or _VALUE.match(text, found.end())
        if value and _is_secret(found[1], value[0]):
            quote = value[0][0] if value[0][0] in "\"'" else ""
            parts += [text[kept : found.end()], quote, REDACTED, quote]
            kept = value.end()
    return "".join([*parts, text[kept:]])


def _is_secret(key: str, value: str) -> bool:
    if _SWITCH.fullmatch(value):
        return False
    return names_secret(key) or (_names_token(key) and not _NUMBER.fullmatch(value))


def clean(value: Any) -> Any:
    """Returns `value` as what JSON holds, without secrets.

    Mappings, sequences, dataclasses, enumerations, paths, arrays and objects with `to_dict()` are taken apart; a
    number that is not finite becomes the text `NaN`, `Infinity` or `-Infinity`.

    Raises:
        InputError: when something in it can be none of these.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Enum):
        return clean(value.value)
    if isinstance(value, float):
        return (
            float(value) if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
        )
    if isinstance(value, str | Path):
        return clean_text(str(value))
    if isinstance(value, Mapping):
        return {clean_text(str(key)): _clean_keyed(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(inner) for inner in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return clean(plain(value))


def _clean_keyed(key: str, value: Any) -> Any:
    if isinstance(value, bool) or value is None or (isinstance(value, str) and not value):
        return value
    secret = names_secret(key) or (_names_token(key) and isinstance(value, str) and _is_secret(key, value))
    return REDACTED if secret else clean(value)


def plain(value: Any) -> Any:
    """Returns what an object says it holds, by its shape; raises `InputError` when it says nothing."""
    for ask in ("to_dict", "tolist"):
        if callable(getattr(value, ask, None)):
            return getattr(value, ask)()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
    raise InputError(f"a {type(value).__name__} cannot be written as JSON; give a mapping or an object with to_dict()")


@dataclass(frozen=True)
class ProviderEvent:
    """One thing a provider did, sanitised when it is made.

    Attributes:
        provider: who did it.
        operation: what, such as `predict`.
        phase: how far, such as `success`, `retry`, `failure`.
        attempt: which attempt this was, from 1.
        max_attempts: how many there may be.
        method: HTTP method, upper case.
        target: what was asked, such as a URL; without query, fragment and user.
        status_code: of HTTP, 100 to 599.
        duration_ms: milliseconds, finite and not negative.
        message: for people.
        metadata: what else is known, as JSON holds it.
        run_id: which run it belongs to.
        request_id: which request.
        trace_id: which trace of OpenTelemetry.
        span_id: which span.
        artifact_id: which artifact came of it.
        input_digest: digest of what went in.
        sequence: its place in the stream, from 0; None before it went through one.
    """

    provider: str
    operation: str
    phase: str
    attempt: int = 1
    max_attempts: int = 1
    method: str | None = None
    target: str | None = None
    status_code: int | None = None
    duration_ms: float | None = None
    message: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    artifact_id: str | None = None
    input_digest: str | None = None
    sequence: int | None = None

    def __post_init__(self) -> None:
        for name in ("provider", "operation", "phase"):
            _check(self, name, isinstance(getattr(self, name), str) and getattr(self, name).strip(), "a name")
        for name in ("attempt", "max_attempts"):
            _check(self, name, _whole(getattr(self, name), 1), "a whole number of at least 1")
        _check(self, "max_attempts", self.max_attempts >= self.attempt, f"at least attempt={self.attempt}")
        _check(self, "status_code", self.status_code is None or _whole(self.status_code, 100, 599), "in 100..599")
        _check(self, "duration_ms", self.duration_ms is None or _duration(self.duration_ms), "finite milliseconds")
        _check(self, "sequence", self.sequence is None or _whole(self.sequence, 0), "a whole number of at least 0")
        _check(self, "metadata", isinstance(self.metadata, Mapping), "a mapping")
        for part in dataclasses.fields(self):
            value = getattr(self, part.name)
            if value is not None and part.name not in _NO_TEXT:
                value = clean_text(str(value).strip())
                value = value.upper() if part.name == "method" else value
            object.__setattr__(self, part.name, clean(value) if part.name == "metadata" else value)

    @classmethod
    def of(cls, event: Any) -> "ProviderEvent":
        """Returns an event of any shape as a `ProviderEvent`; fields that are not known here are left out.

        Raises:
            InputError: when a field is missing or holds what it must not.
        """
        if isinstance(event, cls):
            return event
        names = [part.name for part in dataclasses.fields(cls)]
        if isinstance(event, Mapping) or callable(getattr(event, "to_dict", None)):
            held = event if isinstance(event, Mapping) else event.to_dict()
        else:
            held = {name: getattr(event, name) for name in names if hasattr(event, name)}
        missing = [name for name in ("provider", "operation", "phase") if name not in held]
        if missing:
            raise InputError(f"an event needs provider, operation and phase; this one has no {', '.join(missing)}")
        return cls(**{name: held[name] for name in names if name in held})

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON holds them."""
        return {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}


def _check(event: ProviderEvent, name: str, fine: object, wanted: str) -> None:
    if not fine:
        raise InputError(f"{name} of an event must be {wanted}, got {getattr(event, name)!r}")


def _whole(value: object, low: int, high: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


class EventStream:
    """Numbers events and hands each to every sink exactly once, in one order; itself an event handler.

    Args:
        sinks: callables that take a `ProviderEvent`; the same one twice counts once.
    """

    def __init__(self, sinks: Iterable[Callable[[ProviderEvent], object]] = ()) -> None:
        self._sinks: list[Callable[[ProviderEvent], object]] = []
        self._events: list[ProviderEvent] = []
        self._lock = threading.Lock()
        for sink in sinks:
            self.add(sink)

    @property
    def events(self) -> tuple[ProviderEvent, ...]:
        """What came through so far, in order."""
        return tuple(self._events)

    def add(self, sink: Callable[[ProviderEvent], object]) -> None:
        """Lets `sink` hear what comes from now on."""
        with self._lock:
            if sink not in self._sinks:
                self._sinks.append(sink)

    def __call__(self, event: Any) -> ProviderEvent:
        """Takes an event of any shape in and returns it as the sinks get it."""
        taken = ProviderEvent.of(event)
        with self._lock:
            taken = dataclasses.replace(taken, sequence=len(self._events))
            self._events.append(taken)
            for sink in self._sinks:
                sink(taken)
        return taken
