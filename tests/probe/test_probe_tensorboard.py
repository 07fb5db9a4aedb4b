"""The probe passes on what was rendered and names what is missing."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lewm_evidence.errors import ProbeError
from lewm_evidence.probe.tensorboard import Server, check, check_identity, expected, serve
from lewm_evidence.records import FinishedRun
from lewm_evidence.render.tensorboard import EventWriter, render


def alive(group: int) -> bool:
    """Says whether any process of a process group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def probe(logdir: Path, runs: dict[str, FinishedRun], log: Path) -> int:
    """Serves `logdir`, compares it with the records of `runs` and returns the number of points."""
    with serve(logdir, log) as server:
        return check(server, expected(runs.values()))


def test_passes_and_leaves_nothing_running(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """All points of a good log directory are found; afterwards the server is gone and its port is free."""
    rows = render(examples.values(), tmp_path / "views")
    with serve(tmp_path / "views", tmp_path / "log") as server:
        assert check(server, expected(examples.values())) == sum(row.points for row in rows)
        with socket.create_connection(("127.0.0.1", server.port)):
            pass
    assert not alive(server.process.pid)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server.port)):
        pass


def test_ends_the_server_on_ctrl_c(tmp_path: Path) -> None:
    """An interrupt inside the block ends the whole process group; an empty log directory serves well."""
    (tmp_path / "views").mkdir()
    with pytest.raises(KeyboardInterrupt), serve(tmp_path / "views", tmp_path / "log") as server:
        assert check(server, {}) == 0
        raise KeyboardInterrupt
    assert not alive(server.process.pid)


@pytest.mark.parametrize(
    ("kind", "tag", "keep", "message"),
    [
        ("scalar", "showcase/cost/best", 0, r"does not show scalar tag 'showcase/cost/best' of run 'results/showcase'"),
        ("scalar", "showcase/cost/best", 2, r"2 points of scalar 'showcase/cost/best' in run 'results/showcase'.* 3"),
        ("image", "showcase/frame", 12, r"12 points of image 'showcase/frame' in run 'results/showcase'.* 13"),
        ("histogram", "showcase/cost/candidates", 2, r"2 points of histogram 'showcase/cost/candidates'"),
        ("text", "showcase/task", 0, r"does not show text tag 'showcase/task' of run 'results/showcase'"),
    ],
)
def test_names_what_was_dropped(
    examples: dict[str, FinishedRun],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    tag: str,
    keep: int,
    message: str,
) -> None:
    """A renderer that drops a tag, or one point of a tag, is found out with run and tag in the message."""
    left = {tag: keep}
    write = getattr(EventWriter, kind)

    def forgetful(self: EventWriter, name: str, *content: object) -> None:
        if name in left:
            left[name] -= 1
        if left.get(name, 0) >= 0:
            write(self, name, *content)

    monkeypatch.setattr(EventWriter, kind, forgetful)
    runs = {"showcase": examples["showcase"]}
    render(runs.values(), tmp_path / "views")
    with pytest.raises(ProbeError, match=message):
        probe(tmp_path / "views", runs, tmp_path / "log")


def test_names_what_was_changed(
    examples: dict[str, FinishedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renderer that shows another value is found out."""
    scalar = EventWriter.scalar
    monkeypatch.setattr(EventWriter, "scalar", lambda self, tag, value, step: scalar(self, tag, value * 1.001, step))
    runs = {"evaluate": examples["evaluate"]}
    render(runs.values(), tmp_path / "views")
    with pytest.raises(ProbeError, match=r"another scalar 'evaluate/.*' in run 'results/evaluate' at step 0"):
        probe(tmp_path / "views", runs, tmp_path / "log")


def test_names_what_is_too_much(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """A run that no record names is found out."""
    render(examples.values(), tmp_path / "views")
    with pytest.raises(ProbeError, match=r"shows run 'results/showcase' .* which no record names"):
        del (some := dict(examples))["showcase"]
        probe(tmp_path / "views", some, tmp_path / "log")


@contextmanager
def foreign_server() -> Iterator[int]:
    """Yields the port of a server that claims to be TensorBoard: every page is 200 with its marker."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<title>TensorBoard</title><tb-webapp></tb-webapp>")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_foreign_server_on_the_port_fails(tmp_path: Path) -> None:
    """Where another server holds the wanted port, our own cannot start, and its words are in the message."""
    message = "ended before it served"
    with (
        foreign_server() as port,
        pytest.raises(ProbeError, match=message),
        serve(tmp_path, tmp_path / "log", port=port),
    ):
        pytest.fail("a foreign server was taken for ours")


def test_a_foreign_server_that_answers_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer from another server is not taken for ours, with and without the table of open sockets."""
    with foreign_server() as port, serve(tmp_path, tmp_path / "log") as ours:
        impostor = Server(port, ours.process, ours.logdir, ours.title)
        with pytest.raises(ProbeError, match="held by another process"):
            check_identity(impostor)
        monkeypatch.setattr("lewm_evidence.probe.tensorboard.listens", lambda *_: None)
        with pytest.raises(ProbeError, match="not JSON"):
            check_identity(impostor)


def test_another_tensorboard_is_not_ours(tmp_path: Path) -> None:
    """Even a real TensorBoard on the same folder is refused when it is not the one that was started."""
    with (
        serve(tmp_path, tmp_path / "a") as ours,
        serve(tmp_path, tmp_path / "b") as other,
        pytest.raises(ProbeError, match="held by another process"),
    ):
        check_identity(Server(other.port, ours.process, ours.logdir, ours.title))
