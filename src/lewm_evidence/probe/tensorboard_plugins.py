"""Asks a real TensorBoard server for what is no series: custom scalars, HParams, graph and projector.

What is expected is read from the run directories here, not from what the renderer wrote.
"""

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.tensorboard import Server
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.schema import Arrays, Scalar
from lewm_evidence.tensors import tensors

# Stages whose configuration stands in the HParams table; each shows these scalars among its results.
_SESSIONS = {"showcase": "showcase/error_px", "evaluate": "evaluate/lewm/success_rate", "train": "train/loss"}


class Page(NamedTuple):
    """A page that was found right: the TensorBoard run (or none), the plugin, and how many things it shows."""

    run: str
    plugin: str
    shown: int


def check_plugins(server: Server, runs: Mapping[str, FinishedRun]) -> list[Page]:
    """Compares the pages of `server` with the finished `runs`, by stage, and returns what was compared.

    Raises:
        ProbeError: naming page and run of the first thing that is missing or different.
    """
    found = [*_custom_scalars(server, runs), *_hparams(server, runs)]
    for _, run in sorted(runs.items()):
        weights = run.path / "checkpoint" / "model.safetensors"
        if weights.exists():
            found.append(_graph(server, f"results/{run.label}", {part.name for part in tensors(weights)}))
        vectors = _latents(run)
        if vectors is not None:
            found.append(_projector(server, f"results/{run.label}", vectors))
    return found


def _custom_scalars(server: Server, runs: Mapping[str, FinishedRun]) -> Iterator[Page]:
    known = {record.tag for run in runs.values() for record in run.records("scalar") if isinstance(record, Scalar)}
    if not known:
        return
    charts = [
        (chart["title"], chart.get("multiline", {}).get("tag", []))
        for category in server.json("data/plugin/custom_scalars/layout").get("category", [])
        for chart in category["chart"]
    ]
    for title, patterns in charts:
        empty = [pattern for pattern in patterns if not any(re.search(pattern, tag) for tag in known)]
        if empty or not patterns:
            raise ProbeError(f"the custom-scalars chart {title!r} draws {empty}, of which nothing was recorded")
    if charts:
        yield Page("", "custom_scalars", len(charts))


def _hparams(server: Server, runs: Mapping[str, FinishedRun]) -> Iterator[Page]:
    sessions = {f"results/{run.label}": run for _, run in sorted(runs.items()) if run.manifest.stage in _SESSIONS}
    if not sessions:
        return
    table = server.json("data/plugin/hparams/experiment", {"experimentName": ""})
    names = {info["name"] for info in table.get("hparamInfos", [])}
    columns = [{"hparam": name} for name in sorted(names)]
    columns += [{"metric": info["name"]} for info in table.get("metricInfos", [])]
    asked = {"allowedStatuses": ["STATUS_UNKNOWN"], "colParams": columns, "startIndex": 0, "sliceSize": 1000}
    groups = server.json("data/plugin/hparams/session_groups", asked).get("sessionGroups", [])
    shown = {session["name"]: group for group in groups for session in group["sessions"]}
    if set(shown) != set(sessions):
        raise ProbeError(f"the HParams page shows the runs {sorted(shown)}, not {sorted(sessions)}")
    for name, run in sessions.items():
        _same_session(name, run, shown[name])
        yield Page(name, "hparams", len(shown[name]["hparams"]))


def _same_session(name: str, run: FinishedRun, group: Mapping[str, Any]) -> None:
    for setting, value in _leaves(run.spec.config):
        if group["hparams"].get(setting) != value:
            raise ProbeError(
                f"the HParams page shows {setting} = {group['hparams'].get(setting)!r} of {name}, the run had {value!r}"
            )
    tag = _SESSIONS[run.manifest.stage]
    last = float(np.float32(run.last(tag)))
    if last not in [metric["value"] for metric in group.get("metricValues", []) if metric["name"]["tag"] == tag]:
        raise ProbeError(f"the HParams page does not show {tag} = {last:g} of {name}")


def _leaves(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, bool | float | str]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        elif isinstance(value, bool | int | float | str):
            yield before + name, value


def _graph(server: Server, run: str, wanted: set[str]) -> Page:
    if not server.json("data/plugin/graphs/info").get(run, {}).get("run_graph"):
        raise ProbeError(f"TensorBoard shows no graph of run {run!r}")
    text = server.get("data/plugin/graphs/graph", run=run).decode()
    nodes = set(re.findall(r'^\s*name: "([^"]+)"', text, re.MULTILINE))
    missing = wanted - {node.replace("/", ".") for node in nodes}
    if missing:
        raise ProbeError(f"the graph of run {run!r} lacks the tensor {min(missing)!r}")
    return Page(run, "graphs", len(wanted))


def _latents(run: FinishedRun) -> NDArray[np.float32] | None:
    found: dict[str, list[dict[str, NDArray[Any]]]] = {"showcase/latents": [], "showcase/decision": []}
    for record in run.records("arrays"):
        if isinstance(record, Arrays) and record.tag in found:
            found[record.tag].append(run.arrays(record.path))
    if not found["showcase/latents"]:
        return None
    decisions = found["showcase/decision"]
    rows = [found["showcase/latents"][0]["latents"]]
    rows += [decision[f"{kind}_latents"] for decision in decisions for kind in ("reached", "predicted")]
    return np.concatenate([*rows, decisions[0]["goal_latent"][None]]).astype(np.float32)


def _projector(server: Server, run: str, wanted: NDArray[np.float32]) -> Page:
    place = "data/plugin/projector"
    if run not in server.json(f"{place}/runs"):
        raise ProbeError(f"the projector does not show run {run!r}")
    (embedding,) = server.json(f"{place}/info", run=run)["embeddings"]
    query = {"run": run, "name": embedding["tensorName"]}
    vectors = np.frombuffer(server.get(f"{place}/tensor", **query), np.float32)
    if not np.array_equal(vectors, wanted.ravel()):
        raise ProbeError(f"the projector shows other latents of run {run!r} than the records hold")
    labels = server.get(f"{place}/metadata", **query).decode().splitlines()
    if len(labels) != len(wanted) + 1:
        raise ProbeError(f"the projector shows {len(labels) - 1} labels for {len(wanted)} latents of run {run!r}")
    side = embedding["sprite"]["singleImageDim"][0]
    try:
        with Image.open(io.BytesIO(server.get(f"{place}/sprite_image", **query))) as sprite:
            cells = (sprite.width // side) * (sprite.height // side)
    except OSError as error:
        raise ProbeError(f"the projector's pictures of run {run!r} do not decode") from error
    if cells < len(wanted):
        raise ProbeError(f"the projector has {cells} pictures for {len(wanted)} latents of run {run!r}")
    return Page(run, "projector", len(wanted))
