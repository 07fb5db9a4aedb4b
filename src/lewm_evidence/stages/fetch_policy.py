"""Fetch the files of a LeRobot policy, from the hub or from a folder, every file checked by sha256.

Inputs: none; the config is `policy.source` of the configuration.

Outputs: the files, which stay on this machine (`logs/policy/`); event `policy/file` for each (step = position in name
order) with `name`, `sha256`, `bytes`.
"""

import shutil
import tempfile
from pathlib import Path

from lewm_evidence.canonical import sha256_file
from lewm_evidence.checkpoint.client import Repository, fetch_file
from lewm_evidence.config import PolicySource
from lewm_evidence.errors import CheckpointError
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.stages.policy_files import record_files

FILES = Path("logs") / "policy"


def run(out: Run) -> None:
    """Takes all files or none."""
    source = PolicySource.model_validate(out.config)
    target = out.path / FILES
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as name:
        folder = Path(name) / "policy"
        folder.mkdir()
        for file, sha256 in sorted(source.files.items()):
            say(f"policy: taking {file}")
            _take(source, file, sha256, folder)
        shutil.rmtree(target, ignore_errors=True)  # of an interrupted run
        folder.rename(target)
    record_files(out, target)


def _take(source: PolicySource, file: str, sha256: str, folder: Path) -> None:
    if source.repo is not None and source.revision is not None:
        fetch_file(Repository(source.repo, source.revision), file, sha256, folder)
        return
    path = Path(source.folder or "") / file
    if not path.is_file():
        raise CheckpointError(f"{path} is not there; check policy.source.folder and policy.source.files")
    shutil.copyfile(path, folder / file)
    found = sha256_file(folder / file)
    if found != sha256:
        raise CheckpointError(f"{path} has sha256 {found}, the configuration pins {sha256}; nothing was kept")


if __name__ == "__main__":
    main(run)
