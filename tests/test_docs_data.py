"""What docs/ show of worlds and data works."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lewm_evidence.config import parse_config
from lewm_evidence.worlds import conformance

DOCS = Path(__file__).parents[1] / "docs"


def shown(page: str, language: str) -> list[str]:
    """Returns the blocks of code in `language` on a page of docs/."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["worlds.md", "data.md"])
def test_every_configuration_shown_is_valid(page: str) -> None:
    """Each block of YAML is a configuration."""
    blocks = shown(page, "yaml")
    assert blocks
    for block in blocks:
        parse_config(yaml.safe_load(block), page)


@pytest.mark.parametrize("promise", conformance.PROMISES, ids=lambda promise: promise.__name__)
def test_the_world_shown_keeps_every_promise(promise: Callable[[Any], None]) -> None:
    """The example of a world of one's own is complete and right."""
    names: dict[str, Any] = {}
    exec(shown("worlds.md", "python")[0], names)
    promise(names["Slide"])
