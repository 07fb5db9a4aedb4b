"""Where this program keeps for a person what is no result: logs of viewers, copies of pages."""

import os
from pathlib import Path


def state_folder() -> Path:
    """Returns the folder, whole: below XDG_STATE_HOME, or where that is when it is not set."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state").absolute() / "lewm-evidence"
