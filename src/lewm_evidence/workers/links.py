"""Links a run's TensorBoard files to where the trainers' own documents look: `<log_dir>/<ULID>/tensorboard`.

`python -m lewm_evidence.workers.links PLACE=TARGET ...`, called by the rule `workers` when a configuration asks.
"""

import os
import sys
from pathlib import Path

from lewm_evidence.errors import EvidenceError, StageError


def link(place: Path, target: Path) -> None:
    """Makes `place` a relative link to `target`; raises `StageError` where something else stands already."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    if place.exists():
        raise StageError(f"{place} is there already and is no link; move it away, or set another log_dir")
    place.symlink_to(os.path.relpath(target, place.parent))


def main() -> None:
    """Makes the links named on the command line."""
    try:
        for pair in sys.argv[1:]:
            place, target = pair.split("=", 1)
            link(Path(place), Path(target))
    except EvidenceError as error:
        sys.exit(f"workers: {error}")


if __name__ == "__main__":
    main()
