"""The model card: `README.md` in the payload, with Hugging Face's `model-index` in front.

Every number is copied from the evaluate run; a bundle without one has a card without results.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from lewm_evidence.presets import presets
from lewm_evidence.records.finished import FinishedRun

_METRICS = {
    "success_rate": "Success rate, planning with the model",
    "mean_final_error_px": "Mean final error in pixels, planning with the model",
}
_METHODS = {"lewm": "LeWM", "random": "random actions", "noop": "no action"}
_UNKNOWN_LICENCES = {"", "unknown", "other"}


def model_card(config: Mapping[str, Any], result_digest: str, evaluate: FinishedRun | None) -> bytes:
    """Returns the card.

    Args:
        config: the whole configuration.
        result_digest: of the bundle.
        evaluate: the run with the results.
    """
    source = config.get("checkpoint") or {}
    found = _scalars(evaluate) if evaluate is not None else {}
    protocol = _protocol(evaluate) if evaluate is not None else {}
    head: dict[str, Any] = {"library_name": "lewm-evidence", "tags": ["world-model", "jepa", "robotics", "planning"]}
    if licence := _licence(source):
        head["license"] = licence
    head["model-index"] = [_index(source, result_digest, found, protocol)]
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n\n{_body(source, result_digest, found, protocol)}".encode()


def _name(source: Mapping[str, Any]) -> str:
    return str(source.get("repo") or source.get("name") or source.get("source") or "checkpoint")


def _licence(source: Mapping[str, Any]) -> str | None:
    rows = presets().values()
    found = {
        row.licence.lower() for row in rows if (row.repo, row.revision) == (source.get("repo"), source.get("revision"))
    }
    return found.pop() if len(found) == 1 and not found & _UNKNOWN_LICENCES else None


def _scalars(run: FinishedRun) -> dict[str, float]:
    records = run.records("scalar")
    return {r.tag.removeprefix("evaluate/"): r.value for r in records if r.kind == "scalar" and r.step == 0}


def _protocol(run: FinishedRun) -> dict[str, Any]:
    events = run.events("evaluate/protocol")
    return dict(events[-1].fields) if events else {}


def _index(
    source: Mapping[str, Any], digest: str, found: Mapping[str, float], protocol: Mapping[str, Any]
) -> dict[str, Any]:
    world = str(source.get("world") or source.get("name") or "pusht")
    metrics = [_metric(tag, name, found) for tag, name in _METRICS.items() if f"lewm/{tag}" in found]
    entry: dict[str, Any] = {"name": _name(source), "results": []}
    if metrics:
        entry["results"] = [
            {
                "task": {"type": "robotics", "name": "planning towards a goal picture"},
                "dataset": {
                    "type": f"lewm-evidence/{world}",
                    "name": f"{world}, paired seeded starts in simulation",
                    "args": dict(sorted(protocol.items())),
                },
                "metrics": metrics,
                "source": {"name": f"lewm-evidence bundle, result digest {digest}", "url": f"urn:sha256:{digest}"},
            }
        ]
    return entry


def _metric(tag: str, name: str, found: Mapping[str, float]) -> dict[str, Any]:
    args = {"confidence": 0.95, "low": found.get(f"lewm/{tag}_low"), "high": found.get(f"lewm/{tag}_high")}
    return {"type": tag, "value": found[f"lewm/{tag}"], "name": name, "args": args}


def _body(source: Mapping[str, Any], digest: str, found: Mapping[str, float], protocol: Mapping[str, Any]) -> str:
    lines = [f"# Evidence about {_name(source)}", "", f"Result digest of the bundle: `{digest}`.", ""]
    if source.get("revision"):
        lines += [f"Repository `{source['repo']}` at commit `{source['revision']}`.", ""]
    if found:
        lines += [*_table(found), "", f"95 % bootstrap intervals over {protocol.get('n', 'the')} paired starts.", ""]
    else:
        lines += ["No evaluate run was sealed, so there are no results here.", ""]
    lines += [
        "`lewm-evidence verify` checks the bundle this card came in; copied elsewhere the card proves nothing.",
        "",
    ]
    return "\n".join(lines)


def _table(found: Mapping[str, float]) -> Iterator[str]:
    yield "| method | success rate | mean final error (px) |"
    yield "|---|---|---|"
    for method, name in _METHODS.items():
        rate = _interval(found, f"{method}/success_rate", 2)
        error = _interval(found, f"{method}/mean_final_error_px", 1)
        yield f"| {name} | {rate} | {error} |"


def _interval(found: Mapping[str, float], tag: str, digits: int) -> str:
    try:
        value, low, high = (found[tag + end] for end in ("", "_low", "_high"))
    except KeyError:
        return "not measured"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
