"""Commands about one bundle, or two: verify, summary, reproduce, diff, keygen. Only argparse is imported up here."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from lewm_evidence.cli.commands import (
    Commands,
    Parser,
    add_allowed_signers,
    add_command,
    add_json,
    allowed_signers,
    answer,
    show,
    size,
    tell,
)
from lewm_evidence.cli.store import in_store
from lewm_evidence.errors import RefusedError

if TYPE_CHECKING:
    from lewm_evidence.seal.verify import SignedBy

_PLACES = "bundle folder, bag, archive or store id"
DIFF_STATUS = "0 the same but for the environment, 1 different or refused, 2 could not run"


def add_bundle_commands(commands: "Commands[Parser]") -> None:
    """Adds the commands."""
    _add_verify(commands)
    summary = add_command(
        commands,
        "summary",
        _summary,
        "what a bundle says, and where to look; verifies nothing",
        "evidence/0123456789abcdef0123",
    )
    summary.add_argument("path", type=Path, metavar="BUNDLE", help="bundle folder")
    _add_reproduce(commands)
    compare = add_command(
        commands,
        "diff",
        diff,
        "what two bundles or runs have and have not in common",
        "evidence/0123456789abcdef0123 evidence/3210fedcba9876543210\n"
        "mine.tar theirs.tar --json\n"
        "runs/evaluate/0123456789abcdef0123 runs/evaluate/3210fedcba9876543210",
        status=DIFF_STATUS,
    )
    for name in ("a", "b"):
        compare.add_argument(name, type=Path, metavar=name.upper(), help=f"{_PLACES}, or a run directory")
    add_json(compare)
    keygen = add_command(
        commands,
        "keygen",
        _keygen,
        "make a key to sign bundles with",
        "~/.ssh/lewm-evidence",
        "Give the path as seal.key in the configuration or in LEWM_EVIDENCE_SIGNING_KEY (which may also hold the key\n"
        "itself), and FILE.pub to those who verify.",
    )
    keygen.add_argument("path", type=Path, metavar="FILE", help="a new file; its public half is FILE.pub")
    add_json(keygen)


def _add_verify(commands: "Commands[Parser]") -> None:
    verify = add_command(
        commands,
        "verify",
        _verify,
        "is this bundle exactly what was sealed?",
        "evidence/0123456789abcdef0123  a bundle folder\n"
        "evidence/0123456789abcdef0123/bag  a bag\n"
        "0123456789abcdef0123.tar --json  an archive, also .tar.zst\n"
        "5f0c93d1  a bundle in the store, by its address\n"
        "evidence/0123456789abcdef0123 --allowed-signers people.txt",
        "Without --allowed-signers a signature shows that nothing changed since, not who signed.",
        "0 accepted, 1 refused (with file and reason), 2 could not run",
    )
    verify.add_argument("path", type=Path, metavar="PATH", help=_PLACES)
    add_json(verify)
    add_allowed_signers(verify)


def _add_reproduce(commands: "Commands[Parser]") -> None:
    again = add_command(
        commands,
        "reproduce",
        _reproduce,
        "make a bundle's runs again from the bundle alone and compare",
        "0123456789abcdef0123.tar  an archive\n"
        "evidence/0123456789abcdef0123 --into again  keep what is made\n"
        "0123456789abcdef0123.tar --only evaluate gate  from sealed inputs\n"
        "5f0c93d1 --allowed-signers people.txt  from the store",
        status="0 equal or within tolerance (docs/reproduce.md), 1 different or refused, 2 could not run",
    )
    again.add_argument("path", type=Path, metavar="PATH", help=_PLACES)
    again.add_argument("--into", type=Path, metavar="DIR", help="an empty folder to keep; else a temporary one")
    again.add_argument("--only", nargs="+", default=[], metavar="STAGE", help="run these stages only")
    again.add_argument("--threads", type=int, metavar="N", help="torch threads (default: as sealed)")
    again.add_argument("--keep-going", action="store_true", help="also run what follows a different stage")
    add_allowed_signers(again)
    add_json(again)


def _verify(args: argparse.Namespace) -> int:
    from lewm_evidence.seal.verify import verify

    try:
        allowed = allowed_signers(args)
        store = in_store(args.path)
        found = store.verify_bundle(args.path.name, allowed) if store else verify(args.path, allowed=allowed)
    except RefusedError as error:
        answer(args, {"accepted": False, "path": str(args.path), "reason": str(error)}, [f"refused  {error}"])
        return 1
    lines = [
        f"accepted {found.path} ({found.kind})",
        f"address  sha256:{found.address}",
        f"result   {found.result_digest}",
        f"holds    {found.files} files, {size(found.size)}, {len(found.runs)} runs",
        *_signed_by(found.signed_by),
    ]
    answer(args, {"accepted": True, **found.as_dict()}, lines)
    return 0


def _signed_by(signer: "SignedBy | None") -> list[str]:
    warning = "This shows that nothing changed since sealing, not who sealed it: compare the address with one you know."
    if signer is None:
        return ["signed   no", warning]
    if signer.principal is None:
        kind = "self-signed" if signer.kind == "self-signed" else "a key that no list of allowed signers vouches for"
        return [f"signed   {signer.fingerprint} ({kind})", warning]
    return [f"signed   {signer.fingerprint} ({signer.principal})"]


def _keygen(args: argparse.Namespace) -> int:
    from lewm_evidence.seal.keys import make_key

    public = make_key(args.path)
    allowed = f'NAME namespaces="file" {public.line}'
    files = {"private": str(args.path), "public": f"{args.path}.pub"}
    lines = [f"wrote {args.path} (keep it to yourself) and {args.path}.pub", public.fingerprint]
    outcome = {**files, "fingerprint": public.fingerprint, "allowed_signer": allowed}
    answer(args, outcome, [*lines, f"for allowed signers: {allowed}"])
    return 0


def _summary(args: argparse.Namespace) -> int:
    from lewm_evidence.seal.summary import summary

    show("\n".join(summary(args.path)))
    return 0


@contextmanager
def located(path: Path) -> Iterator[Path]:
    """Yields where the bundle is that `path` names; one of the store is taken out for the while."""
    store = in_store(path)
    if store is None:
        yield path
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as private:
        store.get(path.name, Path(private) / "bundle")
        yield Path(private) / "bundle"


def _reproduce(args: argparse.Namespace) -> int:
    import tempfile

    from lewm_evidence.reproduce.again import reproduce

    def heard(line: str) -> None:
        tell(args, line)

    place = nullcontext(str(args.into)) if args.into else tempfile.TemporaryDirectory(prefix="lewm-evidence-")
    try:
        allowed = allowed_signers(args)
        with place as into, located(args.path) as path:
            found = reproduce(path, Path(into), args.only, args.threads, args.keep_going, heard, allowed)
    except RefusedError as error:
        answer(args, {"verdict": "refused", "reason": str(error)}, [f"refused  {error}"])
        return 1
    lines = [f"verdict   {found.verdict}"]
    if found.first_difference:
        lines.append(f"first at  {found.first_difference.name}, as told above")
    answer(args, found.as_dict(), lines)
    return {"equal": 0, "within tolerance": 0, "different": 1, "could not run": 2}[found.verdict]


def diff(args: argparse.Namespace) -> int:
    """Compares the bundles or runs `args.a` and `args.b`."""
    from lewm_evidence.reproduce.diff import diff as compare
    from lewm_evidence.reproduce.diff import table

    try:
        with located(args.a) as a, located(args.b) as b:
            found = compare(a, b)
    except RefusedError as error:
        answer(args, {"same": None, "reason": str(error)}, [f"refused  {error}"])
        return 1
    answer(args, found.as_dict(), table(found))
    return 0 if found.same else 1
