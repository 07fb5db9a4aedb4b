"""The fetch stage."""

import json
from pathlib import Path
from typing import Any

import pytest

from hub_server import REVISION, Hub, serve
from lewm_evidence.checkpoint import embedded, load_checkpoint
from lewm_evidence.checkpoint.pins import EMBEDDED
from lewm_evidence.errors import CheckpointError, ConfigError
from lewm_evidence.records import FinishedRun, Run, Spec
from lewm_evidence.stages import fetch
from tiny import CONFIG, tiny_checkpoint


def a_run(runs: Path, config: dict[str, Any]) -> Run:
    """Returns a fetch run with `config`, not yet run."""
    return Run(
        runs,
        Spec(stage="fetch", config=config, code="", packages={}, device=None, precision=None, inputs={}),
    )


def test_the_embedded_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run holds the checkpoint and says what is in it; two runs have equal results."""
    folder = tiny_checkpoint(tmp_path / "embedded" / "pusht")
    monkeypatch.setattr(embedded, "ROOT", tmp_path / "embedded")
    monkeypatch.setitem(EMBEDDED, "pusht", embedded.digests(folder))
    results = []
    for name in ("one", "two"):
        out = a_run(tmp_path / name, {"source": "embedded", "name": "pusht"})
        fetch.run(out)
        results.append(out.finish({}).result_digest)
    assert results[0] == results[1]
    done = FinishedRun(out.path)
    model = load_checkpoint(done.path / "checkpoint")
    assert done.last("checkpoint/tensors") == len(model.state_dict())
    assert done.last("checkpoint/parameters") == sum(p.numel() for p in model.parameters())
    recorded = {event.fields["name"]: event.fields["sha256"] for event in done.events("checkpoint/file")}
    assert recorded == EMBEDDED["pusht"]


def test_a_hub_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pinned hub checkpoint ends in the run; with one wrong byte the run holds nothing of it."""
    source = tiny_checkpoint(tmp_path / "source")
    files = {name: (source / name).read_bytes() for name in ("config.json", "model.safetensors")}
    with serve(Hub("someone/model", files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        config = {
            "source": "hub",
            "repo": hub.repo,
            "revision": REVISION,
            "files": hub.sha256(),
            "world": "pusht",
            "action_mean": [0.0, 0.1],
            "action_std": [0.2, 0.3],
        }
        out = a_run(tmp_path / "good", config)
        fetch.run(out)
        hub.altered["model.safetensors"] = files["model.safetensors"][:-1] + b"\x00"
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "another-cache"))
        bad = a_run(tmp_path / "bad", config)
        with pytest.raises(CheckpointError, match="sha256"):
            fetch.run(bad)
    out.close()
    assert load_checkpoint(out.path / "checkpoint").config == CONFIG
    provenance = json.loads((out.path / "checkpoint" / "provenance.json").read_text())
    assert provenance["revision"] == REVISION
    assert sorted(path.name for path in bad.path.iterdir()) == ["spec.json"]


def test_a_trained_checkpoint_is_not_fetched(tmp_path: Path) -> None:
    """The stage says who makes a trained checkpoint."""
    with pytest.raises(ConfigError, match="train stage"):
        fetch.run(a_run(tmp_path, {"source": "trained"}))
