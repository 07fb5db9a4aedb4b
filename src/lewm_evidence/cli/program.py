"""The command `lewm-evidence`: what a person types to make, check, look at and find evidence.

Only argparse is imported up here; each command imports what it needs, so that help comes at once.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from lewm_evidence import __version__
from lewm_evidence.cli.bundles import add_bundle_commands
from lewm_evidence.cli.commands import TABLE, Parser, show
from lewm_evidence.cli.completion import add_completion_command
from lewm_evidence.cli.doctor import add_doctor_command
from lewm_evidence.cli.open import add_open_commands
from lewm_evidence.cli.pin import add_pin_command
from lewm_evidence.cli.render import add_render_command
from lewm_evidence.cli.report import add_report_command
from lewm_evidence.cli.rerun import add_rerun_commands
from lewm_evidence.cli.runs import add_run_commands
from lewm_evidence.cli.showcase import add_showcase_command
from lewm_evidence.cli.store import add_store_commands
from lewm_evidence.cli.watch import add_watch_command
from lewm_evidence.errors import EvidenceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A file name that is not UTF-8 must not keep its own refusal from being shown.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    args = make_parser().parse_args(arguments)
    try:
        signal.signal(signal.SIGTERM, _stop)
        status: int = args.command(args)
        sys.stdout.flush()
    except EvidenceError as error:
        return _could_not(args, str(error))
    except ModuleNotFoundError as error:
        return _could_not(args, f"needs the package {error.name!r}, which is not here; install lewm-evidence[pipeline]")
    except RecursionError:
        return _could_not(args, "what it was given to read is nested too deeply")
    except RuntimeError as error:
        if "home directory" not in str(error):  # pathlib has no error of its own for that
            raise
        return _could_not(args, "this user's home folder is not known; set HOME")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # A rename names what was to be replaced second.
        return _could_not(args, f"{error.filename2 or error.filename or 'output'}: {error.strerror or error}")
    return status


def _could_not(args: argparse.Namespace, reason: str) -> int:
    if getattr(args, "json", False):
        print(json.dumps({"error": reason}))
    show(f"lewm-evidence: {reason}", sys.stderr)
    return 2


def _stop(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def make_parser() -> Parser:
    """Returns the parser of the whole command line."""
    parser = Parser(
        prog="lewm-evidence",
        description="Make, check, look at and find evidence about LeWorldModel checkpoints.",
        epilog=f"`lewm-evidence COMMAND --help` shows examples.\n\n{TABLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lewm-evidence {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_showcase_command(commands)
    add_report_command(commands)
    add_bundle_commands(commands)
    add_store_commands(commands)
    add_open_commands(commands)
    add_rerun_commands(commands)
    add_render_command(commands)
    add_watch_command(commands)
    add_run_commands(commands)
    add_pin_command(commands)
    add_doctor_command(commands)
    add_completion_command(commands, make_parser)
    return parser
