"""The real hub client against a loopback server that misbehaves: a clear sentence or a good file."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from hub_checkpoints import fields, pin, refused
from hub_server import REVISION, Hub, serve
from lewm_evidence.checkpoint.client import Repository, fetch_file
from lewm_evidence.checkpoint.hub import fetch_hub
from lewm_evidence.errors import CheckpointError
from lewm_evidence.records import Spec

SECRET = "hf_a1b2c3d4e5f6"
OTHER = "f" * 40


def flipped(data: bytes) -> bytes:
    """Returns `data` with one bit in the middle changed."""
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    return bytes(changed)


def cached(file: str) -> Path:
    """Returns where the cache keeps the content of `file`."""
    (found,) = Path(os.environ["HF_HUB_CACHE"]).glob(f"models--*/snapshots/*/{file}")
    return found.resolve()


@pytest.mark.parametrize("name", ["config.json", "weights.pt"])
def test_a_wrong_byte_is_refused_and_not_kept(hub: Hub, tmp_path: Path, name: str) -> None:
    """One flipped bit fails, naming the file and both digests; the next fetch does not meet it in the cache."""
    hub.altered[name] = flipped(hub.files[name])
    message = refused(pin(hub), tmp_path, f"{name} has sha256 [0-9a-f]{{64}}, the configuration pins")
    assert hub.sha256()[name] in message
    hub.altered.clear()
    fetch_hub(pin(hub), tmp_path / "checkpoint")


def test_the_tested_way_is_taken_where_another_program_imported_the_client_first(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client reads its variables when it is imported; xet is off all the same, so nobody asks for a token of it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    fetch_hub(pin(hub), tmp_path / "checkpoint")


def test_a_wrong_pin_is_refused_before_a_large_file_is_sent(hub: Hub, tmp_path: Path) -> None:
    """The hub says what a large file's sha256 is; when it is not the pinned one, nothing is asked for."""
    wrong = hub.sha256() | {"weights.pt": "0" * 64}
    refused(pin(hub, files=wrong), tmp_path, "the hub's weights.pt has sha256 .*nothing was fetched")
    assert "GET weights.pt" not in hub.asked()


def test_a_file_that_is_not_pinned_must_be_the_announced_one(hub: Hub, tmp_path: Path) -> None:
    """Without a sha256, as when pinning, the id that git gives a small file is what it is compared with."""
    repository = Repository(hub.repo, REVISION)
    hub.altered["config.json"] = flipped(hub.files["config.json"])
    with pytest.raises(CheckpointError, match=r"config\.json has sha256 .*, the hub announced"):
        fetch_file(repository, "config.json", None, tmp_path)
    hub.altered.clear()
    assert fetch_file(repository, "config.json", None, tmp_path).read_bytes() == hub.files["config.json"]


def test_a_truncated_body_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A body shorter than the hub announced fails."""
    hub.altered["weights.pt"] = hub.files["weights.pt"][:-100]
    refused(pin(hub), tmp_path, "weights.pt did not arrive whole")


@pytest.mark.parametrize("error", [-100, 1, 10**15])
def test_a_wrong_size_is_refused(hub: Hub, tmp_path: Path, error: int) -> None:
    """A size other than that of the body fails, too small or too large."""
    hub.sizes["weights.pt"] = len(hub.files["weights.pt"]) + error
    with pytest.warns() if error > 1000 else nullcontext():  # the client warns of a full disk
        refused(pin(hub), tmp_path, "weights.pt did not arrive whole")


def test_a_dropped_connection_is_taken_up_where_it_broke(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is asked for by a range request, and the pins still decide."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 16)  # 10 MB: our file is smaller
    hub.drops = 1
    fetch_hub(pin(hub), tmp_path / "checkpoint")
    half = len(hub.files["config.json"]) // 2
    assert hub.ranges == [0, half - half % 16, 0]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_server_error_that_passes_is_waited_for(hub: Hub, tmp_path: Path, method: str) -> None:
    """Two answers with 500, then success."""
    hub.failures[method] = 2
    fetch_hub(pin(hub), tmp_path / "checkpoint")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_server_error_that_stays_is_told(hub: Hub, tmp_path: Path, method: str) -> None:
    """After three tries the sentence says what the hub answered."""
    hub.failures[method] = 99
    refused(pin(hub), tmp_path, "the hub answered 500 for config.json; try again later")
    assert hub.asked().count(f"{method} config.json") == 3


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"revision": OTHER}, f"@{OTHER}: this repository has no such revision; check the name or the 40 hex digits"),
        ({"repo": "someone/else"}, "someone/else@.*no such repository, or it is private or gated"),
        ({"repo": "someone/a--b"}, "not the name of a repository"),
    ],
)
def test_what_does_not_exist_is_named(hub: Hub, tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    """A missing revision or repository gives a sentence that says which, without a second try."""
    refused(pin(hub, **changes), tmp_path, match)
    assert len(hub.requests) <= 1


def test_a_missing_file_is_named(hub: Hub, tmp_path: Path) -> None:
    """A file that the revision lacks is named."""
    pinned = pin(hub)
    del hub.files["weights.pt"]
    refused(pinned, tmp_path, "there is no file weights.pt; check checkpoint.files")


def test_another_commit_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A hub that answers for another commit than the pinned one is not believed, whatever it would send."""
    hub.answers_for = OTHER
    refused(pin(hub), tmp_path, f"the hub answered for commit {OTHER} instead; nothing was fetched")
    assert "GET config.json" not in hub.asked()


