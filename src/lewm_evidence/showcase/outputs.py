"""What a finished showcase leaves for a person: its summary, a recording and a run of TensorBoard."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lewm_evidence.canonical import write_atomic
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.redact import redact
from lewm_evidence.render.showcase_summary import summarise_showcase
from lewm_evidence.rerun import RerunSession
from lewm_evidence.showcase.recording import record_in_rerun, record_in_tensorboard, save_recording
from lewm_evidence.showcase.work import checkpoint_of
from lewm_evidence.tensorboard import TensorBoardLogConfig, project


@dataclass(frozen=True)
class Outputs:
    """Where things go.

    Attributes:
        summary: the summary's file, replaced if it exists; None for none.
        recording: Rerun's file, replaced if it exists; None for none.
        live: a session whose viewer or server gets the recording too.
        tensorboard: where TensorBoard's run goes; None for none.
    """

    summary: Path | None = None
    recording: Path | None = None
    live: RerunSession | None = None
    tensorboard: TensorBoardLogConfig | None = None

    def write(self, showcase: FinishedRun, health: dict[str, Any], step: Callable[[str, str], None]) -> dict[str, Any]:
        """Writes all of it and returns the summary, with a block for each view that was made.

        Args:
            showcase: the finished episode.
            health: what was found before.
            step: is told the name and place of what is written next.
        """
        runs, checkpoint = showcase.path.parents[1], checkpoint_of(showcase)
        summary = summarise_showcase(showcase, checkpoint, str(runs)) | {"health": health}
        if self.recording is not None:
            step("rerun", str(self.recording))
            summary["rerun"] = self._rerun(_shareable(summary, runs.parent), self.recording)
        if self.tensorboard is not None:
            step("tensorboard", str(self.tensorboard.resolved_log_dir))
            block = record_in_tensorboard(_shareable(summary, runs.parent), self.tensorboard, checkpoint)
            # Whole, because who reads the summary may stand in another folder.
            whole = self.tensorboard.resolved_log_dir.parent if block["run_name"] else self.tensorboard.resolved_log_dir
            summary["tensorboard"] = block | {"log_dir": str(whole)}
        if self.summary is not None:
            step("summary", str(self.summary))
            write_atomic(self.summary, (json.dumps(summary, indent=1, sort_keys=True) + "\n").encode())
        return summary

    def _rerun(self, summary: dict[str, Any], path: Path) -> dict[str, Any]:
        save_recording(summary, path)
        where: dict[str, Any] = {"spawn": False, "connect_url": None, "server_uri": None}
        if self.live is not None:
            record_in_rerun(summary, self.live)
            config = self.live.config
            where = {"spawn": config.spawn, "connect_url": config.connect_url, "server_uri": self.live.server_uri}
        return {"save_path": str(path), "recording_size_bytes": path.stat().st_size, **where}


def _shareable(summary: dict[str, Any], state: Path) -> dict[str, Any]:
    """Returns the summary without this machine's names: event files and recordings are passed on."""
    text = json.dumps(summary, ensure_ascii=False)
    for folder, mark in ((state, "[state]"), (project(), "[project]")):
        text = text.replace(json.dumps(str(folder), ensure_ascii=False)[1:-1], mark)
    shared: dict[str, Any] = json.loads(redact(text))
    return shared
