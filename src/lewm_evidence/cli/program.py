"""The command `lewm-evidence`: what a person types to check, look at and find evidence.

Only argparse is imported up here; each command imports what it needs, so that help comes at once.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lewm_evidence import __version__
from lewm_evidence.cli.open import add_open_commands
from lewm_evidence.cli.render import add_render_command
from lewm_evidence.cli.rerun import add_rerun_commands
from lewm_evidence.cli.store import add_store_commands, in_store
from lewm_evidence.cli.watch import add_watch_command
from lewm_evidence.errors import BundleError, EvidenceError, RefusedError

if TYPE_CHECKING:
    from lewm_evidence.records.finished import FinishedRun
    from lewm_evidence.seal.verify import SignedBy

_EXIT_CODES = "exit status: 0 yes, 1 no (with the reason), 2 could not run, 130 stopped by Ctrl-C"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A file name that is not UTF-8 must not keep its own refusal from being shown.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    args = _parser().parse_args(arguments)
    try:
        signal.signal(signal.SIGTERM, _stop)
        status: int = args.command(args)
        sys.stdout.flush()
    except EvidenceError as error:
        print(f"lewm-evidence: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"lewm-evidence: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return 2
    return status


def _stop(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lewm-evidence",
        description="Check, look at and find evidence about LeWorldModel checkpoints.",
        epilog=f"`lewm-evidence COMMAND --help` shows examples.\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lewm-evidence {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_bundle_commands(commands)
    _add_reproduce_commands(commands)
    add_store_commands(commands)
    add_open_commands(commands)
    add_rerun_commands(commands)
    add_render_command(commands)
    add_watch_command(commands)
    _add_run_commands(commands)
    _add_pin_command(commands)
    _command(
        commands,
        "doctor",
        _doctor,
        "what this machine has for making evidence; no network",
        "examples:\n  lewm-evidence doctor\n\n"
        "exit status: 0 all that making evidence takes is here, 1 something is missing (with the remedy)",
    )
    return parser


def _add_bundle_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = _command(
        commands,
        "verify",
        _verify,
        "is this bundle exactly what was sealed?",
        "examples:\n"
        "  lewm-evidence verify evidence/0123456789abcdef0123          a bundle folder\n"
        "  lewm-evidence verify evidence/0123456789abcdef0123/bag      a bag\n"
        "  lewm-evidence verify 0123456789abcdef0123.tar --json        an archive, also .tar.zst\n"
        "  lewm-evidence verify 5f0c93d1                               a bundle in the store, by its address\n"
        "  lewm-evidence verify evidence/0123456789abcdef0123 --allowed-signers people.txt\n\n"
        "Without --allowed-signers a signature shows that nothing changed since, not who signed.\n"
        "exit status: 0 accepted, 1 refused (with file and reason), 2 could not run, 130 stopped by Ctrl-C",
    )
    verify.add_argument("path", type=Path, metavar="PATH", help="bundle folder, bag, archive or store id")
    verify.add_argument("--json", action="store_true", help="print the outcome as one line of JSON")
    verify.add_argument(
        "--allowed-signers", type=Path, metavar="FILE", help="refuse other keys than these (format of ssh-keygen)"
    )
    keygen = _command(
        commands,
        "keygen",
        _keygen,
        "make a key to sign bundles with",
        "examples:\n  lewm-evidence keygen ~/.ssh/lewm-evidence\n\n"
        "Give the path as seal.key in the configuration or in LEWM_EVIDENCE_SIGNING_KEY (which may also hold the key\n"
        f"itself), and FILE.pub to those who verify.\n\n{_EXIT_CODES}",
    )
    keygen.add_argument("path", type=Path, metavar="FILE", help="a new file; its public half is FILE.pub")
    summary = _command(
        commands,
        "summary",
        _summary,
        "what a bundle says, and where to look; verifies nothing",
        f"examples:\n  lewm-evidence summary evidence/0123456789abcdef0123\n\n{_EXIT_CODES}",
    )
    summary.add_argument("path", type=Path, metavar="BUNDLE", help="bundle folder")


def _add_reproduce_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    again = _command(
        commands,
        "reproduce",
        _reproduce,
        "make a bundle's runs again from the bundle alone and compare",
        "examples:\n"
        "  lewm-evidence reproduce 0123456789abcdef0123.tar                        an archive\n"
        "  lewm-evidence reproduce evidence/0123456789abcdef0123 --into again      keep what is made\n"
        "  lewm-evidence reproduce 0123456789abcdef0123.tar --only evaluate gate   from sealed inputs\n"
        "  lewm-evidence reproduce 5f0c93d1 --allowed-signers people.txt           from the store\n\n"
        "exit status: 0 equal or within tolerance (docs/reproduce.md), 1 different or refused, 2 could not run",
    )
    again.add_argument("path", type=Path, metavar="PATH", help="bundle folder, bag, archive or store id")
    again.add_argument("--into", type=Path, metavar="DIR", help="an empty folder to keep; else a temporary one")
    again.add_argument("--only", nargs="+", default=[], metavar="STAGE", help="run these stages only")
    again.add_argument("--threads", type=int, metavar="N", help="torch threads (default: as sealed)")
    again.add_argument("--allowed-signers", type=Path, metavar="FILE", help="refuse other keys than these")
    again.add_argument("--keep-going", action="store_true", help="also run what follows a different stage")
    again.add_argument("--json", action="store_true", help="print the outcome as one line of JSON")
    diff = _command(
        commands,
        "diff",
        _diff,
        "what two bundles or runs have and have not in common",
        "examples:\n"
        "  lewm-evidence diff evidence/0123456789abcdef0123 evidence/3210fedcba9876543210\n"
        "  lewm-evidence diff mine.tar theirs.tar --json\n"
        "  lewm-evidence diff runs/evaluate/0123456789abcdef0123 runs/evaluate/3210fedcba9876543210\n\n"
        "exit status: 0 the same but for the environment, 1 different or refused, 2 could not run",
    )
    for name in ("a", "b"):
        diff.add_argument(
            name, type=Path, metavar=name.upper(), help="bundle folder, bag, .tar archive, store id or run"
        )
    diff.add_argument("--json", action="store_true", help="print the outcome as one line of JSON")


def _add_run_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = _command(
        commands,
        "check",
        _check,
        "hash the files of finished runs again and compare with their manifests",
        "examples:\n"
        "  lewm-evidence check                                  every finished run below runs/\n"
        "  lewm-evidence check runs/fetch/0123456789abcdef0123  one run\n\n"
        "exit status: 0 all as when they finished, 1 a file is not (named), 2 could not run, 130 stopped by Ctrl-C",
    )
    check.add_argument("path", type=Path, nargs="?", default=Path("runs"), metavar="PATH", help="default: runs")
    runs = _command(commands, "runs", None, "list and show run directories", _EXIT_CODES)
    actions = runs.add_subparsers(title="commands", metavar="COMMAND", required=True)
    example = "examples:\n  lewm-evidence runs list\n  lewm-evidence runs list --runs elsewhere/runs\n\n"
    listing = _command(actions, "list", _runs_list, "all runs, finished or not", example + _EXIT_CODES)
    example = "examples:\n  lewm-evidence runs show evaluate/0123456789abcdef0123\n\n"
    show = _command(actions, "show", _runs_show, "spec, files and last values of one run", example + _EXIT_CODES)
    show.add_argument("name", metavar="STAGE/KEY", help="as `runs list` prints it")
    for parser in (listing, show):
        parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")


def _add_pin_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    pin = _command(
        commands,
        "pin",
        _pin,
        "fix a checkpoint on the hub by commit and sha256, as an entry for the configuration",
        "examples:\n"
        "  lewm-evidence pin quentinll/lewm-cube                              print the entry\n"
        "  lewm-evidence pin someone/my-lewm --world pusht --output mine.yaml write it to a file\n"
        "  lewm-evidence pin someone/my-lewm --download                       also hash and load the weights\n"
        "  lewm-evidence pin lerobot/diffusion_pusht --policy                 a LeRobot policy (docs/workers.md)\n\n"
        f"HF_ENDPOINT chooses another hub; HF_TOKEN opens private repositories.\n\n{_EXIT_CODES}",
    )
    pin.add_argument("repo", metavar="REPO", help="owner/name on the hub")
    pin.add_argument("--revision", default="main", metavar="REV", help="branch, tag or commit (default: main)")
    pin.add_argument("--policy", action="store_true", help="it is a LeRobot policy, for the configuration's policy")
    pin.add_argument("--world", choices=("pusht", "tworoom", "reacher", "cube"), help="what it was trained on")
    pin.add_argument("--download", action="store_true", help="fetch, hash and load the weights too")
    pin.add_argument("--output", type=Path, metavar="FILE", help="a new file to write instead of printing")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    function: Callable[[argparse.Namespace], int] | None,
    about: str,
    epilog: str,
) -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=about, description=about, epilog=epilog, formatter_class=formatter)
    parser.set_defaults(command=function)
    return parser


def _verify(args: argparse.Namespace) -> int:
    from lewm_evidence.seal.keys import read_allowed_signers
    from lewm_evidence.seal.verify import verify

    try:
        allowed = read_allowed_signers(args.allowed_signers) if args.allowed_signers else None
        store = in_store(args.path)
        found = store.verify_bundle(args.path.name, allowed) if store else verify(args.path, allowed=allowed)
    except RefusedError as error:
        _print_outcome(args, {"accepted": False, "path": str(args.path), "reason": str(error)}, [f"refused  {error}"])
        return 1
    except BundleError as error:
        if args.json:
            print(json.dumps({"accepted": None, "path": str(args.path), "reason": str(error)}, sort_keys=True))
        raise
    lines = [
        f"accepted {found.path} ({found.kind})",
        f"address  sha256:{found.address}",
        f"result   {found.result_digest}",
        f"holds    {found.files} files, {_size(found.size)}, {len(found.runs)} runs",
        *_signed_by(found.signed_by),
    ]
    _print_outcome(args, {"accepted": True, **found.as_dict()}, lines)
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
    print(f"wrote {args.path} (keep it to yourself) and {args.path}.pub\n{public.fingerprint}")
    print(f'for allowed signers: NAME namespaces="file" {public.line}')
    return 0


def _print_outcome(args: argparse.Namespace, outcome: dict[str, object], lines: Iterable[str]) -> None:
    print(json.dumps(outcome, sort_keys=True) if args.json else "\n".join(lines))


def _summary(args: argparse.Namespace) -> int:
    from lewm_evidence.seal.summary import summary

    print("\n".join(summary(args.path)))
    return 0


@contextmanager
def _located(path: Path) -> Iterator[Path]:
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
    from lewm_evidence.seal.keys import read_allowed_signers

    def tell(line: str) -> None:
        print(line, file=sys.stderr if args.json else sys.stdout, flush=True)

    allowed = read_allowed_signers(args.allowed_signers) if args.allowed_signers else None
    place = nullcontext(str(args.into)) if args.into else tempfile.TemporaryDirectory(prefix="lewm-evidence-")
    try:
        with place as into, _located(args.path) as path:
            found = reproduce(path, Path(into), args.only, args.threads, args.keep_going, tell, allowed)
    except RefusedError as error:
        _print_outcome(args, {"verdict": "refused", "reason": str(error)}, [f"refused  {error}"])
        return 1
    lines = [f"verdict   {found.verdict}"]
    if found.first_difference:
        lines.append(f"first at  {found.first_difference.name}, as told above")
    _print_outcome(args, found.as_dict(), lines)
    return {"equal": 0, "within tolerance": 0, "different": 1, "could not run": 2}[found.verdict]


def _diff(args: argparse.Namespace) -> int:
    from lewm_evidence.reproduce.diff import diff, table

    try:
        with _located(args.a) as a, _located(args.b) as b:
            found = diff(a, b)
    except RefusedError as error:
        _print_outcome(args, {"same": None, "reason": str(error)}, [f"refused  {error}"])
        return 1
    _print_outcome(args, found.as_dict(), table(found))
    return 0 if found.same else 1


def _check(args: argparse.Namespace) -> int:
    from lewm_evidence.records.manifest import MANIFEST
    from lewm_evidence.seal.runs import check_run

    single = (args.path / MANIFEST).exists()
    found = [args.path] if single else sorted(path.parent for path in args.path.glob(f"*/*/{MANIFEST}"))
    if not found:
        raise EvidenceError(f"{args.path} holds no finished run; give a run directory or the folder of all runs")
    altered = 0
    for run in found:
        try:
            manifest = check_run(run)
            print(f"ok       {run}  {len(manifest.files)} files")
        except EvidenceError as error:
            altered += 1
            print(f"altered  {error}")
    return 1 if altered else 0


def _runs_list(args: argparse.Namespace) -> int:
    from lewm_evidence.records.finished import FinishedRun

    if not args.runs.is_dir():
        raise EvidenceError(f"{args.runs} is not a folder; give the folder of all runs with --runs")
    for path in sorted(spec.parent for spec in args.runs.glob("*/*/spec.json")):
        print(_row(FinishedRun(path)))
    return 0


def _row(run: "FinishedRun") -> str:
    from lewm_evidence.records.manifest import MANIFEST

    if not (run.path / MANIFEST).exists():
        return f"{run.name:<42} unfinished"
    size = sum(entry.size for entry in run.manifest.files)
    digest = run.manifest.result_digest[:12]
    return f"{run.name:<42} result {digest}  {len(run.manifest.files):>5} files  {_size(size):>9}"


def _runs_show(args: argparse.Namespace) -> int:
    from lewm_evidence.records.finished import FinishedRun
    from lewm_evidence.seal.documents import strict_json

    run = FinishedRun(args.runs / args.name)
    spec = run.path / "spec.json"
    if not spec.is_file():
        raise EvidenceError(f"{run.path} is not a run; `lewm-evidence runs list` shows what is there")
    print(_row(run))
    for name, value in sorted(strict_json(spec.read_bytes(), str(spec)).items()):
        print(f"  {name}: {json.dumps(value, sort_keys=True)}")
    last = {record.tag: record for record in run.records("scalar") if record.kind == "scalar"}
    for tag, record in sorted(last.items()):
        print(f"  {tag} = {record.value:.6g} (step {record.step})")
    return 0


def _pin(args: argparse.Namespace) -> int:
    import datetime

    if args.output and args.output.exists():
        raise EvidenceError(f"{args.output} exists already; name a new file")
    try:
        from lewm_evidence.checkpoint.pinning import entry, make_pin, policy_entry
    except ModuleNotFoundError as error:
        raise EvidenceError(f"pin needs the package {error.name!r}; install lewm-evidence[pipeline]") from error

    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    if args.policy:
        repository, text = policy_entry(args.repo, date, args.revision)
    else:
        pin = make_pin(args.repo, args.revision, args.world, args.download)
        repository, text = pin.repository, entry(pin, date)
    if args.output:
        args.output.write_text(text, encoding="utf-8")
        print(f"wrote {args.output}: {repository}")
    else:
        print(text, end="")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from lewm_evidence.doctor import findings

    wrong = 0
    for finding in findings(Path()):
        print(f"{finding.name:<9} {finding.found}")
        if finding.remedy:
            wrong += 1
            print(f"{'':<9} -> {finding.remedy}")
    return 1 if wrong else 0


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