def test_what_is_not_a_hub_is_refused(hub: Hub, tmp_path: Path) -> None:
    """A server without the hub's headers is not taken for one."""
    hub.silent = True
    refused(pin(hub), tmp_path, "what answered is not a hub; check HF_ENDPOINT")


@pytest.mark.parametrize(("method", "limit"), [("HEAD", "HF_HUB_ETAG_TIMEOUT"), ("GET", "HF_HUB_DOWNLOAD_TIMEOUT")])
def test_a_slow_hub_is_given_up(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, limit: str
) -> None:
    """An answer that does not come within the time-out is an error, not a wait without end."""
    monkeypatch.setattr(f"huggingface_hub.constants.{limit}", 0.05)
    hub.delays[method] = 60
    refused(pin(hub), tmp_path, r"the hub cannot be reached, or breaks off \(ReadTimeout\); check the network")


def test_a_hub_that_is_not_there_is_told_at_once(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A closed port fails after three tries, with our sentence and nothing of the client's on the console."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{reserved.getsockname()[1]}")
        begin = time.monotonic()
        refused(pin(hub), tmp_path, r"the hub cannot be reached, or breaks off \(ConnectError\); check the network")
    assert time.monotonic() - begin < 5
    assert capfd.readouterr() == ("", "")


def test_an_endpoint_without_scheme_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address must say how to speak to it."""
    monkeypatch.setenv("HF_ENDPOINT", "hub.example")
    refused(pin(hub), tmp_path, "HF_ENDPOINT must begin with https://")


@pytest.mark.parametrize("wrong", ["sent", "pinned"])
def test_a_pointer_is_not_taken_for_the_file(hub: Hub, tmp_path: Path, wrong: str) -> None:
    """A Git LFS pointer in the file's place is called what it is, also when its own sha256 was pinned."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 72290721\n"
    if wrong == "pinned":
        hub.files["weights.pt"] = pointer
    hub.altered["weights.pt"] = pointer
    hub.sizes["weights.pt"] = len(pointer)
    refused(pin(hub), tmp_path, "weights.pt is a Git LFS pointer")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("xet", [False, True])
def test_the_token_does_not_follow_a_redirect_to_another_host(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, xet: bool
) -> None:
    """Large files lie elsewhere, at another port or address; the token stays with the hub."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    hub.xet = xet
    try:
        with serve(Hub(hub.repo, hub.files), address) as elsewhere:
            hub.large_at = elsewhere.endpoint
            fetch_hub(pin(hub), tmp_path / "checkpoint")
    except OSError:
        pytest.skip(f"this machine has no {address}")
    assert {authorization for _, _, authorization in hub.requests} == {f"Bearer {SECRET}"}
    assert elsewhere.requests == [("GET", f"/cdn/{REVISION}/weights.pt", None)]


def test_the_token_follows_a_redirect_within_the_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub sends small files from another path of its own; a private repository's need the token there too."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    hub.redirects = True
    fetch_hub(pin(hub), tmp_path / "checkpoint")
    there = [request for request in hub.requests if request[1].startswith("/api/resolve-cache/")]
    assert {authorization for _, _, authorization in there} == {f"Bearer {SECRET}"}


def test_the_token_comes_from_the_environment_and_stays_secret(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token is sent when set, never otherwise, and is not in a message."""
    refused(pin(hub, revision=OTHER), tmp_path, "revision")
    assert {authorization for _, _, authorization in hub.requests} == {None}
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\n")
    message = refused(pin(hub, revision=OTHER), tmp_path, "revision")
    assert hub.requests[-1][2] == f"Bearer {SECRET}"
    assert SECRET not in message


def test_a_token_that_cannot_be_one_is_refused_without_repeating_it(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transport would name an illegal header with its value."""
    monkeypatch.setenv("HF_TOKEN", f"{SECRET}\nx")
    message = refused(pin(hub), tmp_path, "HF_TOKEN holds characters that no token has")
    assert SECRET not in message
    assert hub.requests == []


def test_a_token_file_is_left_alone(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that an earlier login left in the home directory is not sent."""
    (tmp_path / "token").write_text(SECRET)
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    refused(pin(hub, revision=OTHER), tmp_path / "work", "revision")
    assert {authorization for _, _, authorization in hub.requests} == {None}


def test_a_second_fetch_asks_for_nothing(hub: Hub, tmp_path: Path) -> None:
    """What the shared cache holds is used, and checked, without a request."""
    fetch_hub(pin(hub), tmp_path / "one")
    hub.requests.clear()
    fetch_hub(pin(hub), tmp_path / "two")
    assert hub.requests == []
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_damaged_cache_is_mended(hub: Hub, tmp_path: Path) -> None:
    """A cached file with a wrong bit is not used; it is fetched again and the cache holds the right one."""
    fetch_hub(pin(hub), tmp_path / "one")
    cached("weights.pt").write_bytes(flipped(hub.files["weights.pt"]))
    hub.requests.clear()
    fetch_hub(pin(hub), tmp_path / "two")
    assert "GET weights.pt" in hub.asked()
    assert "GET config.json" not in hub.asked()
    assert cached("weights.pt").read_bytes() == hub.files["weights.pt"]


def test_offline_takes_what_the_cache_has(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`HF_HUB_OFFLINE` with a cached file works; without one, or with a damaged one, it says so."""
    fetch_hub(pin(hub), tmp_path / "one")
    hub.requests.clear()
    (tmp_path / "work").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fetch_hub(pin(hub), tmp_path / "two")
    missing = "HF_HUB_OFFLINE is set, and {} is not in the cache or damaged; fetch it once while online"
    cached("weights.pt").write_bytes(flipped(hub.files["weights.pt"]))
    refused(pin(hub), tmp_path / "work", missing.format("weights.pt"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    refused(pin(hub), tmp_path / "work", missing.format("config.json"))
    assert hub.requests == []


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file where the cache's folder should be is the user's to remove."""
    (tmp_path / "cache").write_text("not a folder")
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    refused(pin(hub), tmp_path / "work", "config.json cannot be kept in the cache: .*set HF_HUB_CACHE")


def test_two_fetches_at_once_share_a_cache(hub: Hub, tmp_path: Path) -> None:
    """Both end with the same good checkpoint."""
    hub.delays["GET"] = 0.05
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: fetch_hub(pin(hub), tmp_path / name), ["one", "two"]))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def fetching(runs: Path, checkpoint: dict[str, Any], **environment: str) -> "subprocess.Popen[str]":
    """Starts the real fetch job."""
    spec = Spec(stage="fetch", config=checkpoint, code="", packages={}, device=None, precision=None, inputs={})
    command = [sys.executable, "-m", "lewm_evidence.stages.fetch", "--runs", str(runs)]
    return subprocess.Popen(
        [*command, "--spec", spec.model_dump_json()],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_job_sends_and_tells_nothing_that_it_need_not(hub: Hub, tmp_path: Path) -> None:
    """Two jobs at once, with a token and the client's own debugging on, then one without network.

    The hub is asked for the pinned files alone; no output and no file repeats the token or an address.
    """
    told = {"HF_TOKEN": SECRET, "HF_DEBUG": "1", "HF_HUB_CACHE": str(tmp_path / "cache")}
    jobs = [fetching(tmp_path / name, fields(hub), **told) for name in ("one", "two")]
    outputs = [job.communicate(timeout=60)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], outputs
    assert {path.split("/")[-1] for _, path, _ in hub.requests} == {"config.json", "weights.pt"}
    count = len(hub.requests)
    offline = fetching(tmp_path / "three", fields(hub), HF_HUB_OFFLINE="1", **told)
    outputs.append(offline.communicate(timeout=60)[0])
    assert (offline.returncode, len(hub.requests)) == (0, count)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for text in (*outputs, *written):
        whole = text.encode() if isinstance(text, str) else text
        assert SECRET.encode() not in whole
        assert hub.endpoint.encode() not in whole
    assert "\r" not in "".join(outputs)
