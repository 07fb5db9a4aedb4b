"""What the configuration asks of foreign trainers becomes runs; the documents' own keys and variables are honoured."""

from pathlib import Path
from typing import Any

import pytest

from lewm_evidence.config import Config, parse_config
from lewm_evidence.errors import ConfigError
from lewm_evidence.plan import Planned, plan
from lewm_evidence.plan_workers import links, plan_workers
from lewm_evidence.workers.tracking import proxies, tracking_mode

LOCKS = Path(__file__).parents[2] / "workflow" / "envs"
SHORT = {"worker": "sb3", "algo": "ppo", "total_timesteps": 1000}
VARIABLES = ("WANDB_MODE", "WANDB_DISABLED", "WANDB_PROJECT", "WANDB_ENTITY")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def planned(*workers: dict[str, Any], **others: Any) -> tuple[Config, dict[str, Planned]]:
    """Returns the configuration with these workers and its plan."""
    config = parse_config({"workers": list(workers), "parity": None, **others})
    return config, plan_workers(config, plan(config), LOCKS)


def test_nothing_is_tracked_unless_asked() -> None:
    """Training, TensorBoard and the bundle need no W&B."""
    _, made = planned(SHORT)
    assert [run.spec.stage for run in made.values()] == [
        "worker",
        "render_tensorboard",
        "probe_tensorboard",
        "compare",
        "seal",
        "verify",
    ]


@pytest.mark.parametrize(
    ("keys", "tracked"),
    [
        ({"track": True}, True),
        ({"logger": "wandb"}, True),
        ({"track": False}, False),
        ({"logger": "tensorboard"}, False),
    ],
)
def test_the_documents_keys_switch_tracking(keys: dict[str, Any], tracked: bool) -> None:
    """`track` and `logger` are read as their documents mean them, and change no key of the training itself."""
    _, made = planned({**SHORT, **keys, "wandb_project": "mosaic", "wandb_entity": "team"})
    plain = planned(SHORT)[1]["sb3-ppo-CartPole_v1-0"]
    assert made["sb3-ppo-CartPole_v1-0"].key == plain.key
    runs = [run for run in made.values() if run.spec.stage == "render_wandb"]
    assert bool(runs) == tracked
    for run in runs:
        assert (run.spec.config["mode"], run.spec.config["project"], run.spec.config["entity"]) == (
            "offline",
            "mosaic",
            "team",
        )


def test_project_and_entity_come_from_the_variables_where_no_entry_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """WANDB_PROJECT and WANDB_ENTITY."""
    monkeypatch.setenv("WANDB_PROJECT", "mosaic")
    monkeypatch.setenv("WANDB_ENTITY", "team")
    spec = planned({**SHORT, "track": True})[1]["wandb-sb3-ppo-CartPole_v1-0"].spec
    assert (spec.config["project"], spec.config["entity"]) == ("mosaic", "team")


@pytest.mark.parametrize(
    ("configured", "environment", "mode"),
    [
        ("off", {}, "off"),
        ("off", {"WANDB_MODE": "online"}, "off"),
        ("offline", {}, "offline"),
        ("offline", {"WANDB_MODE": "online"}, "online"),
        ("online", {"WANDB_MODE": "offline"}, "offline"),
        ("online", {"WANDB_MODE": "dryrun"}, "offline"),
        ("online", {"WANDB_MODE": "disabled"}, "off"),
        ("online", {"WANDB_DISABLED": "true"}, "off"),
        ("offline", {"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, "off"),
        ("offline", {"WANDB_DISABLED": "false"}, "offline"),
    ],
)
def test_every_switch_of_the_documents_has_its_say(configured: Any, environment: dict[str, str], mode: str) -> None:
    """Also WANDB_DISABLED, which wandb itself no longer honours; nothing is switched on from outside."""
    assert tracking_mode(configured, environment) == mode


def test_an_unknown_mode_is_refused() -> None:
    """A misspelt WANDB_MODE must not send anything."""
    with pytest.raises(ConfigError, match="WANDB_MODE='onlin' is not known"):
        tracking_mode("offline", {"WANDB_MODE": "onlin"})


def test_the_documents_proxy_variables_reach_wandb() -> None:
    """WANDB_VPN_* fill in what is not set."""
    given = {"WANDB_VPN_HTTPS_PROXY": "https://proxy:1", "HTTPS_PROXY": "https://mine:2"}
    assert proxies(given) == {"WANDB_HTTPS_PROXY": "https://proxy:1", "https_proxy": "https://proxy:1"}


@pytest.mark.parametrize("key", ["log_dir", "tensorboard_dir"])
def test_event_files_are_linked_where_the_documents_look(key: str) -> None:
    """`<log_dir>/<ULID>/tensorboard`; a path out of the project is refused."""
    config, made = planned({**SHORT, key: "var/trainer/runs"})
    (pair,) = links(config, made)
    place, target = pair.split("=")
    assert place.startswith("var/trainer/runs/0000000000") and place.endswith("/tensorboard")
    assert target == str(made["render_tensorboard"].path / "views/results/sb3-ppo-CartPole_v1-0")
    with pytest.raises(ConfigError, match=f"{key}.*inside the project"):
        planned({**SHORT, key: "../elsewhere"})


def test_two_runs_that_differ_in_nothing_are_refused() -> None:
    """The same run twice is one run."""
    with pytest.raises(ConfigError, match="sb3-ppo-CartPole_v1-0 twice"):
        planned(SHORT, SHORT)


def test_a_changed_lock_or_adapter_is_another_run(tmp_path: Path) -> None:
    """What runs in the foreign environment is part of the key, though nothing here imports it."""
    locks = tmp_path / "envs"
    locks.mkdir()
    keys = set()
    for text in ("a==1 --hash=sha256:0", "a==2 --hash=sha256:1"):
        for build in ("cpu", "cuda"):
            (locks / f"sb3.{build}.txt").write_text(text)
        config = parse_config({"workers": [SHORT], "parity": None})
        keys.add(plan_workers(config, plan(config), locks)["sb3-ppo-CartPole_v1-0"].key)
    assert len(keys) == 2


POLICY = {"source": {"folder": "p", "files": dict.fromkeys(("config.json", "model.safetensors"), "0" * 64)}}


def test_a_policy_is_compared_with_or_without_trainers() -> None:
    """Its bundle names checkpoint, policy and comparison; the evidence's own key does not change."""
    config, made = planned(policy=POLICY)
    assert list(made) == ["checkpoint", "fetch_policy", "convert_policy", "policy", "seal", "verify"]
    assert set(made["seal"].spec.inputs) == {"checkpoint", "fetch_policy", "convert_policy", "policy"}
    assert not links(config, made)
    assert plan(config)["seal"].key == plan(parse_config({"workers": []}))["seal"].key
    _, both = planned(SHORT, policy=POLICY)
    assert both["policy"].key == made["policy"].key and "compare" in both
    _, fewer = planned(policy={**POLICY, "samples": 4})
    assert fewer["convert_policy"].key == made["convert_policy"].key and fewer["policy"].key != made["policy"].key


def test_a_policy_for_another_world_is_refused() -> None:
    """LeRobot's policy knows PushT alone."""
    with pytest.raises(ConfigError, match=r"policy acts on pusht, the checkpoint's world is tworoom"):
        planned(policy=POLICY, checkpoint={"source": "embedded", "name": "tworoom"})
