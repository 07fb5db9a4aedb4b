"""Reading a configuration without Snakemake."""

from pathlib import Path

import pytest

from lewm_evidence.config import Config
from lewm_evidence.configfile import read_config
from lewm_evidence.errors import ConfigError


def test_the_project_s_own_file_is_the_default() -> None:
    """`config.yaml` says what the models say by themselves; an empty file too."""
    assert read_config(Path(__file__).parents[1] / "config.yaml") == Config()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, r"x.yaml cannot be read: No such file"),
        ("a: [", r"x.yaml is not YAML: while parsing"),
        ("\udcff", r"x.yaml is not YAML: 'utf-8' codec"),
        ("showcase: {sed: 1}", r"x.yaml: showcase.sed is not a known key"),
        ("- a", r"x.yaml: \(top level\)"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(text: str | None, sentence: str, tmp_path: Path) -> None:
    """With the file, the place in it, and what is wrong."""
    if text is not None:
        (tmp_path / "x.yaml").write_text(text, errors="surrogateescape")
    with pytest.raises(ConfigError, match=sentence):
        read_config(tmp_path / "x.yaml")
