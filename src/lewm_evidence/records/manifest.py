"""`manifest.json`: every file of a run with its role and digest, and the digest of the result as a whole."""

import stat
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lewm_evidence.canonical import canonical_json, sha256_bytes, sha256_file
from lewm_evidence.errors import StageError
from lewm_evidence.records.schema import SCHEMA_VERSION

MANIFEST = "manifest.json"
Role = Literal["result", "timing", "view", "local"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Model):
    """A file that belongs to the run; `path` is relative to the run directory, with forward slashes."""

    path: str
    role: Literal["result", "timing", "view"]
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class LocalEntry(_Model):
    """A file or folder that stays on this machine, and why."""

    path: str
    reason: str


class Manifest(_Model):
    """The last file a run writes."""

    schema_version: Literal[1] = SCHEMA_VERSION
    stage: str
    key: str
    result_digest: Sha256
    inputs: dict[str, str]
    files: list[FileEntry]
    local: list[LocalEntry]
    environment: dict[str, Any]


def role_of(path: str) -> Role:
    """Returns the role of a file from where it lies in the run directory."""
    parts = PurePosixPath(path).parts
    if parts[0] == "logs":
        return "local"
    if path == "timing.jsonl":
        return "timing"
    if parts[0] == "views":
        return "result" if len(parts) > 1 and parts[1] == "results" else "view"
    return "result"


def list_files(root: Path) -> list[str]:
    """Returns every regular file below `root` but the manifest, sorted by UTF-8 bytes.

    Raises `StageError` for links and special files: a run holds plain files only.
    """
    found: list[str] = []
    for path in root.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        name = path.relative_to(root).as_posix()
        if not stat.S_ISREG(mode):
            raise StageError(f"{path}: a run holds plain files only, this is a link or a special file; remove it")
        if name != MANIFEST:
            found.append(name)
    return sorted(found, key=str.encode)


def result_digest(files: list[FileEntry]) -> str:
    """Returns sha256 over the sorted (path, sha256) of the files with role result."""
    rows = sorted([entry.path, entry.sha256] for entry in files if entry.role == "result")
    return sha256_bytes(canonical_json(rows))


def entries(root: Path) -> list[FileEntry]:
    """Returns an entry for every file of the run at `root` that is not local, hashing each."""
    rows = []
    for name in list_files(root):
        role = role_of(name)
        if role != "local":
            path = root / name
            rows.append(FileEntry(path=name, role=role, sha256=sha256_file(path), size=path.stat().st_size))
    return rows


def read_manifest(path: Path) -> Manifest:
    """Returns the manifest at `path`; raises `StageError` when it is missing or not one."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise StageError(f"{path} does not exist: the run is not finished; run its stage first") from None
    except ValidationError as error:
        raise StageError(f"{path} is not a run manifest ({error.error_count()} faults); make the run again") from error
