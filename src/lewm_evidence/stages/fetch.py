"""Fetch: the checkpoint that evidence is made about, from the package or from the hub.

Inputs: none; the config is the `checkpoint` part of the configuration.

Outputs:
    checkpoint/: `config.json`, `model.safetensors`, `normalization.json`, `provenance.json`, and what else
        ships with an embedded checkpoint.
    scalars `checkpoint/parameters`, `checkpoint/tensors`, `checkpoint/values` (buffers included).
    event `checkpoint/file` (step = position in name order): `name`, `sha256`, `bytes`.
    texts `checkpoint/summary`, `checkpoint/tensors_by_name`.
"""

from pathlib import Path

from lewm_evidence.canonical import sha256_file
from lewm_evidence.checkpoint.embedded import copy_embedded
from lewm_evidence.checkpoint.format import WEIGHTS, load_checkpoint
from lewm_evidence.checkpoint.hub import fetch_hub
from lewm_evidence.config import EmbeddedCheckpoint, HubCheckpoint, parse_config
from lewm_evidence.errors import ConfigError
from lewm_evidence.model import LeWM
from lewm_evidence.records import Run
from lewm_evidence.records.job import main, say
from lewm_evidence.tensors import tensor_table

Source = EmbeddedCheckpoint | HubCheckpoint


def run(out: Run) -> None:
    """Makes the checkpoint folder of this run and records what is in it."""
    source = parse_config({"checkpoint": out.config}).checkpoint
    folder = out.path / "checkpoint"
    if isinstance(source, EmbeddedCheckpoint):
        say(f"taking the checkpoint {source.name} that ships in the package")
        copy_embedded(source.name, folder)
    elif isinstance(source, HubCheckpoint):
        say(f"fetching {source.repo} at {source.revision}")
        fetch_hub(source, folder)
    else:
        raise ConfigError("a trained checkpoint is made by the train stage; there is nothing to fetch")
    _record(out, source, load_checkpoint(folder), folder)


def _record(out: Run, source: Source, model: LeWM, folder: Path) -> None:
    tensors = model.state_dict()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    out.scalar("checkpoint/parameters", parameters)
    out.scalar("checkpoint/tensors", len(tensors))
    out.scalar("checkpoint/values", sum(tensor.numel() for tensor in tensors.values()))
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for step, (name, path) in enumerate(sorted(files.items())):
        size = path.stat().st_size
        out.event("checkpoint/file", step, name=name, sha256=sha256_file(path), bytes=size)
    out.text("checkpoint/summary", _summary(source, model, parameters))
    out.text("checkpoint/tensors_by_name", tensor_table(folder / WEIGHTS))
    say(f"{parameters:,} parameters in {len(tensors)} tensors, all finite")


def _summary(source: Source, model: LeWM, parameters: int) -> str:
    config, normalization = model.config, model.normalization
    rows = {
        "source": _origin(source),
        "world": normalization.world,
        "encoder": f"{config.encoder.kind}, {config.image_size} × {config.image_size} pixels",
        "latent": f"{config.dim} numbers",
        "predictor": f"{config.predictor.depth} blocks, {config.predictor.heads} heads, history {config.history}",
        "action block": f"{config.action_block_dim} numbers, {normalization.frameskip} environment steps",
        "parameters": f"{parameters:,}",
    }
    return "\n".join(["| field | value |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())])


def _origin(source: Source) -> str:
    if isinstance(source, HubCheckpoint):
        return f"hub `{source.repo}` at `{source.revision}`"
    return f"embedded `{source.name}`"


if __name__ == "__main__":
    main(run)
