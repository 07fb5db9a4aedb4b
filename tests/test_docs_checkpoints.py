"""What docs/ show of checkpoints is what the configuration takes."""

import re
from pathlib import Path

import pytest
import yaml

from lewm_evidence.config import parse_config
from lewm_evidence.presets import presets

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = [
    (name, block)
    for name in ("configuration.md", "checkpoints.md")
    for block in re.findall(r"```yaml\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(BLOCKS)])
def test_every_example_is_a_configuration(name: str, block: str) -> None:
    """It parses as it stands in the page."""
    assert parse_config(yaml.safe_load(block), name).checkpoint


def test_the_preset_is_written_out_correctly() -> None:
    """The short and the long form in the page are one configuration."""
    short, long = [parse_config(yaml.safe_load(block)) for name, block in BLOCKS if name == "configuration.md"][:2]
    assert short == long


def test_every_preset_is_in_the_page() -> None:
    """With its repository."""
    text = (DOCS / "checkpoints.md").read_text(encoding="utf-8")
    assert [name for name, row in presets().items() if f"| `{name}` | {row.repo} |" not in text] == []
