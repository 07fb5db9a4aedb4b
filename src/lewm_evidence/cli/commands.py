"""What all commands share: how one is added with its help, and how it answers. Only argparse is imported up here."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from lewm_evidence.seal.keys import AllowedSigners

Commands = argparse._SubParsersAction
Command = Callable[[argparse.Namespace], int]
STATUS = "0 yes or done, 1 no (with the reason), 2 could not run"
TABLE = """exit status:
  0    yes, or done
  1    no, with the reason: refused, different, altered, missing, or something it started failed
  2    could not run: a wrong argument, a file or package that is not there
  130  stopped by Ctrl-C; 141 nobody reads the output any more; 143 ended by SIGTERM
With --json, a command prints one line, a JSON object, and nothing else on standard output; what it says meanwhile
goes to the error output, and the exit status is the same. What could not run is told as {"error": "the reason"}."""
_CONTROL = re.compile(r"(?!\x1b\[\d{0,2}m)[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FORMATTER = argparse.RawDescriptionHelpFormatter


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistyped command with the nearest one, not with all of them."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong with the arguments and exits with status 2."""
        if message.endswith("required: COMMAND"):
            message = f"name a command; `{self.prog} --help` lists them"
        for action in self._actions:
            words = list(action.choices) if isinstance(action, Commands) else []
            if words and (typed := message.partition("invalid choice: ")[2].partition(" (choose")[0]):
                from difflib import get_close_matches

                close = get_close_matches(typed.strip("'"), words, 1)
                hint = f"did you mean `{self.prog} {close[0]}`?" if close else f"`{self.prog} --help` lists them"
                message = f"there is no command {typed}; {hint}"
        super().error(message)


def add_command(
    commands: "Commands[Parser]",
    name: str,
    function: Command,
    about: str,
    examples: str,
    more: str = "",
    status: str = STATUS,
) -> Parser:
    """Adds a command and returns its parser.

    Args:
        commands: where to.
        name: of the command.
        function: does it, and returns the exit status.
        about: a line of help.
        examples: the arguments of an example on each line, without the command; two spaces, then what it is for.
        more: what else to know.
        status: what the exit status means here.
    """
    parser = commands.add_parser(name, help=about, description=about, formatter_class=_FORMATTER)
    rows = [example.partition("  ") for example in examples.split("\n")]
    width = max(len(arguments) for arguments, _, purpose in rows if purpose) if "  " in examples else 0
    shown = [f"  {parser.prog} {arguments:<{width}}  {purpose}".rstrip() for arguments, _, purpose in rows]
    parser.epilog = "\n\n".join(filter(None, ["\n".join(["examples:", *shown]), more, f"exit status: {status}"]))
    parser.set_defaults(command=function)
    return parser


def add_group(commands: "Commands[Parser]", name: str, about: str) -> "Commands[Parser]":
    """Adds a command that only has commands of its own, and returns where they go."""
    epilog = f"`lewm-evidence {name} COMMAND --help` shows examples.\n\nexit status: {STATUS}"
    parser = commands.add_parser(name, help=about, description=about, epilog=epilog, formatter_class=_FORMATTER)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_json(parser: Parser) -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help="print the outcome as one line of JSON")


def add_allowed_signers(parser: Parser) -> None:
    """Adds `--allowed-signers`; see `allowed_signers`."""
    parser.add_argument(
        "--allowed-signers",
        type=Path,
        metavar="FILE",
        help="refuse what none of these keys signed (ssh-keygen's format)",
    )


def allowed_signers(args: argparse.Namespace) -> "AllowedSigners | None":
    """Returns who may have signed a bundle; None is anybody."""
    if args.allowed_signers is None:
        return None
    from lewm_evidence.seal.keys import read_allowed_signers

    return read_allowed_signers(args.allowed_signers)


def answer(args: argparse.Namespace, outcome: Mapping[str, object], lines: Iterable[str]) -> None:
    """Prints `outcome` when JSON is asked for, else `lines`."""
    if args.json:
        print(json.dumps(outcome, sort_keys=True))
    else:
        for line in lines:
            show(line)


def tell(args: argparse.Namespace, line: str) -> None:
    """Prints a line while the work goes on; not between the JSON that is asked for."""
    show(line, sys.stderr if args.json else sys.stdout)


def show(text: str, stream: TextIO | None = None) -> None:
    """Prints text that may hold what others wrote, at once, without anything but colours that a terminal would obey."""
    plain = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    print(plain, file=stream or sys.stdout, flush=True)


def check_output(path: Path) -> None:
    """Raises `EvidenceError` when `path` is there and not a file: a device or a folder must not be replaced."""
    if path.exists() and not path.is_file():
        from lewm_evidence.errors import EvidenceError

        raise EvidenceError(f"{path} is there and is not a file, so it is not replaced; name another")


def size(count: float) -> str:
    """Returns a number of bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
