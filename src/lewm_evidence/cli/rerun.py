"""`lewm-evidence demo-rerun` and `open-rerun`. Only argparse is imported up here."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lewm_evidence.cli.commands import Commands, Parser, add_command

if TYPE_CHECKING:
    from lewm_evidence.rerun import RerunSession

DEFAULT_PATH = Path(".worldforge/rerun/worldforge-rerun-showcase.rrd")
_NAMED = 4  # recordings at most in a refusal


def add_rerun_commands(commands: "Commands[Parser]") -> None:
    """Adds the commands `demo-rerun` and `open-rerun`."""
    demo = add_command(
        commands,
        "demo-rerun",
        _demo,
        "record events, worlds, a plan and a benchmark with Rerun",
        "\n--spawn\n--connect-url rerun+http://127.0.0.1:9876/proxy\n--serve-grpc-port 9876",
    )
    place = demo.add_mutually_exclusive_group()
    place.add_argument("--spawn", action="store_true", help="show it in a viewer started here, until that is closed")
    place.add_argument("--connect-url", metavar="URL", help="send it to a running viewer, rerun+http://HOST:PORT/proxy")
    place.add_argument("--serve-grpc-port", type=int, metavar="PORT", help="serve it on 127.0.0.1 until Ctrl-C")
    demo.add_argument("--save-path", type=Path, metavar="FILE", help=f"default: {DEFAULT_PATH}, unless shown live")
    demo.add_argument("--iterations", type=int, default=3, metavar="N", help="repeats of the benchmark (default: 3)")
    demo.add_argument("--format", choices=("markdown", "json"), default="markdown", help="of the summary")
    opened = add_command(
        commands,
        "open-rerun",
        _open,
        "show a recording in Rerun's viewer",
        ".worldforge/rerun/worldforge-rerun-showcase.rrd\n"
        "evidence/0123456789abcdef0123  the episode of a bundle\n"
        "runs/render_rerun/0123456789abcdef0123 --web",
        "Ends with the viewer or by Ctrl-C. Listens on 127.0.0.1 only; the web viewer comes from this machine.",
    )
    opened.add_argument(
        "path", type=Path, metavar="PATH", help="a .rrd file, or a folder that holds one, or one of an episode"
    )
    opened.add_argument("--web", action="store_true", help="show it in the browser")
    opened.add_argument("--web-port", type=int, default=0, metavar="PORT", help="of the page (default: a free one)")
    opened.add_argument("--port", type=int, default=0, metavar="PORT", help="of the data (default: a free one)")
    opened.add_argument("--no-browser", action="store_true", help="with --web: serve only, open no browser")


def _demo(args: argparse.Namespace) -> int:
    import tempfile

    from lewm_evidence.rerun import RerunRecordingConfig, RerunSession

    live = args.spawn or args.connect_url is not None or args.serve_grpc_port is not None
    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as private:
        # A live recording is written to a file too: only that says how many bytes it takes.
        path = args.save_path or (Path(private) / "demo.rrd" if live else DEFAULT_PATH)
        config = RerunRecordingConfig(
            save_path=None if live else path,
            copy_path=path if live else None,
            spawn=args.spawn,
            connect_url=args.connect_url,
            serve_grpc_port=args.serve_grpc_port,
        )
        with RerunSession(config) as session:
            _record(session, args, path, live)
            if args.spawn or args.serve_grpc_port is not None:
                session.wait()
    return 0


def _record(session: "RerunSession", args: argparse.Namespace, path: Path, live: bool) -> None:
    from lewm_evidence.rerun_demo import record

    summary = record(session, args.iterations)
    session.flush()
    if not live:
        session.close()
    shown = str(args.save_path) if args.save_path else None
    where = {"save_path": shown if live else str(path), "spawn": args.spawn, "connect_url": args.connect_url}
    summary["rerun"] = where | {"server_uri": session.server_uri, "recording_size_bytes": path.stat().st_size}
    print(json.dumps(summary, sort_keys=True) if args.format == "json" else _markdown(summary), flush=True)


def _markdown(summary: dict[str, Any]) -> str:
    told, plan = summary["rerun"], summary["plan"]
    (result,) = summary["benchmark"]["results"]
    rows = {
        "recording": told["save_path"],
        "server": told["server_uri"] or told["connect_url"],
        "viewer": "started here" if told["spawn"] else None,
        "bytes": f"{told['recording_size_bytes']:,}",
        "events": summary["events"],
        "world": summary["world"],
        "plan": f"{plan['action_count']} action blocks by {plan['planner']}, cost {plan['cost']:.4g}",
        "benchmark": f"{result['operation']} {result['p50_latency_ms']:.1f} ms (median of {result['iterations']})",
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value is not None]
    hint = [f"\nopen it: lewm-evidence open-rerun {told['save_path']}"] if told["save_path"] else []
    return "\n".join(["| | |", "|---|---|", *lines, *hint])


def _open(args: argparse.Namespace) -> int:
    from lewm_evidence import viewer

    path = _recording(args.path)
    port = args.port or viewer.free_port()
    if not args.web:
        with viewer.running([path.resolve(), "--port", str(port)]) as process:
            status = process.wait()
        if status:
            print("lewm-evidence: the viewer could not be shown; is there a display? --web needs none", file=sys.stderr)
        return 2 if status else 0
    page = args.web_port or viewer.free_port()
    ports = ["--port", str(port), "--web-viewer-port", str(page)]
    with viewer.running([path.resolve(), "--serve-web", *ports], [port, page]) as process:
        address = viewer.page(page, port)
        print(f"{address}\nCtrl-C ends it", flush=True)
        if not args.no_browser:
            import webbrowser

            webbrowser.open(address)
        return 2 if process.wait() else 0


def _recording(path: Path) -> Path:
    from lewm_evidence.errors import InputError

    found = _recordings(path) if path.is_dir() else [path]
    if len(found) != 1:
        hint = f"name one: {', '.join(map(str, found[:_NAMED]))}" if found else "is it a finished run or bundle?"
        raise InputError(f"{path} holds {len(found)} recordings (*.rrd); {hint}")
    with found[0].open("rb") as file:
        if file.read(3) != b"RRF":
            raise InputError(f"{found[0]} is not a Rerun recording")
    return found[0]


def _recordings(folder: Path) -> list[Path]:
    """Returns what a folder holds; of several only the episode's, where that is one, and says so."""
    found = sorted(folder.rglob("*.rrd"))
    episodes = [path for path in found if path.name == "showcase.rrd"]
    if len(found) < 2 or len(episodes) != 1:
        return found
    others = " ".join(str(path) for path in found if path not in episodes)
    print(f"shows {episodes[0]}; there is also {others}", file=sys.stderr)
    return episodes
