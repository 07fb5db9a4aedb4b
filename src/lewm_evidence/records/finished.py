"""The reading side of a run directory."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lewm_evidence.errors import StageError
from lewm_evidence.records.manifest import MANIFEST, Manifest, read_manifest
from lewm_evidence.records.schema import RECORD, Event, Scalar, Spec, Timing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lewm_evidence.records.schema import Record


class FinishedRun:
    """A run directory with a manifest. Raises `StageError` at first use when it has none.

    Attributes:
        path: the run directory, `<runs>/<stage>/<key>`.
    """

    def __init__(self, path: Path, label: str | None = None) -> None:
        self.path = path
        self._label = label

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the run."""
        return read_manifest(self.path / MANIFEST)

    @cached_property
    def spec(self) -> Spec:
        """What the run was asked to do."""
        return Spec.model_validate_json((self.path / "spec.json").read_bytes())

    @property
    def name(self) -> str:
        """`<stage>/<key>`, as other runs name this one."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def label(self) -> str:
        """What views call this run: the name under which it was given, else its stage."""
        return self._label or self.manifest.stage

    def records(self, kind: str | None = None) -> "Iterator[Record]":
        """Yields the records in the order written, of one `kind` if given."""
        for record in self._lines("records.jsonl", RECORD.validate_json):
            if kind is None or record.kind == kind:
                yield record

    def timings(self) -> Iterator[Timing]:
        """Yields the measurements in the order written."""
        yield from self._lines("timing.jsonl", Timing.model_validate_json)

    def scalars(self, tag: str) -> dict[int, float]:
        """Returns the values of one scalar tag by step; empty when it was never recorded."""
        return {r.step: r.value for r in self.records("scalar") if isinstance(r, Scalar) and r.tag == tag}

    def last(self, tag: str) -> float:
        """Returns the last value of a scalar tag; raises `StageError` when it was never recorded."""
        values = self.scalars(tag)
        if not values:
            raise StageError(f"{self.path} holds no scalar {tag!r}; was it made by another version?")
        return values[max(values)]

    def events(self, tag: str) -> list[Event]:
        """Returns the events of one tag in the order written."""
        return [r for r in self.records("event") if isinstance(r, Event) and r.tag == tag]

    def arrays(self, path: str) -> "dict[str, NDArray[np.generic]]":
        """Returns the named arrays of the safetensors file at `path`, as an `Arrays` record gives it."""
        from safetensors.numpy import load_file

        return dict(load_file(self.path / path))

    def _lines(self, name: str, parse: Any) -> Iterator[Any]:
        path = self.path / name
        if not path.exists():
            return
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield parse(line)
                except ValidationError as error:
                    raise StageError(f"{path}:{number} is not a valid line: {error.errors()[0]['msg']}") from error
