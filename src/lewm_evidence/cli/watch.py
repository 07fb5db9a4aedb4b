"""`lewm-evidence watch`: the terminal report on runs that are being made. Only argparse is imported up here."""

import argparse
from pathlib import Path


def add_watch_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command `watch`."""
    about = "watch runs in the terminal while they are made"
    parser = commands.add_parser(
        "watch",
        help=about,
        description=about,
        epilog="examples:\n"
        "  lewm-evidence watch                   what is made here\n"
        "  lewm-evidence watch /shared/runs      what a cluster makes\n\n"
        "? shows the keys, q quits; the runs go on. Needs lewm-evidence[tui].\n"
        "exit status: 0 quit, 2 could not run (with the reason)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", type=Path, nargs="?", default=Path("runs"), metavar="RUNS", help="default: runs")
    parser.set_defaults(command=_watch)


def _watch(args: argparse.Namespace) -> int:
    from lewm_evidence.tui import watch

    return watch(args.runs)
