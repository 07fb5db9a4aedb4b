"""docs/tensorboard.md does what it says."""

import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lewm_evidence.cli import open as cli_open
from lewm_evidence.cli import program

TEXT = (Path(__file__).parents[1] / "docs" / "tensorboard.md").read_text(encoding="utf-8")


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it stands, in an empty folder; the inspector's gives tags of its table only."""
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(code, {})
    tags = EventAccumulator(str(tmp_path / ".lewm-evidence/tensorboard/baseline")).Reload().Tags()["tensors"]
    assert "worldforge/leworldmodel/events/hub/fetch/duration_ms" in tags and len(tags) > 15
    run = tmp_path / "output" / "ppo-CartPole-v1-seed13-first"
    assert sorted(path.name for path in run.iterdir()) == ["config.json", "metrics.jsonl", "tensorboard"]


def test_the_table_of_flags_is_the_parser_s() -> None:
    """Every flag is in the table, with its default where it has one."""
    rows = dict(re.findall(r"^\| `(--[a-z-]+)[^|]*\| ([^|]*?) \|", TEXT, re.MULTILINE))
    args = vars(program.make_parser().parse_args(["open-tensorboard", "--logdir", "x"]))
    assert args.pop("command") is cli_open._open_tensorboard
    assert {name.removeprefix("--").replace("-", "_") for name in rows} == set(args)
    for name, default in args.items():
        said = rows["--" + name.replace("_", "-")]
        wanted = {"logdir": "required"}.get(name, "off" if default is False else f"{default}".removesuffix(".0"))
        assert said.startswith(wanted)
