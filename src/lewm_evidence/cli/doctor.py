"""`lewm-evidence doctor`. Only argparse is imported up here."""

import argparse
from pathlib import Path

from lewm_evidence.cli.commands import Commands, Parser, add_command, add_json, answer


def add_doctor_command(commands: "Commands[Parser]") -> None:
    """Adds the command."""
    doctor = add_command(
        commands,
        "doctor",
        _doctor,
        "what this machine has for making evidence; no network",
        "\n--json",
        status="0 all that making evidence takes is here, 1 something is missing (with the remedy)",
    )
    add_json(doctor)


def _doctor(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lewm_evidence.doctor import findings, lines

    found = list(findings(Path()))
    well = not any(finding.remedy for finding in found)
    answer(args, {"ok": well, "findings": [asdict(finding) for finding in found]}, lines(found))
    return 0 if well else 1
