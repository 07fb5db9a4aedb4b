"""`lewm-evidence showcase`: one episode, run, recorded and shown. Only argparse is imported up here."""

import argparse
import json
import sys
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lewm_evidence.cli.commands import Commands, Parser, add_command, answer, check_output, tell

if TYPE_CHECKING:
    from lewm_evidence.config import Config
    from lewm_evidence.records.finished import FinishedRun
    from lewm_evidence.rerun import RerunSession
    from lewm_evidence.tensorboard import TensorBoardLogConfig

_STATE, _LOGS = ".worldforge/showcase", ".worldforge/tensorboard"
_WORLDS = ("pusht", "tworoom", "reacher", "cube")


def add_showcase_command(commands: "Commands[Parser]") -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "showcase",
        _showcase,
        "plan and act for one episode in the real simulator, record it, and show it",
        "  the shipped PushT checkpoint; the report comes up in the terminal\n"
        "--checkpoint tworoom --seed 3  another world and task\n"
        "--json-only --no-tui --no-rerun  the summary on standard output; TensorBoard is recorded\n"
        "--tensorboard-run-name baseline  the same name again replaces what TensorBoard shows\n"
        "--rerun-spawn --no-tui  watch it in Rerun's viewer\n"
        "--health-only  would it work? changes and downloads nothing",
        "A finished run is used again: equal settings, nothing to do. With --state-dir . it shares the runs\n"
        "of `make evidence`.\n"
        "A relative --state-dir or --tensorboard-logdir lies in the project: the nearest folder above with a\n"
        "pyproject.toml or .git. What a --no- option switches off stays off, whatever else is given.",
        "0 done, or healthy; 1 a stage failed, or not healthy (with the reason); 2 could not run",
    )
    _add_what(parser)
    _add_tensorboard(parser)
    _add_rerun(parser)
    _add_report(parser)


def _switch(group: Any, name: str, on: str, off: str) -> None:
    group.add_argument(f"--{name}", action="store_true", default=None, help=on)
    group.add_argument(f"--no-{name}", dest=name.replace("-", "_"), action="store_false", default=None, help=off)


def _add_what(parser: Parser) -> None:
    what = parser.add_argument_group("what to run")
    source = what.add_mutually_exclusive_group()
    source.add_argument("--checkpoint", choices=_WORLDS[:2], help="one that ships in the package (default: pusht)")
    source.add_argument("--preset", choices=_WORLDS, help="a published one, pinned; fetched once from the hub")
    what.add_argument("--configfile", type=Path, metavar="FILE", help="the configuration; other options change it")
    what.add_argument("--seed", type=int, metavar="N", help="chooses start and goal")
    what.add_argument("--device", choices=("auto", "cpu", "cuda"), help="where the model runs (default: auto)")
    what.add_argument(
        "--state-dir", type=Path, default=Path(_STATE), metavar="DIR", help=f"runs and outputs ({_STATE})"
    )
    what.add_argument("--health-only", action="store_true", help="tell whether it would work, and do nothing")


def _add_tensorboard(parser: Parser) -> None:
    group = parser.add_argument_group("TensorBoard")
    _switch(group, "tensorboard", "record it; the default, but now it must be installed", "record nothing for it")
    group.add_argument("--tensorboard-logdir", type=Path, default=Path(_LOGS), metavar="DIR", help=f"default: {_LOGS}")
    group.add_argument("--tensorboard-run-name", metavar="NAME", help="folder of the run (default: one with the time)")
    group.add_argument(
        "--tensorboard-flush-secs", type=int, default=30, metavar="N", help="interval of the writer (default: 30)"
    )


def _add_rerun(parser: Parser) -> None:
    group = parser.add_argument_group("Rerun")
    _switch(group, "rerun", "record it; the default without --json-only", "record nothing for it, and show it nowhere")
    group.add_argument("--rerun-output", type=Path, metavar="FILE", help="default: real-run.rrd in the state folder")
    place = group.add_mutually_exclusive_group()
    place.add_argument("--rerun-spawn", action="store_true", help="also show it in a viewer, until that is closed")
    place.add_argument(
        "--rerun-connect-url", metavar="URL", help="also send it to a viewer, rerun+http://HOST:PORT/proxy"
    )
    place.add_argument(
        "--rerun-serve-grpc-port", type=int, metavar="PORT", help="also serve it on 127.0.0.1 until Ctrl-C"
    )


