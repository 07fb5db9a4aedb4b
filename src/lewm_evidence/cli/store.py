"""`lewm-evidence store`: keep bundles, look after them, and send them elsewhere. Only argparse is imported up here."""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lewm_evidence.seal.keys import AllowedSigners
    from lewm_evidence.store.local import Store

_DAY = 86_400
_EXIT_CODES = "exit status: 0 yes, 1 no (with the reason), 2 could not run, 130 stopped by Ctrl-C"
_PLACES = (
    "PLACE is a folder, s3://bucket/prefix (extra s3; AWS_ENDPOINT_URL chooses another server), or hf://owner/name\n"
    "(HF_ENDPOINT another hub, HF_TOKEN who asks). Stopped in the middle, the same command goes on."
)


def default_store() -> Path:
    """Returns the store that is meant when none is named: LEWM_EVIDENCE_STORE, or `store`."""
    return Path(os.environ.get("LEWM_EVIDENCE_STORE") or "store")


def in_store(path: Path) -> "Store | None":
    """Returns the default store when `path` is no file or folder but reads like the address of a bundle there."""
    if path.exists() or not re.fullmatch(r"(sha256:)?[0-9a-f]{8,64}", str(path)):
        return None
    from lewm_evidence.store.local import Store

    return Store(default_store())


