"""Tells a live run in a folder from one that was killed, so that a kill needs no cleaning up by hand."""

import fcntl
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lewm_evidence.errors import EvidenceError

_LOOKING = re.compile(
    r"-[a-zA-Z]*n[a-zA-Z]*|--(dry-?run|summary|detailed-summary|dag|rulegraph|filegraph|lint|list.*|report.*|help|version)"
)
_held: list[IO[str]] = []


def claim_folder(state: Path, arguments: Sequence[str]) -> None:
    """Claims the folder for this Snakemake process until it ends, and drops the locks of a killed one.

    The claim is an flock, which the kernel frees however the holder dies; Snakemake's own lock files stay behind
    after a kill. A call that only looks (a dry run, a summary) neither claims nor is refused.

    Args:
        state: Snakemake's state folder, `.snakemake`.
        arguments: the command line, to tell looking from running.

    Raises:
        EvidenceError: when another process is running in this folder.
    """
    if any(_LOOKING.fullmatch(argument.split("=")[0]) for argument in arguments):
        return
    state.mkdir(exist_ok=True)
    file = (state / "live").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise EvidenceError(
            f"another run is live in this folder (process {holder}); wait for it or stop it, then call again. "
            "Nothing was changed."
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    _held.append(file)
    shutil.rmtree(state / "locks", ignore_errors=True)