def _add_report(parser: Parser) -> None:
    group = parser.add_argument_group("what is told")
    group.add_argument(
        "--json-only", dest="json", action="store_true", help="print the summary as JSON and nothing else"
    )
    group.add_argument("--json-output", type=Path, metavar="FILE", help="default: real-run.json in the state folder")
    group.add_argument("--no-json-output", action="store_true", help="write no summary file")
    _switch(group, "tui", "show the report; the default in a terminal", "tell the outcome in a few lines instead")
    group.add_argument(
        "--tui-stage-delay", type=float, default=0.35, metavar="SECONDS", help="between its stages (default: 0.35)"
    )
    group.add_argument("--no-tui-animation", action="store_true", help="show the report at once and still")
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="of the lines (default: auto)"
    )
    group.add_argument(
        "--no-color", dest="color", action="store_const", const="never", help="the same as --color never"
    )


def _showcase(args: argparse.Namespace) -> int:
    from lewm_evidence.doctor import lines
    from lewm_evidence.showcase.health import as_dict, health
    from lewm_evidence.tensorboard import project

    for output in filter(None, (args.json_output, args.rerun_output)):
        check_output(output)
    config, state = _config(args), project() / args.state_dir.expanduser()
    found = health(config, state / "runs")
    told = as_dict(found)
    if args.health_only:
        answer(args, told, lines(found))
        return 0 if told["ok"] else 1
    if not told["ok"]:
        answer(args, told, lines([finding for finding in found if finding.remedy]))
        return 1
    shown, logs = _is_shown(args), _tensorboard(args)
    with ExitStack() as until_shown:
        # A viewer comes up first: one that cannot is no reason to have waited.
        live = until_shown.enter_context(_live(args)) if _is_live(args) else None
        done = _run(args, config, state, told, live, logs)
        if done is None:
            return 1
        status = _show(args, *done) if shown else 0
        if live is not None and not args.rerun_connect_url:
            place = f"{live.server_uri}, until Ctrl-C" if live.server_uri else "the viewer, until it is closed"
            with suppress(KeyboardInterrupt):
                tell(args, f"{'live':<12} {place}")
                live.wait()
    return status


def _config(args: argparse.Namespace) -> "Config":
    from lewm_evidence.config import parse_config
    from lewm_evidence.configfile import read_config

    changed = (read_config(args.configfile) if args.configfile else parse_config({})).model_dump(mode="json")
    for source, name in (("embedded", args.checkpoint), ("preset", args.preset)):
        if name:
            changed["checkpoint"] = {"source": source, "name": name}
    if args.seed is not None:
        changed["showcase"]["seed"] = args.seed
    return parse_config(changed | ({"device": args.device} if args.device else {}), "showcase")


def _wanted(args: argparse.Namespace, switch: bool | None, default: bool, package: str, extra: str) -> bool:
    """Says whether something is wanted: as asked for, by default where its package is installed."""
    from importlib.util import find_spec

    from lewm_evidence.errors import ConfigError

    wanted = default if switch is None else switch
    if not wanted or find_spec(package) is not None:
        return wanted
    missing = f"{package} is not installed; install lewm-evidence[{extra}]"
    if switch:
        raise ConfigError(missing)
    tell(args, f"{'left out':<12} {extra}: {missing}")
    return False


def _tensorboard(args: argparse.Namespace) -> "TensorBoardLogConfig | None":
    from lewm_evidence.tensorboard import TensorBoardLogConfig, default_run_name

    if not _wanted(args, args.tensorboard, True, "tensorboard", "tensorboard"):
        return None
    name = args.tensorboard_run_name or default_run_name("showcase")
    return TensorBoardLogConfig(args.tensorboard_logdir, name, args.tensorboard_flush_secs)


def _is_live(args: argparse.Namespace) -> bool:
    asked = args.rerun_spawn or args.rerun_connect_url is not None or args.rerun_serve_grpc_port is not None
    return asked and args.rerun is not False


def _live(args: argparse.Namespace) -> "RerunSession":
    from lewm_evidence.rerun import RerunRecordingConfig, RerunSession

    return RerunSession(
        RerunRecordingConfig(
            spawn=args.rerun_spawn, connect_url=args.rerun_connect_url, serve_grpc_port=args.rerun_serve_grpc_port
        )
    )


