"""`lewm-evidence open-tensorboard`: start TensorBoard on a log directory and look at it. Only argparse up here."""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lewm_evidence.cli.commands import Commands, Parser, add_command

if TYPE_CHECKING:
    import subprocess

    from lewm_evidence.probe.tensorboard import Server

# TensorBoard's own limits hide points and most frames of a run; 0 does not mean all.
_SAMPLES = "scalars=10000,histograms=1000,images=1000,text=1000"
_TURN = 1.0  # seconds between two looks at what a run has recorded
_LOOPBACK = ("localhost", "127.0.0.1")


class _Logs(NamedTuple):
    output: Path
    errors: Path


def add_open_commands(commands: "Commands[Parser]") -> None:
    """Adds the command `open-tensorboard`."""
    parser = add_command(
        commands,
        "open-tensorboard",
        _open_tensorboard,
        "start TensorBoard on a log directory and open it in the browser",
        "--logdir evidence/0123456789abcdef0123/bag  until Ctrl-C\n"
        "--logdir runs --follow  watch what is running\n"
        "--logdir runs --probe --no-browser  does it work?",
        "What TensorBoard prints goes to tensorboard.stdout.log and tensorboard.stderr.log in the folder it tells,\n"
        "which is never the log directory.",
        "0 yes, 1 not ready in time or what answers is not right, 2 could not run",
    )
    parser.add_argument("--logdir", type=Path, required=True, metavar="DIR", help="what to show")
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
    _check(args)
    if args.follow:
        with _followed(args.logdir) as logdir:
            return _serve(args, logdir)
    return _serve(args, args.logdir.resolve())


@contextmanager
def _followed(place: Path) -> Iterator[Path]:
    """Gives a log directory to which the unfinished runs below `place` are written until the block ends."""
    import tempfile
    from threading import Event, Thread

    from lewm_evidence.render.watch import Watcher

    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as folder:
        follower, stop = Watcher(place, Path(folder)), Event()
        follower.turn()

        def follow() -> None:
            while not stop.wait(_TURN):
                follower.turn()

        thread = Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield Path(folder).resolve()
        finally:
            stop.set()
            thread.join()
            follower.close()


def _serve(args: argparse.Namespace, logdir: Path) -> int:
    import sys

    from lewm_evidence.errors import ProbeError
    from lewm_evidence.probe.process import child

    port = args.port or _free_port()
    title = f"TensorBoard {os.urandom(4).hex()}"
    command = [sys.executable, "-P", "-m", "tensorboard.main", "--logdir", str(logdir)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--window_title", title]
    command += ["--load_fast", "false", "--samples_per_plugin", _SAMPLES]
    command += ["--reload_interval", "2"] if args.follow else []
    logs = _logs(args.logdir, port)
    with child(command, logs.output, errors=logs.errors, grace=args.shutdown_timeout) as process:
        from lewm_evidence.probe.tensorboard import Server

        server = Server(port, process, logdir, title)
        url = f"http://{args.host}:{port}/"
        try:
            _wait(server, logs, args.ready_timeout, args.poll_interval)
            if args.probe:
                _probe(server)
                print(f"probed   {url}")
        except ProbeError as error:
            print(f"failed   {error}\n{'logs':<8} {logs.errors.parent}")
            return 1
        if args.probe and not args.keep_running:
            return 0
        with suppress(KeyboardInterrupt):
            print(f"serves   {url}\n{'logs':<8} {logs.errors.parent}", flush=True)
            if not args.no_browser:
                _browse(url)
            return _until_the_end(process)
        return 0


def _check(args: argparse.Namespace) -> None:
    from importlib.util import find_spec

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
    if find_spec("tensorboard") is None:
        raise ConfigError("TensorBoard is not installed; install lewm-evidence[tensorboard]")


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _logs(logdir: Path, port: int) -> _Logs:
    # Not beside the event files: a run or bundle with another file in it is no longer what was sealed.
    from lewm_evidence.canonical import sha256_bytes

    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    place = sha256_bytes(str(logdir.resolve()).encode("utf-8", "surrogateescape"))[:12]
    folder = state / "lewm-evidence" / "tensorboard" / f"{place}-{port}"
    return _Logs(folder / "tensorboard.stdout.log", folder / "tensorboard.stderr.log")


def _wait(server: "Server", logs: _Logs, limit: float, interval: float) -> None:
    """Returns once the child itself answers on its port; raises `ProbeError` when it ends or takes too long."""
    from lewm_evidence.errors import ProbeError
    from lewm_evidence.probe.process import last_lines
    from lewm_evidence.probe.tensorboard import check_identity

    end = time.monotonic() + limit
    while not _answers(server.port) or server.process.poll() is not None:
        if server.process.poll() is not None:
            raise ProbeError(
                f"TensorBoard ended with status {server.process.returncode} before it served anything; "
                f"its last lines: {last_lines(logs.errors)}"
            )
        if time.monotonic() > end:
            raise ProbeError(
                f"TensorBoard does not listen on port {server.port} after {limit:g} s; "
                f"its last lines: {last_lines(logs.errors)}"
            )
        time.sleep(min(interval, max(end - time.monotonic(), 0.01)))
    check_identity(server)


def _answers(port: int) -> bool:
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


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
