"""The pages that are no series: the real server shows them, and what is wrong with them is found out."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from example_runs import DECISIONS, EXECUTED, LIBRARY
from lewm_evidence.canonical import sha256_file
from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.tensorboard import serve
from lewm_evidence.probe.tensorboard_plugins import _custom_scalars, _graph, _hparams, _projector, check_plugins
from lewm_evidence.records import FinishedRun
from lewm_evidence.render import architecture, hparams, projector
from lewm_evidence.render import tensorboard as renderer

WEIGHTS = Path(architecture.__file__).parents[1] / "embedded" / "pusht" / "model.safetensors"


def test_every_page_is_served(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Charts, settings and what came of them, every tensor, each latent with label and picture that must decode."""
    renderer.render(examples.values(), tmp_path / "views")
    with serve(tmp_path / "views", tmp_path / "log") as server:
        pages = {(page.plugin, page.run): page.shown for page in check_plugins(server, examples)}
        shown = tmp_path / "views" / "results" / "showcase"
        shutil.copy(shown / "latents.tsv", shown / "latents_sprite.png")
        with pytest.raises(ProbeError, match="do not decode"):
            check_plugins(server, examples)
    assert pages == {
        ("custom_scalars", ""): 4,
        ("hparams", "results/evaluate"): 1,
        ("hparams", "results/showcase"): 1,
        ("graphs", "results/fetch"): 2,
        ("projector", "results/showcase"): LIBRARY + 2 * DECISIONS * EXECUTED + 1,
    }


def test_a_page_that_is_wrong_is_named(
    examples: dict[str, FinishedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another setting, a missing tensor, another latent and an empty chart are each found out, with the run."""
    flat, found = hparams.flat, projector.points(examples["showcase"])
    assert found is not None
    moved = found._replace(vectors=np.nextafter(found.vectors, np.float32(9)))
    monkeypatch.setattr(hparams, "flat", lambda config: flat(config) | {"seed": 12})
    monkeypatch.setattr(architecture, "graph", lambda weights: GraphDef().SerializeToString())
    monkeypatch.setattr(projector, "points", lambda run: moved)
    monkeypatch.setattr(renderer, "_charts", lambda stage, tags: {"Nothing": ["showcase/nothing$"]})
    renderer.render(examples.values(), tmp_path / "views")
    wrong = {
        "shows seed = 12.0 of results/": _hparams,
        "chart 'Nothing' draws": _custom_scalars,
    }
    with serve(tmp_path / "views", tmp_path / "log") as server:
        for message, check in wrong.items():
            with pytest.raises(ProbeError, match=message):
                list(check(server, examples))
        with pytest.raises(ProbeError, match="graph of run 'results/fetch'"):
            _graph(server, "results/fetch", {"predictor.pos_embedding"})
        with pytest.raises(ProbeError, match="shows other latents of run 'results/showcase'"):
            _projector(server, "results/showcase", found.vectors)


def test_the_graph_of_a_real_checkpoint(tmp_path: Path) -> None:
    """Every tensor is a node, every edge leads somewhere, and equal weights give equal bytes."""
    graph = GraphDef.FromString(architecture.graph(WEIGHTS))
    names = {node.name for node in graph.node}
    assert len(names) == len(graph.node)
    assert {source for node in graph.node for source in node.input} <= names
    assert {"encoder/out", "predictor/transformer/layers/1/attn/to_qkv/weight", "cost/out"} <= names
    assert architecture.graph(WEIGHTS) == architecture.graph(WEIGHTS)


def test_the_projector_s_files_are_repeatable(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Written twice they have the same bytes; vectors read back exactly."""
    found = projector.points(examples["showcase"])
    assert found is not None
    for name in ("a", "b"):
        projector.write(found, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 4
    assert all(sha256_file(tmp_path / "a" / name) == sha256_file(tmp_path / "b" / name) for name in files)
    vectors = np.loadtxt(tmp_path / "a" / "latents.tsv", dtype=np.float64).astype(np.float32)
    assert (vectors == found.vectors).all()


def test_settings_are_flat() -> None:
    """Nested settings get dotted names, lists are texts, what is not set is left out."""
    config = {"planner": {"horizon": 5, "fast": True}, "channels": [1, 2], "seed": None, "name": "x"}
    assert hparams.flat(config) == {"planner.horizon": 5, "planner.fast": True, "channels": "[1,2]", "name": "x"}
