"""The progress of a download, on a terminal and in a log."""

import io
import sys
import time
from pathlib import Path

import pytest

from hub_checkpoints import pin
from hub_server import Hub
from lewm_evidence.checkpoint import client
from lewm_evidence.checkpoint.hub import fetch_hub
from lewm_evidence.checkpoint.progress import Lines, progress

ADDRESS = "https://elsewhere.example/x?Signature=abc"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Claims to be one."""
        return True


def test_a_log_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Percentage, amount and rate, a line each time, no carriage return, and the file's name, not its address."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("weights.pt", every=0)(total=2000, desc=ADDRESS, unit="B", unit_scale=True) as bar:
        for _ in range(2):
            bar.update(1000)
            time.sleep(0.01)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("weights.pt   0 %  0.00 of 2.00kB")
    assert lines[-1].startswith("weights.pt 100 %  2.00k of 2.00kB")
    assert lines[-1].endswith("B/s")
    assert "\r" not in stream.getvalue() and "Signature" not in stream.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the line is drawn over."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("weights.pt")(total=2000, desc=ADDRESS, unit="B", unit_scale=True) as bar:
        bar.update(2000)
    assert "\rweights.pt: 100%|" in stream.getvalue()
    assert "Signature" not in stream.getvalue()


def test_what_shows_nothing_writes_nothing() -> None:
    """Control characters alone make no line."""
    stream = io.StringIO()
    lines = Lines(stream)
    lines.write("\r  \n")
    lines.write("\r50 %")
    lines.flush()
    assert stream.getvalue() == "50 %\n"


def test_the_client_shows_our_progress(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A short download is silent; a long one says how far it is."""
    fetch_hub(pin(hub), tmp_path / "one")
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(client, "progress", lambda file: progress(file, every=0))
    fetch_hub(pin(hub), tmp_path / "two")
    told = capfd.readouterr().err
    assert "weights.pt 100 %" in told
    assert hub.endpoint not in told
