"""The files of a foreign policy between the stages that use them: large, so they stay on this machine, named by sha256.

They lie below `logs/`, which is not sealed; events name each file, and whoever takes one up checks it again.
"""

from pathlib import Path

from lewm_evidence.canonical import sha256_file
from lewm_evidence.errors import StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.run import Run

TAG = "policy/file"


def record_files(out: Run, folder: Path) -> None:
    """Records name, sha256 and bytes of every file in `folder`, in name order."""
    for step, path in enumerate(sorted(folder.iterdir())):
        out.event(TAG, step, name=path.name, sha256=sha256_file(path), bytes=path.stat().st_size)


def checked(run: FinishedRun, folder: Path) -> Path:
    """Returns `folder` with the files that `run` recorded.

    Raises:
        StageError: when one is missing or another than recorded.
    """
    for event in run.events(TAG):
        path = folder / str(event.fields["name"])
        if not path.is_file() or sha256_file(path) != event.fields["sha256"]:
            raise StageError(
                f"{path} is not the file that {run.name} recorded; policies stay on the machine that fetched them: "
                f"remove {run.path} and run again"
            )
    return folder
