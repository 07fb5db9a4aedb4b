"""Writes the parts of these pages that come from the code: `make generated`. A test says when one is stale.

A part lies between the lines `<!-- generated: NAME -->` and `<!-- end -->` of its page.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from lewm_evidence.config import Config
from lewm_evidence.records.job import say
from lewm_evidence.records.manifest import FileEntry, LocalEntry, Manifest
from lewm_evidence.records.schema import Arrays, Event, Histogram, Image, Scalar, Spec, Text, Timing

ROOT = Path(__file__).parents[1]
LINES = (Scalar, Histogram, Text, Image, Arrays, Event, Timing)
DOCUMENTS = {
    "tensorboard": "WorldForge: TensorBoard integration",
    "rerun": "WorldForge: Rerun integration",
    "mosaic-page": "MOSAIC: observability, as shown",
    "mosaic-source": "MOSAIC: observability, its source",
    "rl-logging-plan": "A plan for logging reinforcement learning to TensorBoard",
}


def pages() -> dict[Path, str]:
    """Returns each page with generated parts as it should be."""
    return {
        path: re.sub(
            r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
            lambda part: f"{part[1]}\n{PARTS[part[2]]().strip()}\n\n{part[3]}",
            text,
            flags=re.DOTALL,
        )
        for path in sorted((ROOT / "docs").glob("*.md"))
        if "<!-- generated: " in (text := path.read_text(encoding="utf-8"))
    }


def configuration() -> str:
    """A section for each model of the configuration: its keys with type, range, default and meaning."""
    places: dict[type[BaseModel], list[str]] = {}
    _collect(Config, "", places)
    titles = {model: where[0] if len(where) == 1 else model.__name__ for model, where in places.items()}
    sections = [_table(Config, titles)]
    for model, where in places.items():
        used = f" Stands at {', '.join(f'`{place}`' for place in where)}." if len(where) > 1 else ""
        sections += [f"### {titles[model]}", f"{_linked(_first(model))}{used}", _table(model, titles)]
    return "\n\n".join(sections)


def _collect(model: type[BaseModel], place: str, places: dict[type[BaseModel], list[str]]) -> None:
    """Notes where in the configuration each model below `model` stands, outermost first."""
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            places.setdefault(inner, []).append(f"{place}{name}")
            _collect(inner, f"{place}{name}.", places)


def _models(kind: Any) -> list[type[BaseModel]]:
    """Returns the models in a type, in order."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in _models(part)]


def _table(model: type[BaseModel], titles: dict[type[BaseModel], str]) -> str:
    names = {inner.__name__: title for inner, title in titles.items()}
    properties = model.model_json_schema()["properties"]
    described = any(field.description for field in model.model_fields.values())
    rows: list[tuple[str, ...]] = [("key", "type", "default", "meaning")] if described else [("field", "type")]
    rows.append(("---",) * len(rows[0]))
    for name, field in model.model_fields.items():
        row = (f"`{name}`", _words(properties[name], names))
        rows.append((*row, _default(field), _linked(field.description or "")) if described else row)
    return "\n".join(f"| {' | '.join(_cell(text) for text in row)} |" for row in rows)


def _words(schema: dict[str, Any], names: dict[str, str]) -> str:
    """Returns what a JSON schema admits, in words."""
    if "$ref" in schema:
        title = names.get(schema["$ref"].rpartition("/")[2])
        return f"[{title}](#{title.lower().replace('.', '')})" if title else "any JSON"
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in schema.get("enum", [schema.get("const")]))
    for choices in ("anyOf", "oneOf"):
        if choices in schema:
            return " or ".join(_words(choice, names) for choice in schema[choices])
    match schema.get("type"):
        case "array":
            return f"list of {_words(schema['items'], names)}"
        case "object":
            inner = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
            return f"mapping to {_words(inner, names)}" if isinstance(inner, dict) else "mapping"
        case "string":
            return f"text like `{schema['pattern']}`" if "pattern" in schema else "text"
        case "integer" | "number" as kind:
            signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
            limits = [f"{sign} {schema[name]}" for name, sign in signs.items() if name in schema]
            return " ".join([kind, ", ".join(limits)]).strip()
        case None:
            return "any JSON"
        case kind:
            return str(kind)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        return f"{len(value)} entries of [config.yaml](../config.yaml)"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True) or {"source": getattr(value, "source", None)}
        if value == {"source": None}:
            return "–"
    return f"`{json.dumps(to_jsonable_python(value, exclude_none=True), ensure_ascii=False)}`"


def records() -> str:
    """A section for each kind of line, for `spec.json` and for `manifest.json`."""
    titles = {model: model.__name__ for model in (*LINES, Spec, Manifest, FileEntry, LocalEntry)}
    sections = []
    for model, title in titles.items():
        sections += [f"### {title}", _first(model), _table(model, titles)]
    return "\n\n".join(sections)


def targets() -> str:
    """The targets of the Makefile, with their words."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rows = re.findall(r"^([a-z-]+):[^#\n]*## (.*)$", makefile, re.MULTILINE)
    return "\n".join(
        ["| `make …` | |", "|---|---|", *(f"| `{name}` | {_cell(_linked(what))} |" for name, what in rows)]
    )


def features() -> str:
    """Every promise of the source documents, with the test that shows it or the reason why not."""
    rows = yaml.safe_load((ROOT / "tests/seeds/features.yaml").read_text(encoding="utf-8"))
    told = Counter((row["document"], "test" in row) for row in rows)
    lines = ["| document | shown by a test | not, for a reason |", "|---|---|---|"]
    lines += [f"| {title} | {told[name, True]} | {told[name, False]} |" for name, title in DOCUMENTS.items()]
    lines.append(f"| all | {sum('test' in row for row in rows)} | {sum('reason' in row for row in rows)} |")
    for name, title in DOCUMENTS.items():
        lines += ["", f"### {title}", "", "| what | test, or reason why not |", "|---|---|"]
        lines += [f"| {_plain(row['what'])} | {_shown(row)} |" for row in rows if row["document"] == name]
    return "\n".join(lines)


def _shown(row: dict[str, str]) -> str:
    if "reason" in row:
        return f"*{_plain(row['reason'])}*"
    path, _, test = row["test"].partition("::")
    words = test.removeprefix("test_").replace("_s_", "'s ").replace("_", " ")
    return f"[{_plain(words)}](../{path})"


def _plain(text: str) -> str:
    """Returns text that Markdown leaves as it is, in a cell of a table."""
    return _cell(re.sub(r"([\\`*_\[\]<>])", r"\\\1", text))


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _linked(text: str) -> str:
    """Returns text of the code for a page here: pages it names are links, and what looks like a tag is none."""
    text = "".join(part if at % 2 else part.replace("<", r"\<") for at, part in enumerate(re.split("(`[^`]*`)", text)))
    return re.sub(r"docs/(\w+)\.md", r"[\1](\1.md)", text)


def _first(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


PARTS = {"configuration": configuration, "records": records, "targets": targets, "features": features}


def main() -> None:
    """Writes every page that has generated parts and names it."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        say(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
