"""`lewm-evidence report`: the report page in the browser, or the report in the terminal. Only argparse up here."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lewm_evidence.cli.bundles import located
from lewm_evidence.cli.commands import Commands, Parser, add_command, show
from lewm_evidence.errors import EvidenceError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

_WHERE = "call this where `make evidence` was called, or name what `lewm-evidence report --help` shows"
_PAGE = Path("views") / "report" / "index.html"


def add_report_command(commands: "Commands[Parser]") -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "report",
        _report,
        "open the report: what was shown, and whether it holds",
        "  the newest below runs/\n"
        "evidence/0123456789abcdef0123  of a bundle folder, bag or archive, once it verifies\n"
        "5f0c93d1 --no-browser  of a bundle in the store; only say where the page is\n"
        "runs --terminal  in the terminal instead",
        "The page needs no network. That of an archive or of the store is copied below XDG_STATE_HOME first.",
        "0 opened, or where it is was told; 1 the bundle is refused; 2 could not run",
    )
    parser.add_argument(
        "path",
        type=Path,
        nargs="?",
        default=Path("runs"),
        metavar="PATH",
        help="folder of runs, run, bundle folder, bag, archive or store id (default: runs)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--no-browser", "--print", action="store_true", help="open nothing, only print the page's path")
    how.add_argument("--terminal", action="store_true", help="show it in the terminal (extra tui)")


def _report(args: argparse.Namespace) -> int:
    try:
        with located(args.path) as place:
            if not place.exists():
                raise EvidenceError(f"{place} does not exist; {_WHERE}")
            if args.terminal:
                return _in_terminal(place)
            page = _page(args.path, place)
    except RefusedError as error:
        show(f"refused  {error}")
        return 1
    print(page, flush=True)
    if not args.no_browser:
        import webbrowser

        if not webbrowser.open(page.as_uri()):
            print("no browser was found; open that page yourself")
    return 0


def _page(given: Path, place: Path) -> Path:
    """Returns where the page lies that `given` holds, which is at `place` for now."""
    from lewm_evidence.records.manifest import MANIFEST
    from lewm_evidence.reproduce.opened import opened

    if place.is_dir() and (pages := _newest_first(place.glob(f"report/*/{MANIFEST}"))):
        return (pages[0].parent / _PAGE).absolute()
    if place.is_dir() and not any((place / name).exists() for name in (MANIFEST, "bag", "bagit.txt")):
        raise EvidenceError(f"{place} holds no finished report; `make evidence` makes one below runs/")
    with opened(place) as bundle:
        if "report" not in bundle.runs:
            raise EvidenceError(f"{given} holds no report; it holds {', '.join(bundle.runs)}")
        page = bundle.runs["report"].path / _PAGE
        return page if given.is_dir() else _copied(page, bundle.address or "")


def _newest_first(paths: "Iterable[Path]") -> list[Path]:
    return sorted(paths, key=lambda path: -path.stat().st_mtime)


def _copied(page: Path, address: str) -> Path:
    from lewm_evidence.canonical import write_atomic
    from lewm_evidence.state import state_folder

    copy = state_folder() / "reports" / f"{address[:20]}.html"
    write_atomic(copy, page.read_bytes())
    return copy


def _in_terminal(place: Path) -> int:
    from lewm_evidence.reproduce.opened import opened
    from lewm_evidence.tui import show_report

    if place.is_dir():
        return show_report(place)
    with opened(place) as bundle:
        return show_report(next(iter(bundle.runs.values())).path.parents[1])
