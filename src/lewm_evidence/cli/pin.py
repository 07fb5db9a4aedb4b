"""`lewm-evidence pin`. Only argparse is imported up here."""

import argparse
from pathlib import Path

from lewm_evidence.cli.commands import Commands, Parser, add_command
from lewm_evidence.errors import EvidenceError


def add_pin_command(commands: "Commands[Parser]") -> None:
    """Adds the command."""
    pin = add_command(
        commands,
        "pin",
        _pin,
        "fix a checkpoint on the hub by commit and sha256, as an entry for the configuration",
        "quentinll/lewm-cube  print the entry\n"
        "someone/my-lewm --world pusht --output mine.yaml  write it to a file\n"
        "someone/my-lewm --download  also hash and load the weights\n"
        "lerobot/diffusion_pusht --policy  a LeRobot policy (docs/workers.md)",
        "HF_ENDPOINT chooses another hub; HF_TOKEN opens private repositories.",
    )
    pin.add_argument("repo", metavar="REPO", help="owner/name on the hub")
    pin.add_argument("--revision", default="main", metavar="REV", help="branch, tag or commit (default: main)")
    pin.add_argument("--policy", action="store_true", help="it is a LeRobot policy, for the configuration's policy")
    pin.add_argument("--world", choices=("pusht", "tworoom", "reacher", "cube"), help="what it was trained on")
    pin.add_argument("--download", action="store_true", help="fetch, hash and load the weights too")
    pin.add_argument("--output", type=Path, metavar="FILE", help="a new file to write instead of printing")


def _pin(args: argparse.Namespace) -> int:
    import datetime

    if args.output and args.output.exists():
        raise EvidenceError(f"{args.output} exists already; name a new file")
    from lewm_evidence.checkpoint.pinning import entry, make_pin, policy_entry

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