def add_store_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command `store`."""
    formatter = argparse.RawDescriptionHelpFormatter
    about = "keep bundles by address, and copies of them elsewhere"
    epilog = f"`lewm-evidence store COMMAND --help` shows examples.\n\n{_EXIT_CODES}"
    parser = commands.add_parser("store", help=about, description=about, epilog=epilog, formatter_class=formatter)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = _action(actions, "add", _add, "take in a bundle once it verifies", "add evidence/*/\nadd 0123456789ab.tar")
    add.add_argument("paths", type=Path, nargs="+", metavar="BUNDLE", help="folder, or archive with its sidecars")
    get = _action(actions, "get", _get, "write a bundle out again", "get 5f0c93d1 bundle\nget 5f0c93d1 bundle.tar")
    get.add_argument("name", metavar="ID", help="address, or its first 8 digits or more")
    get.add_argument("target", type=Path, metavar="PATH", help="new folder, or new file ending in .tar or .tar.zst")
    listing = _action(actions, "list", _list, "what is there", "list\nlist --at s3://bucket/evidence")
    listing.add_argument("--at", metavar="PLACE", help="the bundles at this place instead")
    verify = _action(
        actions, "verify", _verify, "is everything as it was when it was added?", "verify\nverify 5f0c93d1"
    )
    verify.add_argument("names", nargs="*", metavar="ID", help="default: every bundle and every content")
    _add_prune(actions)
    for name, function, about in (
        ("pin", _pin, "keep a bundle whatever its age"),
        ("unpin", _unpin, "let a bundle go with the others"),
    ):
        action = _action(actions, name, function, about, f"{name} 5f0c93d1")
        action.add_argument("name", metavar="ID", help="address, or its first 8 digits or more")
    _add_transfer(actions)


def _add_prune(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    prune = _action(
        actions,
        "prune",
        _prune,
        "remove old bundles, and contents that no bundle holds; shows only, until --yes is given",
        "prune\nprune --keep-days 90 --keep-latest 10\nprune --keep-days 90 --keep-latest 10 --yes",
        "A bundle goes when it is not pinned and no --keep option keeps it; without one, none goes.\n\n",
    )
    prune.add_argument("--keep-days", type=float, metavar="DAYS", help="keep what was added in the last DAYS days")
    prune.add_argument("--keep-latest", type=int, metavar="N", help="keep the N bundles added last")
    prune.add_argument("--yes", action="store_true", help="remove what is shown")


def _add_transfer(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    push = _action(
        actions,
        "push",
        _push,
        "send a bundle to a place elsewhere, and check that it arrived",
        "push 5f0c93d1 /mnt/backup\npush 5f0c93d1 s3://bucket/evidence\npush 5f0c93d1 hf://datasets/owner/evidence",
        f"{_PLACES}\n\n",
    )
    pull = _action(
        actions,
        "pull",
        _pull,
        "fetch a bundle from a place elsewhere; it is kept once it verifies",
        "pull 5f0c93d1 /mnt/backup\npull 5f0c93d1 s3://bucket/evidence --allowed-signers signers",
        f"{_PLACES}\n\n",
    )
    for action in (push, pull):
        action.add_argument("name", metavar="ID", help="address, or its first 8 digits or more")
        action.add_argument("place", metavar="PLACE", help="folder, s3://… or hf://…")
    pull.add_argument("--allowed-signers", type=Path, metavar="FILE", help="refuse what none of these keys signed")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    function: Callable[[argparse.Namespace], int],
    about: str,
    examples: str,
    more: str = "",
) -> argparse.ArgumentParser:
    lines = "".join(f"  lewm-evidence store {example}\n" for example in examples.split("\n"))
    parser = actions.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"examples:\n{lines}\n{more}{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--store", type=Path, default=default_store(), metavar="DIR", help="default: LEWM_EVIDENCE_STORE, or store"
    )
    parser.set_defaults(command=partial(_answered, function))
    return parser


def _answered(function: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    from lewm_evidence.errors import RefusedError

    try:
        return function(args)
    except RefusedError as error:
        print(f"{'refused':<8} {error}")
        return 1


def _open(args: argparse.Namespace, create: bool = False) -> "Store":
    from lewm_evidence.store.local import Store

    return Store(args.store, create, lambda: print("waiting for another process to finish with it", file=sys.stderr))


def _add(args: argparse.Namespace) -> int:
    from lewm_evidence.errors import RefusedError

    store, status = _open(args, create=True), 0
    for path in args.paths:
        try:
            added = store.add(path)
            print(f"{'added' if added.new else 'present':<8} {added.address}  {path}")
        except RefusedError as error:
            print(f"{'refused':<8} {path}: {error}")
            status = 1
    return status


def _get(args: argparse.Namespace) -> int:
    print(f"{'written':<8} {_open(args).get(args.name, args.target)}  {args.target}")
    return 0


def _list(args: argparse.Namespace) -> int:
    if args.at:
        from lewm_evidence.store.remote import open_remote
        from lewm_evidence.store.transfer import addresses

        print("\n".join(addresses(open_remote(args.at))))
        return 0
    for entry in _open(args).entries():
        day = time.strftime("%Y-%m-%d", time.gmtime(entry.added))
        print(f"{entry.address}  {day}  {entry.files:>5} files {entry.size:>13,} B{'  pinned' if entry.pinned else ''}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    checked = faults = 0
    for finding in _open(args).verify(args.names):
        checked += 1
        if finding.fault:
            faults += 1
            print(f"refused  {finding.what}: {finding.fault}")
    print(f"{checked - faults} of {checked} bundles and contents are as they were when they were added")
    return 1 if faults else 0


def _prune(args: argparse.Namespace) -> int:
    from lewm_evidence.store.retention import Retention

    now = time.time()
    plan = _open(args).prune(Retention(args.keep_days, args.keep_latest), now, args.yes)
    word = "removed" if args.yes else "to go"
    for entry in plan.bundles:
        print(f"{word:<8} {entry.address}  {(now - entry.added) / _DAY:.1f} days old")
    print(
        f"{word:<8} {len(plan.bundles)} bundles, {plan.blobs} contents with {plan.size:,} B"
        f" and {plan.unfinished} unfinished pieces of work{'' if args.yes else '; --yes removes them'}"
    )
    return 0


def _pin(args: argparse.Namespace) -> int:
    print(f"{'pinned':<8} {_open(args).pin(args.name)}")
    return 0


def _unpin(args: argparse.Namespace) -> int:
    print(f"{'unpinned':<8} {_open(args).unpin(args.name)}")
    return 0


def _push(args: argparse.Namespace) -> int:
    from lewm_evidence.store.remote import open_remote
    from lewm_evidence.store.transfer import push

    print(f"{'sent':<8} {push(_open(args), args.name, open_remote(args.place), _progress)}  {args.place}")
    return 0


def _pull(args: argparse.Namespace) -> int:
    from lewm_evidence.store.remote import open_remote
    from lewm_evidence.store.transfer import pull

    remote, allowed = open_remote(args.place), _allowed(args.allowed_signers)
    added = pull(_open(args, create=True), args.name, remote, allowed, _progress)
    print(f"{'added' if added.new else 'present':<8} {added.address}  {args.place}")
    return 0


def _allowed(path: Path | None) -> "AllowedSigners | None":
    if path is None:
        return None
    from lewm_evidence.seal.keys import read_allowed_signers

    return read_allowed_signers(path)


def _progress(line: str) -> None:
    print(line, file=sys.stderr)
