"""What README.md and docs/ say is so: links, configurations, flags and targets, generated parts."""

import argparse
import re
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

from docs.generated import pages as generated
from lewm_evidence.cli.program import make_parser
from lewm_evidence.config import parse_config
from lewm_evidence.presets import presets
from pages import PAGES, ROOT, Block, blocks, programs, shell

LANGUAGES = {"sh", "console", "python", "yaml", "text", "{toctree}", "{eval-rst}", "{sphinx_argparse_cli}"}
PROGRAMS = re.compile(r"\b(lewm-evidence|snakemake|make|pip) ")
# Paths of the project as people write them in a sentence; a pattern is none.
MENTION = re.compile(
    r"(?<![\w/.])((?:bench|docs|requirements|scripts|src|tests|workflow)/[\w./-]*[\w/])(?![-\w./]*[*…])"
)
EXAMPLES = {  # files that the reader would write
    "workflow/profiles/kubernetes/config.yaml",
    "src/lewm_evidence/workers/adapters/toy_worker.py",
    "workflow/envs/toy.in",
}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_block_names_its_language(path: Path) -> None:
    """So that each is either run, parsed or known to be neither; a block without a fence would be overlooked."""
    text = path.read_text(encoding="utf-8")
    assert {block.language for block in blocks() if block.page == path.name} <= LANGUAGES
    assert not re.search(r"(?<=\n\n)    (?!\n)\S", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_every_file_that_is_named_exists(path: Path) -> None:
    """Links and paths in sentences alike; `make check` sees to anchors, and to links between pages."""
    text = re.sub(r"<!-- generated: features -->.*?<!-- end -->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert [link for link in links if not (path.parent / link).exists()] == []
    assert {name for name in MENTION.findall(text) if not (ROOT / name).exists()} <= EXAMPLES


def test_every_room_is_in_the_table_of_rooms() -> None:
    """Of docs/architecture.md."""
    rooms = [path.parent.name for path in (ROOT / "src/lewm_evidence").glob("*/__init__.py")]
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert [room for room in rooms if f"`{room}/`" not in text] == []


def test_the_readme_is_short() -> None:
    """Under 150 lines."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.parametrize("path", sorted(generated()), ids=lambda path: path.name)
def test_generated_parts_are_up_to_date(path: Path) -> None:
    """`make generated` writes them."""
    assert path.read_text(encoding="utf-8") == generated()[path], "run `make generated`"


def test_every_preset_is_in_the_page() -> None:
    """With its repository."""
    text = (ROOT / "docs/checkpoints.md").read_text(encoding="utf-8")
    assert [name for name, row in presets().items() if f"| `{name}` | {row.repo} |" not in text] == []


def named(block: Block) -> str:
    """Returns a name for a test about a block."""
    return f"{block.page}:{block.line}"


@pytest.mark.parametrize("block", blocks("yaml"), ids=named)
def test_every_configuration_is_valid(block: Block) -> None:
    """A block of YAML is a configuration, or a profile when its first line says so."""
    if block.text.startswith("# workflow/profiles/"):
        options = get_argument_parser()._option_string_actions
        # What an executor's plugin adds is not known where the plugin is not installed.
        foreign = [name for name in yaml.safe_load(block.text) if f"--{name}" not in options]
        assert [name for name in foreign if not name.startswith(("kubernetes-", "slurm-"))] == []
    else:
        text = block.text.replace('revision: "…"', f'revision: "{"a" * 40}"').replace('"…"', f'"{"a" * 64}"')
        parse_config(yaml.safe_load(text), named(block))


def test_the_short_and_the_long_form_of_a_preset_are_one_configuration() -> None:
    """As docs/checkpoints.md says."""
    forms = [yaml.safe_load(block.text) for block in blocks("yaml") if block.page == "checkpoints.md"]
    assert parse_config(forms[0]) == parse_config(forms[1])


@cache
def rules() -> set[str]:
    """Returns what `snakemake` can be asked for: rules by name, also those that are named when they are made."""
    files = (ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk"))
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    made = re.findall(r"in distinct\(([^)]*)\)", text)
    return {*re.findall(r"^ *rule (\w+):", text, re.MULTILINE), *re.findall(r"\w+", " ".join(made))}


def understood(words: list[str]) -> None:
    """Parses a command as its program does; exits or raises where that would refuse it."""
    if {"--help", "--version"} & {*words}:
        return
    match Path(words[0]).name:
        case "lewm-evidence":
            make_parser().parse_args(words[1:])
        case "snakemake":
            asked = get_argument_parser().parse_args(words[1:])
            # `--configfile FILE TARGET` would take the target for a second file.
            assert {*asked.targets} <= rules() and not {*map(str, asked.configfile)} & rules()
        case "make":
            subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        case "pip":
            wanted = re.findall(r"lewm-evidence\[(\w+)\]", " ".join(words))
            assert {*wanted} <= {*metadata.metadata("lewm-evidence").get_all("Provides-Extra", [])}


@pytest.mark.parametrize("block", shell(), ids=named)
def test_every_command_is_understood(block: Block) -> None:
    """Its program knows every flag, target and rule; and a shell can read the block."""
    subprocess.run(["bash", "-n", "-c", "\n".join(line for line, _ in block.commands)], check=True)
    for line, _ in block.commands:
        for words in programs(line) if PROGRAMS.search(line) else ():
            understood(words)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_in_a_sentence_exists(path: Path) -> None:
    """It may leave arguments out; commands, flags, targets and rules are known."""
    for span in re.findall(r"`((?:lewm-evidence|snakemake|make) [^`…]*)`", path.read_text(encoding="utf-8")):
        program, *words = span.split()
        if program == "lewm-evidence":
            known(words)
        elif program == "snakemake":
            understood([program, *words])
        else:
            understood([program, words[0]])


def known(words: list[str]) -> None:
    """Follows `words` through the commands of `lewm-evidence`; raises `AssertionError` at one that is not there."""
    parser = make_parser()
    for word in words:
        commands = next((act for act in parser._actions if isinstance(act, argparse._SubParsersAction)), None)
        if word.startswith("--"):
            assert word in parser._option_string_actions, word
        elif commands is not None and word != "COMMAND":
            assert word in commands.choices, word
            parser = commands.choices[word]
