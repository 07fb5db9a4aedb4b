"""The guard that keeps tests on this machine (tests/conftest.py)."""

import socket

import pytest


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")])
def test_another_machine_is_out_of_reach(family: socket.AddressFamily, address: str) -> None:
    """Neither way of connecting leaves loopback."""
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        for connect in (client.connect, client.connect_ex):
            with pytest.raises(AssertionError, match=f"a test asked for {address}"):
                connect((address, 9))


def test_no_name_is_looked_up() -> None:
    """Asking where a machine is would already leave this one."""
    with pytest.raises(AssertionError, match=r"a test asked for hub\.example"):
        socket.create_connection(("hub.example", 443))


def test_loopback_is_in_reach() -> None:
    """Servers of this process answer."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
