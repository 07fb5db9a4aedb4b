"""Run keys: what they cover, what they leave out, and that finding them imports nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lewm_evidence.canonical import canonical_json
from lewm_evidence.config import Config
from lewm_evidence.errors import ConfigError, StageError
from lewm_evidence.keys import device_class, import_closure, resolved_versions
from lewm_evidence.plan import plan

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def package(root: Path, **sources: str) -> Path:
    """Writes modules below `root`; a double underscore in a name stands for a folder."""
    for name, text in sources.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_closure_follows_imports_also_inside_functions(tmp_path: Path) -> None:
    """Direct, indirect and lazy imports count; modules for type checking only do not."""
    root = package(
        tmp_path,
        stages__a="from lewm_evidence import b\nfrom lewm_evidence.sub.c import x\n",
        b="def f():\n    import numpy\n    from lewm_evidence.lazy import y\n",
        sub__c="import json\nif TYPE_CHECKING:\n    import torch\n    import lewm_evidence.never\n",
        lazy="import yaml.nodes\n",
        never="",
        unrelated="",
    )
    closure = import_closure("lewm_evidence.stages.a", root)
    names = [name.removeprefix("lewm_evidence.") for name, _ in closure.modules]
    assert names == ["b", "lazy", "stages.a", "sub.c"]
    assert closure.packages == ("numpy", "yaml")


def test_the_digest_changes_with_a_module_it_follows_and_with_no_other(tmp_path: Path) -> None:
    """A changed helper changes the digest; a changed stranger does not."""
    sources = {"stages__a": "from lewm_evidence.b import x\n", "b": "x = 1\n", "stranger": "y = 1\n"}
    first = import_closure("lewm_evidence.stages.a", package(tmp_path / "1", **sources))
    other = import_closure("lewm_evidence.stages.a", package(tmp_path / "2", **{**sources, "stranger": "y = 2\n"}))
    third = import_closure("lewm_evidence.stages.a", package(tmp_path / "3", **{**sources, "b": "x = 2\n"}))
    assert first.digest == other.digest != third.digest


def test_relative_imports_and_missing_modules_are_refused(tmp_path: Path) -> None:
    """What the reader cannot follow is an error, not a gap in the key."""
    root = package(tmp_path, stages__a="from . import b\n", stages__c="import lewm_evidence.gone\n")
    with pytest.raises(StageError, match="absolute"):
        import_closure("lewm_evidence.stages.a", root)
    with pytest.raises(StageError, match=r"lewm_evidence\.gone does not exist"):
        import_closure("lewm_evidence.stages.c", root)


def test_a_missing_package_is_named_with_what_to_install() -> None:
    """A package that is not installed gives the sentence a user needs."""
    with pytest.raises(StageError, match=r"'no_such_package' is not installed; install lewm-evidence\[pipeline\]"):
        resolved_versions(("no_such_package",))


def test_planning_imports_nothing_heavy() -> None:
    """Snakemake reads the plan at each start, so torch, wandb and pandas must stay out of it."""
    code = (
        "import sys\nfrom lewm_evidence.config import Config\nfrom lewm_evidence.plan import plan\n"
        "plan(Config())\nprint([name for name in ('torch', 'numpy', 'wandb', 'pandas') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def changed(config: dict[str, object]) -> set[str]:
    """Returns the stages whose key differs from the default's."""
    before, after = plan(Config()), plan(Config.model_validate(config))
    return {name for name in before if before[name].key != after[name].key}


def test_a_changed_showcase_moves_only_the_showcase_and_what_follows() -> None:
    """Neither the evaluation nor its gate has a new key."""
    after = {
        "render_tensorboard",
        "render_rerun",
        "probe_tensorboard",
        "probe_rerun",
        "report",
        "seal",
        "verify",
    }
    assert changed({"showcase": {"seed": 12}}) == {"showcase", *after}
    assert changed({"gate": {"lewm_minus_random_px": -40.0}}) == {"gate", "report", "seal", "verify"}


def test_threads_are_in_no_key() -> None:
    """The number of threads changes how fast a run is, not which run it is."""
    assert changed({"threads": 7}) == set()


def test_a_cuda_device_is_refused_on_a_cpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for CUDA of a CPU build fails before any job starts."""
    monkeypatch.setattr("lewm_evidence.keys.metadata.version", lambda name: "2.13.0+cpu")
    with pytest.raises(ConfigError, match="CPU build"):
        device_class.__wrapped__("cuda")
    assert device_class.__wrapped__("auto") == "cpu"


@given(JSON)
def test_canonical_json_is_one_text_per_value(value: object) -> None:
    """Reading it back gives the value, and writing that again gives the same bytes."""
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_canonical_json_refuses_what_json_does_not_have(value: object) -> None:
    """NaN and infinities never reach a file."""
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


def test_a_world_without_simulator_is_scored_and_the_rest_is_left_out() -> None:
    """A pinned Reacher checkpoint still gives a bundle, of what can be shown."""
    preset = {"source": "preset", "name": "reacher", "action_mean": [0.0, 0.0], "action_std": [1.0, 1.0]}
    made = plan(Config.model_validate({"checkpoint": preset}))
    assert {"fetch", "score", "render_tensorboard", "probe_tensorboard", "seal", "verify"} <= made.keys()
    assert not {"showcase", "evaluate", "gate", "render_rerun"} & made.keys()
    shown = {"fetch", "smoke_train", "score"}
    assert set(made["render_tensorboard"].spec.inputs) == shown
    assert set(made["report"].spec.inputs) == {"checkpoint", "score", "smoke_train", "probe_tensorboard"}
    views = {"render_tensorboard", "probe_tensorboard", "report"}
    assert set(made["seal"].spec.inputs) == {"smoke_collect", *shown, *views}


def test_a_trained_checkpoint_takes_the_place_of_a_fetched_one() -> None:
    """Its bundle holds the data and the training."""
    made = plan(Config.model_validate({"checkpoint": {"source": "trained"}}))
    assert "fetch" not in made
    assert made["showcase"].spec.inputs == {"checkpoint": made["train"].name}
    assert {"collect", "train"} <= made["seal"].spec.inputs.keys()


def test_the_smoke_training_is_a_run_of_the_same_stages_and_can_be_left_out() -> None:
    """It has names of its own, is sealed and shown, and needs no training that nobody asked for."""
    made = plan(Config())
    assert (made["smoke_train"].spec.stage, made["smoke_train"].name) == ("train", f"train/{made['smoke_train'].key}")
    assert made["smoke_train"].spec.inputs == {"data": made["smoke_collect"].name}
    assert {"smoke_collect", "smoke_train"} <= made["seal"].spec.inputs.keys()
    assert not {"collect", "train"} & made["seal"].spec.inputs.keys()
    assert "smoke_train" not in plan(Config.model_validate({"smoke": None}))
    assert "smoke_train" not in plan(Config.model_validate({"checkpoint": {"source": "trained"}}))


def test_ranks_are_in_no_key_and_precision_is() -> None:
    """How many processes share a training changes how fast it is; what the layers compute in changes the result."""
    assert changed({"ranks": 2}) == set()
    assert changed({"train": {"precision": "bf16"}}) == {"train", "seal", "verify"}
