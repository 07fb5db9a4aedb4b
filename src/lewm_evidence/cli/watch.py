"""`lewm-evidence watch`: the terminal report on runs that are being made. Only argparse is imported up here."""

import argparse
from pathlib import Path

from lewm_evidence.cli.commands import Commands, Parser, add_command


def add_watch_command(commands: "Commands[Parser]") -> None:
    """Adds the command `watch`."""
    parser = add_command(
        commands,
        "watch",
        _watch,
        "watch runs in the terminal while they are made",
        "  what is made here\n/shared/runs  what a cluster makes",
        "? shows the keys, q quits; the runs go on. Needs lewm-evidence[tui].",
        "0 quit, 2 could not run (with the reason)",
    )
    parser.add_argument("runs", type=Path, nargs="?", default=Path("runs"), metavar="RUNS", help="default: runs")


def _watch(args: argparse.Namespace) -> int:
    from lewm_evidence.tui import watch

    return watch(args.runs)
