"""`lewm-evidence open-tensorboard`: start TensorBoard on a log directory and look at it. Only argparse up here."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lewm_evidence.cli.commands import Commands, Parser, add_command

if TYPE_CHECKING:
    import subprocess

    from lewm_evidence.probe.tensorboard import Server

_LOOPBACK = ("localhost", "127.0.0.1")


def add_open_commands(commands: "Commands[Parser]") -> None:
    """Adds the command `open-tensorboard`."""
    parser = add_command(
        commands,
        "open-tensorboard",
        _open_tensorboard,
        "start TensorBoard on a log directory and open it in the browser",
        "--logdir evidence/0123456789abcdef0123  what a bundle holds, until Ctrl-C\n"
        "--logdir runs --follow  watch what is running\n"
        "--logdir runs --probe --no-browser  does it work?",
        "What TensorBoard prints goes to tensorboard.stdout.log and tensorboard.stderr.log in the folder it tells,\n"
        "which is never the log directory.",
        "0 yes, 1 not ready in time or what answers is not right, 2 could not run",
    )
    parser.add_argument("--logdir", type=Path, required=True, metavar="DIR", help="what to show; also a bundle")
    parser.add_argument("--port", type=int, default=6006, help="default: 6006; 0 takes a free one")
    parser.add_argument("--host", default="localhost", help="localhost (the default) or 127.0.0.1")
    for name, default, what in (
        ("--ready-timeout", 60.0, "how long TensorBoard may take to answer"),
        ("--poll-interval", 0.5, "between two looks whether it does"),
        ("--shutdown-timeout", 5.0, "how long it may take to end, before it is killed"),
    ):
        parser.add_argument(name, type=float, default=default, metavar="SECONDS", help=f"{what} (default: {default:g})")
    parser.add_argument("--probe", action="store_true", help="check the page it serves, then end it")
    parser.add_argument(
        "--follow", action="store_true", help="DIR holds runs, or is one: show those that are running, as they record"
    )
    parser.add_argument("--no-browser", action="store_true", help="open no browser; nor does --probe")
    parser.add_argument(
        "--keep-running", action="store_true", help="until it ends or Ctrl-C, also after --probe; the default without"
    )


def _open_tensorboard(args: argparse.Namespace) -> int:
    from lewm_evidence.errors import ProbeError
    from lewm_evidence.tensorboard_server import started
    from lewm_evidence.viewer import free_port

    _check(args)
    port = args.port or free_port()
    url = f"http://{args.host}:{port}/"
    with started(_views(args.logdir), port, follow=args.follow, grace=args.shutdown_timeout) as tensorboard:
        server, logs = tensorboard.server, tensorboard.logs.errors.parent
        try:
            tensorboard.wait(args.ready_timeout, args.poll_interval)
            if args.probe:
                _probe(server)
                print(f"probed   {url}")
        except ProbeError as error:
            print(f"failed   {error}\n{'logs':<8} {logs}")
            return 1
        if args.probe and not args.keep_running:
            return 0
        with suppress(KeyboardInterrupt):
            print(f"serves   {url}\n{'logs':<8} {logs}", flush=True)
            if not args.no_browser:
                _browse(url)
            return _until_the_end(server.process)
        return 0


def _check(args: argparse.Namespace) -> None:
    from lewm_evidence.errors import ConfigError

    if not args.logdir.is_dir():
        raise ConfigError(f"--logdir {args.logdir} is not a folder")
    for name in ("ready_timeout", "poll_interval", "shutdown_timeout"):
        value = getattr(args, name)
        if not 0 < value < float("inf"):
            raise ConfigError(f"--{name.replace('_', '-')} {value:g} is not a positive number of seconds")
    if not 0 <= args.port < 1 << 16:
        raise ConfigError(f"--port {args.port} is not in 0..65535")
    if args.host not in _LOOPBACK:
        raise ConfigError(f"--host {args.host} is not this machine alone; take {' or '.join(_LOOPBACK)}")


def _views(place: Path) -> Path:
    """Returns where a bundle or a bag has its event files, so that their names are short; another folder as it is."""
    found = [view for bag in (place / "bag", place) for view in bag.glob("data/runs/render_tensorboard/*/views")]
    return found[0] if len(found) == 1 else place


def _probe(server: "Server") -> None:
    from lewm_evidence.errors import ProbeError

    body = server.get("")
    missing = [mark for mark in (b"<title>TensorBoard</title>", b"<tb-webapp") if mark not in body]
    if missing:
        raise ProbeError(f"the page on port {server.port} is not TensorBoard's: it has no {missing[0].decode()}")
    if not isinstance(server.json("data/runs"), list):
        raise ProbeError(f"the server on port {server.port} does not list its runs")


def _browse(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        print(f"no browser was found; open {url} yourself", flush=True)


def _until_the_end(process: "subprocess.Popen[bytes]") -> int:
    status = process.wait()
    print(f"ended    TensorBoard, with status {status}")
    return 1 if status else 0
