"""What a line of `records.jsonl` and `timing.jsonl` and a `spec.json` may hold.

The models are the schema: `workflow/schemas/records.schema.json` is generated from them. Fields are an
allow-list, numbers are finite, and free text exists only in `Text.text` and string values of `Event.fields`.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter

SCHEMA_VERSION: Final = 1

Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*$", max_length=200)]
Step = Annotated[int, Field(ge=0)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1


class Scalar(_Line):
    """One finite number at one step."""

    kind: Literal["scalar"] = "scalar"
    tag: Tag
    step: Step
    value: FiniteFloat


class Histogram(_Line):
    """A sample of finite numbers at one step, kept whole and in order."""

    kind: Literal["histogram"] = "histogram"
    tag: Tag
    step: Step
    values: list[FiniteFloat]


class Text(_Line):
    """Markdown for people, redacted when written."""

    kind: Literal["text"] = "text"
    tag: Tag
    step: Step
    text: str


class Image(_Line):
    """A reference to a PNG file below `frames/`."""

    kind: Literal["image"] = "image"
    tag: Tag
    step: Step
    path: str
    width: int
    height: int


class Arrays(_Line):
    """A reference to a safetensors file below `arrays/`."""

    kind: Literal["arrays"] = "arrays"
    tag: Tag
    step: Step
    path: str


class Event(_Line):
    """Something that happened, with flat fields."""

    kind: Literal["event"] = "event"
    tag: Tag
    step: Step
    fields: dict[str, bool | int | FiniteFloat | str | None]


Record = Annotated[Scalar | Histogram | Text | Image | Arrays | Event, Field(discriminator="kind")]
RECORD: TypeAdapter[Scalar | Histogram | Text | Image | Arrays | Event] = TypeAdapter(Record)


class Timing(_Line):
    """A measured duration, rate or size; the part of a run that may differ between identical runs."""

    tag: Tag
    step: Step
    value: FiniteFloat
    unit: Literal["s", "1/s", "bytes", "count"]


class Spec(BaseModel):
    """What a run key is made of; the canonical JSON of this model is `spec.json`.

    `inputs` maps a role the stage knows (such as `checkpoint`) to `<stage>/<key>`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    stage: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    config: dict[str, Any]
    code: str
    packages: dict[str, str]
    device: Literal["cpu", "cuda"] | None
    precision: Literal["fp32", "bf16"] | None
    inputs: dict[str, str]
