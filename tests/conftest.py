"""Fixtures that several rooms share. This file also puts `tests/` on the path, for `import example_runs`."""

import ipaddress
import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import example_runs
from lewm_evidence.records import FinishedRun

# No deadlines: a busy machine is not a fault. In CI the examples are the same each time; elsewhere they roam.
settings.register_profile("roaming", deadline=None)
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.load_profile("fixed" if "CI" in os.environ else "roaming")

# A shell starts background jobs with Ctrl-C ignored, and children inherit that; tests of Ctrl-C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count()


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FinishedRun]:
    """Finished made-up runs by stage name, in a folder of runs. Read only: every test shares them."""
    folder: Path = tmp_path_factory.mktemp("examples") / "runs"
    return example_runs.build(folder)


@pytest.fixture(scope="session", autouse=True)
def _only_loopback() -> Iterator[None]:
    """Nothing in this process reaches another machine, nor asks where one is."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _near(getattr(socket.socket, name), lambda _, to: to[0]))
        patch.setattr(socket, "getaddrinfo", _near(socket.getaddrinfo, lambda host, *_: host))
        yield


def _near(function: Callable[..., Any], host_of: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*given: Any, **named: Any) -> Any:
        unix = isinstance(given[0], socket.socket) and given[0].family not in (socket.AF_INET, socket.AF_INET6)
        host = None if unix else host_of(*given)
        if not _is_loopback(host):
            raise AssertionError(f"a test asked for {host}; tests stay on loopback")
        return function(*given, **named)

    return guarded


def _is_loopback(host: str | None) -> bool:
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False


@pytest.fixture(scope="session", autouse=True)
def _no_screenshots() -> Iterator[None]:
    """Probes start no browser, also below a workflow; tests of screenshots switch them on again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEWM_EVIDENCE_SCREENSHOTS", "off")
        yield


@pytest.fixture(autouse=True)
def _own_hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the hub cache of whoever runs it, nor sends their token."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path_factory.getbasetemp() / f"hub-cache-{next(_numbers)}"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
