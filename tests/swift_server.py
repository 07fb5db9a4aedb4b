"""A real S3 server on loopback for tests: OpenStack Swift with its S3 interface, from Debian's packages.

One proxy and one server each for accounts, containers and objects, on one made-up device in a temporary folder.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

import s3_server

KINDS = ("account", "container", "object")
# Nothing listens there: Swift works without a memcached, tempauth only wants one to be named.
NO_MEMCACHED = "127.0.0.1:9"
COMMON = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {folder}
log_level = ERROR
workers = 0
"""
STORAGE = """devices = {folder}/devices
mount_check = false
disable_fallocate = true
recon_cache_path = {folder}
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = f"""[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = {NO_MEMCACHED}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
"""
PLAIN = ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "slo", "dlo")


@contextmanager
def serve() -> Iterator[dict[str, str]]:
    """Serves the empty bucket `bucket` until the end of the block; gives the environment that boto3 has to find."""
    for kind in ("proxy", *KINDS):
        if not shutil.which(f"swift-{kind}-server"):
            pytest.skip(f"swift-{kind} is not installed (scripts/components)")
    # Objects carry extended attributes, which a /tmp in memory may not take.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="swift-") as name:
        folder = Path(name)
        try:
            os.setxattr(folder, "user.swift", b"")
        except OSError as error:
            pytest.skip(f"no extended attributes in /var/tmp: {error}")
        port = _configure(folder)
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for kind in (*KINDS, "proxy"):
                processes.append(_start(folder, kind))
            _wait(f"http://127.0.0.1:{port}", folder, processes)
            environment = s3_server.environment(port, "test:tester", "testing")
            s3_server.create_bucket(environment)
            yield environment
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def _configure(folder: Path) -> int:
    """Writes the rings and the settings of every server; returns the port of the proxy."""
    (folder / "devices" / "d1").mkdir(parents=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = test\n")
    given = {"folder": folder, "user": pwd.getpwuid(os.getuid()).pw_name}
    for kind in KINDS:
        port = s3_server.free_port()
        ring = ["swift-ring-builder", str(folder / f"{kind}.builder")]
        for step in ("create 2 1 0", f"add r1z1-127.0.0.1:{port}/d1 1", "rebalance"):
            subprocess.run([*ring, *step.split()], check=True, stdout=subprocess.DEVNULL)
        (folder / f"{kind}.conf").write_text((COMMON + STORAGE).format(port=port, kind=kind, **given))
    port = s3_server.free_port()
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in PLAIN)
    (folder / "proxy.conf").write_text(COMMON.format(port=port, **given) + PROXY + filters)
    return port


def _start(folder: Path, kind: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{kind}.log").open("wb") as log:
        return subprocess.Popen(
            [f"swift-{kind}-server", str(folder / f"{kind}.conf"), "--verbose"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait(endpoint: str, folder: Path, processes: "list[subprocess.Popen[bytes]]") -> None:
    direct = build_opener(ProxyHandler({}))
    for _ in range(400):
        if any(process.poll() is not None for process in processes):
            break
        try:
            with direct.open(f"{endpoint}/healthcheck", timeout=5):
                return
        except (URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError("Swift does not answer\n" + "".join(log.read_text() for log in folder.glob("*.log")))
