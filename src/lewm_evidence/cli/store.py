"""`lewm-evidence store`: keep bundles, look after them, and send them elsewhere. Only argparse is imported up here."""

import argparse
import os
import re
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lewm_evidence.cli.commands import (
    Command,
    Commands,
    Parser,
    add_allowed_signers,
    add_command,
    add_group,
    add_json,
    allowed_signers,
    answer,
    show,
)

if TYPE_CHECKING:
    from lewm_evidence.store.local import Store
    from lewm_evidence.store.retention import Entry

_DAY = 86_400
_PLACES = (
    "PLACE is a folder, s3://bucket/prefix (extra s3; AWS_ENDPOINT_URL chooses another server), or hf://owner/name\n"
    "(HF_ENDPOINT another hub, HF_TOKEN who asks). Stopped in the middle, the same command goes on."
)


def default_store(folder: Path = Path()) -> Path:
    """Returns the store that is meant when none is named: LEWM_EVIDENCE_STORE, or `store` in `folder`."""
    return Path(os.environ.get("LEWM_EVIDENCE_STORE") or folder / "store")


def in_store(path: Path) -> "Store | None":
    """Returns the default store when `path` is no file or folder but reads like the address of a bundle there."""
    if path.exists() or not re.fullmatch(r"(sha256:)?[0-9a-f]{8,64}", str(path)):
        return None
    from lewm_evidence.store.local import Store

    return Store(default_store())


def add_store_commands(commands: "Commands[Parser]") -> None:
    """Adds the command `store`."""
    actions = add_group(commands, "store", "keep bundles by address, and copies of them elsewhere")
    add = _action(actions, "add", _add, "take in a bundle once it verifies", "evidence/*/\n0123456789ab.tar")
    add.add_argument("paths", type=Path, nargs="+", metavar="BUNDLE", help="folder, or archive with its sidecars")
    get = _action(actions, "get", _get, "write a bundle out again", "5f0c93d1 bundle\n5f0c93d1 bundle.tar")
    get.add_argument("name", metavar="ID", help="address, or its first 8 digits or more")
    get.add_argument("target", type=Path, metavar="PATH", help="new folder, or new file ending in .tar or .tar.zst")
    listing = _action(actions, "list", _list, "what is there", "\n--at s3://bucket/evidence")
    add_json(listing)
    listing.add_argument("--at", metavar="PLACE", help="the bundles at this place instead")
    verify = _action(actions, "verify", _verify, "is everything as it was when it was added?", "\n5f0c93d1")
    add_json(verify)
    verify.add_argument("names", nargs="*", metavar="ID", help="default: every bundle and every content")
    _add_prune(actions)
    for name, function, about in (
        ("pin", _pin, "keep a bundle whatever its age"),
        ("unpin", _unpin, "let a bundle go with the others"),
    ):
        action = _action(actions, name, function, about, "5f0c93d1")
        action.add_argument("name", metavar="ID", help="address, or its first 8 digits or more")
    _add_transfer(actions)


def _add_prune(actions: "Commands[Parser]") -> None:
    prune = _action(
        actions,
        "prune",
        _prune,
        "remove old bundles, and contents that no bundle holds; shows only, until --yes is given",
        "\n--keep-days 90 --keep-latest 10\n--keep-days 90 --keep-latest 10 --yes",
        "A bundle goes when it is not pinned and no --keep option keeps it; without one, none goes.",
    )
    add_json(prune)
    prune.add_argument("--keep-days", type=float, metavar="DAYS", help="keep what was added in the last DAYS days")
    prune.add_argument("--keep-latest", type=int, metavar="N", help="keep the N bundles added last")
    prune.add_argument("--yes", action="store_true", help="remove what is shown")


def _add_transfer(actions: "Commands[Parser]") -> None:
    push = _action(
        actions,
        "push",
        _push,
        "send a bundle to a place elsewhere, and check that it arrived",
        "5f0c93d1 /mnt/backup\n5f0c93d1 s3://bucket/evidence\n5f0c93d1 hf://datasets/owner/evidence",
        _PLACES,
    )
    pull = _action(
        actions,
        "pull",
        _pull,
        "fetch a bundle from a place elsewhere; it is kept once it verifies",
        "5f0c93d1 /mnt/backup\n5f0c93d1 s3://bucket/evidence --allowed-signers signers",
        _PLACES,
    )
    for action in (push, pull):
        action.add_argument("name", metavar="ID", help="address, or its first 8 digits or more")
        action.add_argument("place", metavar="PLACE", help="folder, s3://… or hf://…")
    add_allowed_signers(pull)


def _action(
    actions: "Commands[Parser]",
    name: str,
    function: Command,
    about: str,
    examples: str,
    more: str = "",
) -> Parser:
    parser = add_command(actions, name, partial(_answered, function), about, examples, more)
    parser.add_argument(
        "--store", type=Path, default=default_store(), metavar="DIR", help="default: LEWM_EVIDENCE_STORE, or store"
    )
    return parser


def _answered(function: Command, args: argparse.Namespace) -> int:
    from lewm_evidence.errors import RefusedError

    try:
        return function(args)
    except RefusedError as error:
        show(f"{'refused':<8} {error}")
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
            show(f"{'refused':<8} {path}: {error}")
            status = 1
    return status


def _get(args: argparse.Namespace) -> int:
    print(f"{'written':<8} {_open(args).get(args.name, args.target)}  {args.target}")
    return 0


def _list(args: argparse.Namespace) -> int:
    if args.at:
        from lewm_evidence.store.remote import open_remote
        from lewm_evidence.store.transfer import addresses

        there = sorted(addresses(open_remote(args.at)))
        answer(args, {"bundles": [{"address": address} for address in there]}, there)
        return 0
    from dataclasses import asdict

    entries = _open(args).entries()
    answer(args, {"bundles": [asdict(entry) for entry in entries]}, map(_row, entries))
    return 0


def _row(entry: "Entry") -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(entry.added))
    return f"{entry.address}  {day}  {entry.files:>5} files {entry.size:>13,} B{'  pinned' if entry.pinned else ''}"


def _verify(args: argparse.Namespace) -> int:
    found = list(_open(args).verify(args.names))
    faults = [{"what": finding.what, "reason": finding.fault} for finding in found if finding.fault]
    lines = [f"refused  {fault['what']}: {fault['reason']}" for fault in faults]
    fine = f"{len(found) - len(faults)} of {len(found)} bundles and contents are as they were when they were added"
    answer(args, {"checked": len(found), "refused": faults}, [*lines, fine])
    return 1 if faults else 0


def _prune(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lewm_evidence.store.retention import Retention

    now = time.time()
    plan = _open(args).prune(Retention(args.keep_days, args.keep_latest), now, args.yes)
    word = "removed" if args.yes else "to go"
    lines = [f"{word:<8} {entry.address}  {(now - entry.added) / _DAY:.1f} days old" for entry in plan.bundles]
    lines.append(
        f"{word:<8} {len(plan.bundles)} bundles, {plan.blobs} contents with {plan.size:,} B"
        f" and {plan.unfinished} unfinished pieces of work{'' if args.yes else '; --yes removes them'}"
    )
    answer(args, {"removed": args.yes, **asdict(plan)}, lines)
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

    remote, allowed = open_remote(args.place), allowed_signers(args)
    added = pull(_open(args, create=True), args.name, remote, allowed, _progress)
    print(f"{'added' if added.new else 'present':<8} {added.address}  {args.place}")
    return 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr)
