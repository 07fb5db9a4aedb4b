"""What a showcase would find here. Looks only: changes nothing, makes no folder and opens no connection."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lewm_evidence.canonical import sha256_file
from lewm_evidence.config import Config, EmbeddedCheckpoint, HubCheckpoint
from lewm_evidence.doctor import Finding, findings
from lewm_evidence.errors import EvidenceError
from lewm_evidence.showcase.work import is_made, needed_runs


def health(config: Config, runs: Path) -> list[Finding]:
    """Returns what was found; a showcase works when no finding has a remedy.

    Args:
        config: the configuration of the showcase.
        runs: the folder of all runs, which need not be there.
    """
    place = next(folder for folder in (runs, *runs.parents) if folder.is_dir())
    machine = [finding for finding in findings(place) if finding.name not in ("browser", "key")]
    if any(finding.name == "pipeline" and finding.remedy for finding in machine):
        return machine  # what it takes to plan runs is not here either
    return [*machine, _checkpoint(config), *_runs(config, runs)]


def as_dict(found: Sequence[Finding]) -> dict[str, Any]:
    """Returns the findings as JSON holds them."""
    return {"ok": not any(finding.remedy for finding in found), "findings": [asdict(finding) for finding in found]}


def _checkpoint(config: Config) -> Finding:
    checkpoint = config.checkpoint
    if isinstance(checkpoint, EmbeddedCheckpoint):
        return Finding("checkpoint", f"{checkpoint.name}, which ships in the package", _damage(checkpoint.name))
    if isinstance(checkpoint, HubCheckpoint):
        what = f"{checkpoint.repo} at {checkpoint.revision[:12]}, {len(checkpoint.files)} files known by sha256"
        return Finding("checkpoint", f"{what}; the cache or the hub is asked for them once")
    return Finding("checkpoint", "trained by this configuration, which takes minutes to hours")


def _damage(name: str) -> str:
    from lewm_evidence.checkpoint.embedded import ROOT
    from lewm_evidence.checkpoint.pins import EMBEDDED

    for file, sha256 in sorted(EMBEDDED[name].items()):
        path = ROOT / name / file
        if not path.is_file() or sha256_file(path) != sha256:
            return f"{file} is missing or was changed after it was shipped; reinstall the package"
    return ""


def _runs(config: Config, runs: Path) -> Iterator[Finding]:
    try:
        needed = needed_runs(config, runs)
    except EvidenceError as error:
        yield Finding("runs", "cannot be planned", str(error))
        return
    for run in needed:
        yield Finding(run.spec.stage, f"{run.name} {'is there' if is_made(run) else 'will be made'}")
