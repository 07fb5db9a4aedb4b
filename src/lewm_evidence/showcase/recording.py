"""The summary of a showcase, ours or WorldForge's, written for TensorBoard and Rerun."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.events import clean
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.rerun import (
    SHOWCASE_TIMELINE,
    RerunArtifactLogger,
    RerunEventSink,
    RerunRecordingConfig,
    RerunSession,
)
from lewm_evidence.tensorboard import TensorBoardCheckpointInspector, TensorBoardLogConfig, TensorBoardSession


def record_in_tensorboard(
    summary: dict[str, Any], config: TensorBoardLogConfig, checkpoint: FinishedRun | None = None
) -> dict[str, Any]:
    """Writes the summary, and what is known of the checkpoint, as a run of TensorBoard.

    Args:
        summary: of the showcase; in what is written it has the block `tensorboard` too.
        config: where to. What an earlier run of the same name holds is shown no more.
        checkpoint: the run that made or fetched the checkpoint: where it is from, and its weights.

    Returns:
        The block `tensorboard`; `events_written` is false where TensorBoard is not installed.
    """
    if next(config.resolved_log_dir.glob("*tfevents*"), None):
        config = replace(config, purge_step=0)
    with TensorBoardCheckpointInspector(TensorBoardSession(config)) as inspector:
        if checkpoint is not None:
            inspector.log_checkpoint_summary(checkpoint_summary(checkpoint) | {"output": summary["checkpoint"]})
        written = inspector.session.writer is not None
        block = inspector.session.as_summary() | {"events_written": written}
        inspector.log_robotics_showcase_summary(summary | {"tensorboard": block})
        if checkpoint is not None and written:
            inspector.log_state_dict_histograms(_weights(checkpoint))
    return block


def checkpoint_summary(run: FinishedRun) -> dict[str, Any]:
    """Returns where the checkpoint of a run comes from, and the sha256 of each of its files."""
    provenance = json.loads((run.path / "checkpoint" / "provenance.json").read_bytes())
    named = {"policy": run.spec.config.get("name"), "repo_id": provenance.get("repo")}
    files = {entry.path: entry.sha256 for entry in run.manifest.files if entry.path.startswith("checkpoint/")}
    return {**named, "revision": provenance.get("revision"), "run": run.name, "sha256": files, "provenance": provenance}


def _weights(run: FinishedRun) -> Mapping[str, object]:
    return run.arrays("checkpoint/model.safetensors")


def record_in_rerun(summary: dict[str, Any], session: RerunSession) -> None:
    """Records the summary: the table with its candidates, worlds as boxes, the plan, and every event once."""
    session.stream.send_blueprint(_layout(session.rr.blueprint))
    artifacts, sink = RerunArtifactLogger(session), RerunEventSink(session)
    artifacts.log_robotics_showcase_summary(summary)
    if isinstance(summary.get("plan"), dict):
        artifacts.log_plan(summary["plan"])
    for world in summary.get("worlds") or ():
        artifacts.log_world(world, label=world.get("label") if isinstance(world, Mapping) else None)
    for event in summary.get("provider_events") or ():
        sink(event)
    session.flush()


def _layout(rrb: Any) -> Any:
    """Returns what the viewer opens with: each part lies on a timeline of its own, and this is where the table is."""
    place = "worldforge/robotics_showcase"
    table = rrb.Spatial3DView(
        name="Candidates, the chosen one (green), what came of it (blue)", origin=f"{place}/tabletop"
    )
    bars = rrb.Vertical(
        rrb.BarChartView(name="Cost of each candidate", origin=f"{place}/scores/cost_bars"),
        rrb.BarChartView(name="Latencies (ms)", origin=f"{place}/runtime/latency_bars"),
    )
    words = rrb.Tabs(
        rrb.TextDocumentView(name="Summary", origin=f"{place}/summary"),
        rrb.TextLogView(name="Events (timeline worldforge_event)", origin="worldforge/events"),
    )
    return rrb.Blueprint(
        rrb.Vertical(rrb.Horizontal(table, bars, column_shares=[3, 2]), words, row_shares=[3, 1]),
        rrb.TimePanel(state="collapsed", timeline=SHOWCASE_TIMELINE),
        rrb.SelectionPanel(state="hidden"),
        rrb.BlueprintPanel(state="collapsed"),
    )


def recording_id(summary: dict[str, Any]) -> str:
    """Returns the name of a summary's recording: equal for equal summaries."""
    return sha256_bytes(canonical_json(clean(summary)))[:20]


def save_recording(summary: dict[str, Any], path: Path) -> None:
    """Writes the recording of a summary to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as private:
        made = Path(private) / path.name
        with RerunSession(RerunRecordingConfig(save_path=made, recording_id=recording_id(summary))) as session:
            record_in_rerun(summary, session)
        made.replace(path)
