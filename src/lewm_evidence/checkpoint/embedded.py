"""Checkpoints that ship in the package, taken through the same checks as those from elsewhere."""

from pathlib import Path

from lewm_evidence.canonical import sha256_bytes, sha256_file, write_atomic
from lewm_evidence.checkpoint.format import FILES, load_checkpoint
from lewm_evidence.checkpoint.pins import EMBEDDED
from lewm_evidence.errors import CheckpointError

ROOT = Path(__file__).parents[1] / "embedded"


def copy_embedded(name: str, target: Path) -> None:
    """Copies the shipped checkpoint `name` to the folder `target`, byte for byte.

    Raises:
        CheckpointError: when a file is missing or is not the pinned one, or the files do not make a LeWM.
    """
    pinned = EMBEDDED.get(name, {})
    if not set(FILES) <= pinned.keys():
        raise CheckpointError(f"no checkpoint {name!r} ships with this package; reinstall it or choose another")
    contents = {file: _read(ROOT / name / file, sha256) for file, sha256 in sorted(pinned.items())}
    load_checkpoint(ROOT / name)
    for file, data in contents.items():
        write_atomic(target / file, data)


def digests(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file below `folder` by name: the rows of the table in `pins`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def _read(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; reinstall the package") from error
    if sha256_bytes(data) != sha256:
        raise CheckpointError(f"{path} was changed after it was shipped; reinstall the package")
    return data
