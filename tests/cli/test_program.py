"""The command line as a whole: help, exit status, stopping."""

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lewm_evidence import __version__
from lewm_evidence.cli import main
from lewm_evidence.cli.commands import Parser, show
from lewm_evidence.cli.program import make_parser

COMMAND = [sys.executable, "-m", "lewm_evidence.cli"]


def leaves(parser: Parser) -> Iterator[Parser]:
    """Yields the parser of every command that does something."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for inner in group.choices.values():
            yield from leaves(inner)


COMMANDS = {parser.prog: parser for parser in leaves(make_parser())}


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing else is printed."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"lewm-evidence {__version__}\n"


def test_every_command_of_the_list_exists() -> None:
    """The commands that people are promised."""
    promised = ["showcase", "report", "verify", "summary", "reproduce", "diff", "check", "keygen", "pin", "doctor"]
    promised += ["open-tensorboard", "open-rerun", "demo-rerun", "render", "completion"]
    groups = {"runs": "list show diff prune", "store": "add get list verify prune pin unpin push pull"}
    promised += [f"{group} {name}" for group, names in groups.items() for name in names.split()]
    assert {f"lewm-evidence {name}" for name in promised} <= COMMANDS.keys()


@pytest.mark.parametrize("prog", COMMANDS)
def test_every_command_has_examples_that_parse_and_help_for_everything(prog: str) -> None:
    """An example that the parser refuses, an option without a word and a missing exit status are all found."""
    parser = COMMANDS[prog]
    epilog = parser.epilog or ""
    assert "exit status: 0 " in epilog and parser.description
    examples = epilog.partition("examples:\n")[2].partition("\n\n")[0].splitlines()
    assert examples
    for example in examples:
        command, redirected = re.split(r"  +", example.strip())[0].partition(" > ")[::2]
        assert command.startswith(prog) and (redirected or ">" not in command)
        make_parser().parse_args(shlex.split(command)[1:])
    assert [action.dest for action in parser._actions if not (action.help or "").strip()] == []


def test_json_is_where_something_is_listed_or_judged() -> None:
    """One name for it everywhere; `showcase` has the documents' own."""
    having = {
        prog.removeprefix("lewm-evidence ") for prog, parser in COMMANDS.items() if "--json" in parser.format_help()
    }
    assert having >= {"verify", "reproduce", "diff", "doctor", "keygen", "runs list", "runs show", "runs diff"}
    assert having >= {"runs prune", "store list", "store verify", "store prune", "showcase"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["verfy"], "there is no command 'verfy'; did you mean `lewm-evidence verify`?"),
        (["runs", "prun"], "there is no command 'prun'; did you mean `lewm-evidence runs prune`?"),
        (["zzzz"], "there is no command 'zzzz'; `lewm-evidence --help` lists them"),
        ([], "name a command; `lewm-evidence --help` lists them"),
        (["runs"], "name a command; `lewm-evidence runs --help` lists them"),
        (["completion", "fish"], "argument shell: invalid choice: 'fish'"),
    ],
)
def test_a_mistyped_or_missing_command_is_answered_with_what_to_type(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2; a wrong value of something else keeps argparse's own words."""
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2 and sentence in capsys.readouterr().err


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A reviewer's installation has none of the pipeline's; what to install is told, also as JSON."""
    monkeypatch.setitem(sys.modules, "lewm_evidence.doctor", None)
    assert main(["doctor", "--json"]) == 2
    told = capsys.readouterr()
    assert "install lewm-evidence[pipeline]" in json.loads(told.out)["error"] and "Traceback" not in told.err


@pytest.mark.parametrize("words", [["--help"], ["--version"], [], ["showcase", "--help"], ["runs", "prune", "--help"]])
def test_help_comes_at_once(words: list[str]) -> None:
    """Help imports argparse and this program's parsers, and none of what the commands need."""
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom lewm_evidence.cli import main\n"
        f"try:\n    main({words})\nexcept SystemExit:\n    pass\n"
        "print(*sorted(sys.modules.keys() - before), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = told.stderr.splitlines()[-1].split()
    known = ("lewm_evidence.cli", "lewm_evidence.errors")
    ours = [name for name in loaded if name.startswith("lewm_evidence.") and not name.startswith(known)]
    foreign = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names - {"lewm_evidence"}
    assert (ours, foreign) == ([], set())
    # The standard library has heavy ones too.
    assert {"inspect", "dataclasses", "tempfile", "subprocess", "urllib.request", "asyncio"}.isdisjoint(loaded)


def test_a_reader_that_goes_away_is_no_error(bundle: Path) -> None:
    """`lewm-evidence … | head -0` ends without a traceback."""
    read, write = os.pipe()
    os.close(read)
    told = subprocess.run([*COMMAND, "summary", bundle], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (told.returncode, told.stderr) == (141, b"")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_is_quiet_and_leaves_nothing(number: int, status: int, bundle: Path, tmp_path: Path) -> None:
    """Ctrl-C or a polite kill in the middle of an archive: no traceback, no temporary folder."""
    code = (
        "import sys, time, lewm_evidence.seal.verify as v\n"
        "v._verify_bag = lambda *_: (print('unpacked', flush=True), time.sleep(60))\n"
        "from lewm_evidence.cli import main\nsys.exit(main(['verify', sys.argv[1]]))"
    )
    job = subprocess.Popen(
        [sys.executable, "-c", code, bundle / f"{bundle.name}.tar"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with job:
        assert job.stdout is not None and job.stderr is not None
        assert job.stdout.readline() == b"unpacked\n"
        assert len(list(tmp_path.iterdir())) == 1
        job.send_signal(number)
        assert job.wait(20) == status
        assert job.stderr.read() == b""
    assert list(tmp_path.iterdir()) == []


def test_what_others_wrote_is_shown_and_not_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stage's name that holds an escape sequence is printed as what it is; only colours pass."""
    place = tmp_path / "a\x1b[2J\x9b1A\rb" / ("0" * 20)
    place.mkdir(parents=True)
    (place / "spec.json").write_text("{}")
    assert main(["runs", "list", "--runs", str(tmp_path)]) == 0
    assert r"a\x1b[2J\x9b1A\x0db/000" in capsys.readouterr().out
    assert main(["runs", "show", "--runs", str(tmp_path), "\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err
    show("\x1b[32mgoal reached\x1b[0m\x07")
    assert capsys.readouterr().out == "\x1b[32mgoal reached\x1b[0m\\x07\n"


@pytest.mark.parametrize(
    ("content", "sentence"), [("[" * 100_000, "nested too deeply"), ("a: \x00", "is not YAML"), ("- 1", "config")]
)
def test_a_configuration_that_is_none_is_a_sentence(
    content: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However it is broken."""
    (tmp_path / "config.yaml").write_text(content)
    assert main(["showcase", "--health-only", "--configfile", str(tmp_path / "config.yaml")]) == 2
    assert sentence in capsys.readouterr().err


def test_a_user_without_a_home_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container that runs under a number which nobody has there."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 54_321_000)
    (tmp_path / "logs").mkdir()
    assert main(["open-tensorboard", "--logdir", str(tmp_path / "logs"), "--probe", "--port", "0"]) == 2
    assert "set HOME" in capsys.readouterr().err
