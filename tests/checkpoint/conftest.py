"""A loopback hub with a small checkpoint."""

import time
from collections.abc import Iterator

import pytest

import hub_checkpoints
from hub_server import Hub, serve


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that offers a small model with `weights.pt` under published names."""
    with serve(Hub(hub_checkpoints.REPO, hub_checkpoints.small_files())) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long between two tries, neither we nor the client."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))
