"""`lewm-evidence render`: a WorldForge showcase summary as TensorBoard and Rerun artifacts. Only argparse up here."""

import argparse
from pathlib import Path
from typing import Any

from lewm_evidence.cli.commands import Commands, Parser, add_command, check_output


def add_render_command(commands: "Commands[Parser]") -> None:
    """Adds the command `render`."""
    parser = add_command(
        commands,
        "render",
        _render,
        "render the summary of a showcase, ours or WorldForge's, for TensorBoard and Rerun",
        "--summary real-run.json --tensorboard logs --rerun real-run.rrd\n--summary real-run.json --rerun real-run.rrd",
        "Secrets are taken out before anything is written.",
        "0 written, 2 could not run (with the reason)",
    )
    parser.add_argument("--summary", type=Path, required=True, metavar="FILE", help="JSON that the showcase wrote")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="a log directory without event files")
    parser.add_argument("--rerun", type=Path, metavar="FILE", help="a recording, replaced if it exists")


def _render(args: argparse.Namespace) -> int:
    from lewm_evidence.errors import InputError

    if args.tensorboard is None and args.rerun is None:
        raise InputError("render needs --tensorboard DIR, --rerun FILE or both: where shall it write?")
    if args.rerun is not None:
        check_output(args.rerun)
    summary = _read(args.summary)
    if args.tensorboard is not None:
        print(f"wrote {_to_tensorboard(summary, args.tensorboard.absolute())}")
    if args.rerun is not None:
        print(f"wrote {_to_rerun(summary, args.rerun.absolute())}")
    return 0


def _read(path: Path) -> dict[str, Any]:
    import json

    from lewm_evidence.errors import InputError

    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}; give the summary that the showcase wrote") from error
    if not isinstance(summary, dict) or not {"score_result", "metrics", "provider_events"} & summary.keys():
        raise InputError(f"{path} is not the summary of a showcase: it has no score_result, metrics or provider_events")
    return summary


def _to_tensorboard(summary: dict[str, Any], folder: Path) -> str:
    from lewm_evidence.errors import InputError, StageError
    from lewm_evidence.showcase.recording import record_in_tensorboard
    from lewm_evidence.tensorboard import TensorBoardLogConfig

    if next(folder.glob("*tfevents*"), None):
        raise InputError(f"{folder} holds event files already, and TensorBoard would mix them; name another folder")
    if not record_in_tensorboard(summary, TensorBoardLogConfig(folder))["events_written"]:
        raise StageError("TensorBoard is not installed, nothing was written; install lewm-evidence[tensorboard]")
    return f"{folder} ({_size(folder.glob('*tfevents*'))}); look at it with `lewm-evidence open-tensorboard`"


def _to_rerun(summary: dict[str, Any], path: Path) -> str:
    from lewm_evidence.showcase.recording import save_recording

    save_recording(summary, path)
    return f"{path} ({_size([path])}); look at it with `lewm-evidence open-rerun`"


def _size(files: Any) -> str:
    return f"{sum(file.stat().st_size for file in files):,} bytes"
