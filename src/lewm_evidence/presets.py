"""The table of published checkpoints, `presets.yaml`, typed."""

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

_TABLE = Path(__file__).with_suffix(".yaml")


class Preset(BaseModel):
    """One published checkpoint.

    Attributes:
        repo: owner/name on the hub.
        revision: full commit id.
        files: sha256 by file name, None where it is not known.
        sizes: bytes by file name, None where not known.
        world: the simulator it was trained on.
        action_mean: mean of one raw action in the training data, None where not known.
        action_std: its standard deviation.
        licence: what the model card says.
        said_by: who says so.
        date: when it was written down.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None]
    sizes: dict[str, int | None]
    world: str
    action_mean: list[float] | None
    action_std: list[float] | None
    licence: str
    said_by: str
    date: str


@cache
def presets() -> dict[str, Preset]:
    """Returns every row of the table by name."""
    rows = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return {name: Preset.model_validate(row) for name, row in rows.items()}
