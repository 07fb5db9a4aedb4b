"""`lewm-evidence completion`: what a shell needs to complete commands, options and paths. Only argparse up here."""

import argparse
from collections.abc import Callable
from pathlib import Path

from lewm_evidence.cli.commands import Commands, Parser, add_command

# What a path that an option or argument takes is, by how the help calls it; anything else is a file or folder.
_FOLDERS = ("DIR", "RUNS")


def add_completion_command(commands: "Commands[Parser]", make_parser: Callable[[], Parser]) -> None:
    """Adds the command; `make_parser` makes the parser whose words are completed."""
    parser = add_command(
        commands,
        "completion",
        _completion,
        "print what a shell needs to complete commands, options and paths",
        'bash > ~/.local/share/bash-completion/completions/lewm-evidence\nzsh > "${fpath[1]}/_lewm-evidence"\n'
        "tcsh > ~/.lewm-evidence.tcsh  then `source` it in ~/.tcshrc",
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose completion")
    parser.set_defaults(make_parser=make_parser)


def _completion(args: argparse.Namespace) -> int:
    import shtab

    parser = args.make_parser()
    _complete_paths(parser, shtab.FILE, shtab.DIRECTORY)
    print(shtab.complete(parser, args.shell))
    return 0


def _complete_paths(parser: argparse.ArgumentParser, file: object, folder: object) -> None:
    for action in parser._actions:
        if isinstance(action, Commands):
            for inner in action.choices.values():
                _complete_paths(inner, file, folder)
        elif action.type is Path:
            action.complete = folder if action.metavar in _FOLDERS else file  # type: ignore[attr-defined]
