"""Writes the files that are generated from the models: `python -m lewm_evidence.generate`.

They are `config.yaml`, the commented default, and the two JSON schemas below `workflow/schemas/`.
"""

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from lewm_evidence.config import Config
from lewm_evidence.records.job import say
from lewm_evidence.records.schema import Record, Timing

_HEAD = """\
# The embedded default: everything `snakemake --cores 4 evidence` needs, no hub and no GPU.
# Generated from src/lewm_evidence/config.py by `make generated`; edit values freely, unknown keys are refused.
# Only what you change has to be here. docs/configuration.md shows a checkpoint from the hub and one of your own.
"""
_COMMENT_COLUMN = 34


def generated() -> dict[str, str]:
    """Returns the text of every generated file by its path relative to the project."""
    records = TypeAdapter(Record | Timing).json_schema()
    return {
        "config.yaml": _HEAD + "\n".join(_section(Config(), 0)) + "\n",
        "workflow/schemas/config.schema.json": _json(Config.model_json_schema()),
        "workflow/schemas/records.schema.json": _json(records),
    }


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _section(model: BaseModel, depth: int) -> list[str]:
    lines = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            if depth == 0:
                lines.append("")
            lines += [_commented(f"{'  ' * depth}{name}:", field), *_section(value, depth + 1)]
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            lines += ["", _commented(f"{'  ' * depth}{name}:", field), *(f"  - {_flow(row)}" for row in value)]
        else:
            text = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
            lines.append(_commented(f"{'  ' * depth}{name}: {text}", field))
    return lines


def _flow(model: BaseModel) -> str:
    values = model.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(values, default_flow_style=True, sort_keys=False, width=1000).strip()


def _commented(line: str, field: FieldInfo) -> str:
    return f"{line:<{_COMMENT_COLUMN}}# {field.description}"


def main() -> None:
    """Writes each generated file below the current folder and names it."""
    for name, text in generated().items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        say(f"wrote {name}")


if __name__ == "__main__":
    main()
