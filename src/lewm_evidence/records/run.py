"""The writing side of a run directory."""

import json
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from lewm_evidence.canonical import canonical_json, sha256_bytes, write_atomic
from lewm_evidence.errors import StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.manifest import (
    MANIFEST,
    LocalEntry,
    Manifest,
    entries,
    list_files,
    result_digest,
    role_of,
)
from lewm_evidence.records.redact import redact
from lewm_evidence.records.schema import Arrays, Event, Histogram, Image, Scalar, Spec, Text, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

KEY_LENGTH = 20
RECORD_FILES = ("records.jsonl", "timing.jsonl")


def run_key(spec: Spec) -> str:
    """Returns the run key: the first 20 hex of sha256 over the canonical JSON of `spec`."""
    return sha256_bytes(canonical_json(spec.model_dump()))[:KEY_LENGTH]


class Run:
    """A run directory `<runs>/<stage>/<key>` that is being written.

    Records are appended and flushed as they happen, so the run can be watched. Nothing is finished until
    `finish` has written the manifest, last and atomically.

    Attributes:
        path: the run directory.
        spec: what the run was asked to do.
        threads: how many a child process of the stage may use.
        ranks: how many processes share the stage's work.
    """

    def __init__(self, runs: Path, spec: Spec, threads: int = 1, ranks: int = 1) -> None:
        self.spec = spec
        self.threads = threads
        self.ranks = ranks
        self.key = run_key(spec)
        self.path = runs / spec.stage / self.key
        self._runs = runs
        self._streams: dict[str, BufferedWriter] = {}
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path / "spec.json", canonical_json(self.spec.model_dump()))

    @property
    def config(self) -> dict[str, Any]:
        """The part of the configuration this stage was given."""
        return self.spec.config

    def input(self, name: str) -> FinishedRun:
        """Returns the finished run that this run knows as `name`."""
        try:
            return FinishedRun(self._runs / self.spec.inputs[name], name)
        except KeyError:
            raise StageError(f"{self.spec.stage} has no input {name!r}; it has {sorted(self.spec.inputs)}") from None

    def scalar(self, tag: str, value: float, step: int = 0) -> None:
        """Records one finite number."""
        self._record(Scalar, tag=tag, step=step, value=float(value))

    def histogram(self, tag: str, values: "Iterable[float]", step: int = 0) -> None:
        """Records a sample of finite numbers, kept whole."""
        self._record(Histogram, tag=tag, step=step, values=[float(value) for value in values])

    def text(self, tag: str, text: str, step: int = 0) -> None:
        """Records markdown for people, redacted."""
        self._record(Text, tag=tag, step=step, text=redact(text))

    def event(self, tag: str, step: int = 0, **fields: bool | int | float | str | None) -> None:
        """Records that something happened; string fields are redacted."""
        clean = {name: redact(value) if isinstance(value, str) else value for name, value in fields.items()}
        self._record(Event, tag=tag, step=step, fields=clean)

    def image(self, tag: str, pixels: "NDArray[np.uint8]", step: int = 0) -> None:
        """Records a picture, uint8 (H, W, 3), as `frames/<tag>/<step>.png`."""
        from PIL import Image as Png

        height, width = pixels.shape[:2]
        name = f"frames/{tag}/{step:05d}.png"
        record = self._checked(Image, tag=tag, step=step, path=name, width=width, height=height)
        Png.fromarray(pixels).save(self._place(name), format="PNG")
        self._append("records.jsonl", record)

    def arrays(self, tag: str, values: "Mapping[str, NDArray[Any]]", step: int = 0) -> None:
        """Records named arrays as `arrays/<tag>/<step>.safetensors`."""
        import numpy as np
        from safetensors.numpy import save

        path = f"arrays/{tag}/{step:05d}.safetensors"
        record = self._checked(Arrays, tag=tag, step=step, path=path)
        self._place(path).write_bytes(save({name: np.asarray(value, order="C") for name, value in values.items()}))
        self._append("records.jsonl", record)

    def timing(self, tag: str, value: float, step: int = 0, unit: Literal["s", "1/s", "bytes", "count"] = "s") -> None:
        """Records a measurement of this machine, apart from the results."""
        self._append("timing.jsonl", self._checked(Timing, tag=tag, step=step, value=float(value), unit=unit))

    def finish(self, environment: dict[str, Any]) -> Manifest:
        """Writes the manifest and returns it; after that the run is finished."""
        self.close()
        files = entries(self.path)
        local = sorted({name.split("/")[0] for name in list_files(self.path) if role_of(name) == "local"})
        manifest = Manifest(
            stage=self.spec.stage,
            key=self.key,
            result_digest=result_digest(files),
            inputs=self.spec.inputs,
            files=files,
            local=[LocalEntry(path=name, reason="console output of this machine") for name in local],
            environment=environment,
        )
        text = json.dumps(manifest.model_dump(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomic(self.path / MANIFEST, text.encode())
        return manifest

    def offsets(self) -> dict[str, int]:
        """Returns the length in bytes of each record file, for a training checkpoint to store."""
        files = (self.path / name for name in RECORD_FILES)
        return {file.name: file.stat().st_size for file in files if file.exists()}

    def rewind(self, offsets: "Mapping[str, int]") -> None:
        """Cuts the record files back to `offsets`, so that a resumed run ends with the same bytes."""
        self.close()
        for name in RECORD_FILES:
            path = self.path / name
            if name in offsets:
                with path.open("r+b") as file:
                    file.truncate(offsets[name])
            else:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the record files; safe to call twice."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()

    def _place(self, name: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _record(self, model: Any, **fields: Any) -> None:
        self._append("records.jsonl", self._checked(model, **fields))

    def _checked(self, model: Any, **fields: Any) -> Any:
        try:
            return model(**fields)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise StageError(
                f"{self.spec.stage} tried to record {fields['tag']!r} with {where}={fault['input']!r}: {fault['msg']}"
            ) from error

    def _append(self, name: str, line: Any) -> None:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = (self.path / name).open("ab")
        stream.write(canonical_json(line.model_dump()))
        stream.flush()