def _is_shown(args: argparse.Namespace) -> bool:
    from lewm_evidence.errors import ConfigError

    terminal = _in_terminal()
    if args.tui and (args.json or not terminal):
        raise ConfigError(f"--tui {'and --json-only exclude each other' if args.json else 'needs a terminal'}")
    if not 0 <= args.tui_stage_delay < float("inf"):
        raise ConfigError(f"--tui-stage-delay {args.tui_stage_delay:g} is not a number of seconds, 0 or more")
    return _wanted(args, args.tui, terminal and not args.json, "textual", "tui")


def _in_terminal() -> bool:
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _run(
    args: argparse.Namespace,
    config: "Config",
    state: Path,
    health: dict[str, Any],
    live: "RerunSession | None",
    logs: "TensorBoardLogConfig | None",
) -> "tuple[FinishedRun, dict[str, Any], Path | None] | None":
    """Makes the runs, writes the outputs and tells the outcome.

    Returns the showcase, its summary and where that was written; None when a stage failed.
    """
    from lewm_evidence.errors import StageError
    from lewm_evidence.showcase.outputs import Outputs
    from lewm_evidence.showcase.work import is_made, make, needed_runs

    asked = args.rerun_output is not None or live is not None
    recorded = _wanted(args, args.rerun, asked or not args.json, "rerun", "rerun")
    recording = (args.rerun_output or state / "real-run.rrd").absolute() if recorded else None
    kept = None if args.no_json_output else (args.json_output or state / "real-run.json").absolute()
    needed = needed_runs(config, state / "runs")
    total, done = len(needed) + sum(part is not None for part in (kept, recording, logs)), 0

    def step(name: str, what: str) -> None:
        nonlocal done
        done += 1
        tell(args, _painted(args, f"[{done}/{total}] {name:<12}", 1) + f" {what}")

    try:
        for run in needed:
            step(run.spec.stage, f"{run.name} is there" if is_made(run) else f"{run.name} is made")
            made = make(run, config.threads, partial(_said, args, run.spec.stage))
    except StageError as error:
        answer(args, {"error": str(error)}, [])
        print(f"failed   {error}", file=sys.stderr)
        return None
    summary = Outputs(kept, recording, live, logs).write(made, health, step)
    answer(args, summary, _outcome(args, summary))
    return made, summary, kept


def _said(args: argparse.Namespace, stage: str, line: str) -> None:
    tell(args, f"{'':<6}{line.removeprefix(f'{stage}: ')}")


def _outcome(args: argparse.Namespace, summary: dict[str, Any]) -> list[str]:
    done, scores, stats = summary["execution"], summary["score_result"]["scores"], summary["score_stats"]
    reached = "goal reached" if done["success"] else "goal not reached"
    lines = [
        f"{_painted(args, reached, 32 if done['success'] else 33)} after {done['env_steps']} steps: "
        f"{done['final_error_px']:.0f} px off, {done['start_error_px']:.0f} px at the start",
        f"{'costs':<12} best {stats['score_min']:.4g} of {len(scores)} candidates, next {stats['runner_up_score']:.4g}",
        f"{'latency':<12} {summary['metrics']['plan_latency_ms']:.0f} ms a plan",
    ]
    if "rerun" in summary:
        lines.append(f"{'look':<12} lewm-evidence open-rerun {summary['rerun']['save_path']}")
    if summary.get("tensorboard", {}).get("events_written"):
        lines.append(f"{'look':<12} lewm-evidence open-tensorboard --logdir {summary['tensorboard']['log_dir']}")
    return lines


def _painted(args: argparse.Namespace, text: str, code: int) -> str:
    import os

    wanted = args.color == "always" or (args.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    return f"\033[{code}m{text}\033[0m" if wanted else text


def _show(args: argparse.Namespace, showcase: "FinishedRun", summary: dict[str, Any], kept: Path | None) -> int:
    import tempfile

    from lewm_evidence.tui import show_report

    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as private:
        if kept is None:
            kept = Path(private) / "real-run.json"
            kept.write_text(json.dumps(summary), encoding="utf-8")
        animation = not args.no_tui_animation
        status: int = show_report(showcase.path, summary=kept, stage_delay=args.tui_stage_delay, animation=animation)
    return status
