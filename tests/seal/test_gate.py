"""Nothing that tells of this machine, and no secret, is sealed."""

import base64
import bz2
import gzip
import json
import lzma
import random
import socket
import string
import struct
import subprocess
import time
import urllib.parse
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from safetensors.numpy import save

import example_runs
from lewm_evidence.errors import BundleError
from lewm_evidence.records import Run, redact
from lewm_evidence.records.redact import secret_forms
from lewm_evidence.seal.bag import write_bag
from lewm_evidence.seal.contents import UnreadableError, pieces, unpack_lz4
from lewm_evidence.seal.gate import inspect

CANARY = "c4n4ry/pl+nted=here"
USER, HOST = "margarethe", "bluebird7"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a secret, a user, a host and a home of its own."""
    monkeypatch.setenv("MY_API_TOKEN", CANARY)
    monkeypatch.setenv("HOME", f"/home/{USER}")
    monkeypatch.setenv("LOGNAME", USER)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    redact.forget()


@pytest.fixture(autouse=True)
def _forgotten() -> Any:
    yield
    redact.forget()


def look(folder: Path, name: str, data: bytes) -> None:
    """Inspects one file of that name and content."""
    path = folder / "file"
    path.write_bytes(data)
    inspect({name: path})


def png(**text: str) -> bytes:
    """Returns a small picture with text in it; names that start with `z` are compressed."""
    import io

    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        if key.startswith("i"):
            info.add_itxt(key, value, zip=True)
        else:
            info.add_text(key, value, zip=key.startswith("z"))
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def events(text: str, folder: Path) -> bytes:
    """Returns a TensorBoard event file with a text."""
    from lewm_evidence.render.tensorboard import FILE_NAME, EventWriter

    with EventWriter(folder) as writer:
        writer.scalar("loss", 1.0, 0)
        writer.text("notes", text, 3)
    return (folder / FILE_NAME).read_bytes()


def recording(text: str, folder: Path) -> bytes:
    """Returns a Rerun recording, with LZ4, of a long text."""
    import rerun as rr

    stream = rr.RecordingStream("test")
    stream.save(folder / "made.rrd")
    stream.log("notes", rr.TextDocument("so far so good " * 200 + text), static=True)
    stream.flush()
    stream.disconnect()
    return (folder / "made.rrd").read_bytes()


SINKS: dict[str, tuple[str, Callable[[str, Path], bytes], str]] = {
    "json": ("spec.json", lambda s, _: json.dumps({"config": {"note": s}}).encode(), "line 1, column"),
    "jsonl": ("records.jsonl", lambda s, _: b"{}\n{}\n" + json.dumps({"text": s}).encode(), "line 3, column 11"),
    "page": ("index.html", lambda s, _: f"<p>{s}</p>".encode(), "line 1, column 4"),
    "data URI": (
        "index.html",
        lambda s, _: b"<img src='data:image/png;base64," + base64.b64encode(png(ztitle=s)) + b"'>",
        "data URI 1, PNG chunk zTXt",
    ),
    "picture": ("00001.png", lambda s, _: png(title=s), "PNG chunk tEXt"),
    "compressed picture text": ("00001.png", lambda s, _: png(ztitle=s), "PNG chunk zTXt"),
    "international picture text": ("00001.png", lambda s, _: png(ititle=s), "PNG chunk iTXt"),
    "behind a picture": ("00001.png", lambda s, _: png() + s.encode(), "after the picture"),
    "tensors": ("a.safetensors", lambda s, _: save({"x": np.zeros(3)}, metadata={"note": s}), "header"),
    "events": ("events.out.tfevents.0.x", events, "event 2, tag 'notes'"),
    "recording": ("showcase.rrd", recording, "message at byte"),
    "gzip": ("trace.json.gz", lambda s, _: gzip.compress(s.encode()), "decompressed"),
    "xz": ("trace.json.xz", lambda s, _: lzma.compress(s.encode()), "decompressed"),
    "bzip2": ("trace.json.bz2", lambda s, _: bz2.compress(s.encode()), "decompressed"),
    "unknown": ("model.bin", lambda s, _: bytes(range(256)) + s.encode() + bytes(9), "byte 2"),
}


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("form", ["plain", "base64 1", "base64 2", "base64 3", "hex", "URL"])
def test_a_secret_is_found_in_every_kind_of_file_and_spelling(sink: str, form: str, tmp_path: Path) -> None:
    """The message names file, place and variable, and does not repeat the secret in any spelling."""
    name, make, place = SINKS[sink]
    raw = CANARY.encode()
    spelled = {
        "plain": CANARY,
        **{f"base64 {n}": base64.b64encode(b"x" * (n - 1) + raw + b"yz").decode() for n in (1, 2, 3)},
        "hex": raw.hex(),
        "URL": "https://example.org/?q=" + urllib.parse.quote(CANARY, safe=""),
    }[form]
    with pytest.raises(BundleError) as stopped:
        look(tmp_path, f"data/runs/x/{name}", make(spelled, tmp_path))
    told = str(stopped.value)
    assert f"data/runs/x/{name}: " in told and place.split(", column")[0] in told and "MY_API_TOKEN" in told
    assert not any(spelling in told for spelling in secret_forms(CANARY))


@pytest.mark.parametrize("sink", [sink for sink in SINKS if sink != "unknown"])
@pytest.mark.parametrize(
    ("trace", "what"),
    [
        (f"in /home/{USER}/runs", "home folder"),
        (f"file:///home/{USER}", "home folder"),
        (f"by {USER}.", "user name"),
        (f"at {HOST}:6006", "host name"),
        (f"below {Path.cwd()}/runs", "project's folder"),
    ],
)
def test_traces_of_the_machine_are_found(sink: str, trace: str, what: str, tmp_path: Path) -> None:
    """Home, project folder, user and host name, wherever a person could read them."""
    name, make, _ = SINKS[sink]
    with pytest.raises(BundleError, match=what):
        look(tmp_path, name, make(f" {trace} ", tmp_path))


HARMLESS = f"""use_mask_token token_count tokenizer private_key_path api_key= secret
sha256:{"0123456789abcdef" * 4} {"4" * 40} https://huggingface.co/quentinll/lewm-pusht/resolve/main/config.json
https://example.org/home/index.html /homely /usr/lib/python3.11 ~/runs runs/showcase/0123456789abcdef0123
{USER}s my{USER} {USER}_2 data/{HOST}x "{USER}/lewm-pusht" https://huggingface.co/{USER}/lewm true 100000
"""


@pytest.mark.parametrize("sink", SINKS)
def test_harmless_text_passes(sink: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests, keys that contain "token", ordinary URLs, words that hold the user's name, and switches."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("MAX_TOKENS", "100000")
    monkeypatch.setenv("SECRET_FILE", str(tmp_path))
    name, make, _ = SINKS[sink]
    look(tmp_path, name, make(HARMLESS, tmp_path))


def test_numbers_and_pixels_pass(tmp_path: Path) -> None:
    """Noise does not look like a name."""
    noise = random.Random(3).randbytes(2_000_000)
    look(tmp_path, "model.safetensors", save({"x": np.frombuffer(noise, np.uint8)}))
    look(tmp_path, "unknown.bin", noise)


def test_a_name_that_holds_a_secret_is_not_repeated(tmp_path: Path) -> None:
    """The file is named without it."""
    with pytest.raises(BundleError) as stopped:
        look(tmp_path, f"data/runs/{USER}-{CANARY.encode().hex()}.json", b"{}")
    assert "its name holds" in str(stopped.value) and CANARY.encode().hex() not in str(stopped.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("events.out.tfevents.0.x", b"not an event file, but long enough"),
        ("frame.png", png(title="x" * 100)[:-40]),
        ("frame.png", png()[:-12] + struct.pack(">I", 9) + b"zTXt" + b"a\0\0bad" + bytes(9)),
        ("showcase.rrd", b"RRF2" + bytes(8) + struct.pack("<QQ", 2, 1 << 40) + bytes(64)),
        ("a.gz", gzip.compress(b"abc", mtime=0)[:-6]),
        ("a.npz", b"PK\x03\x04 broken"),
        ("a.xz", lzma.compress(b"abc")[:-6]),
        ("a.zst", b"\x28\xb5\x2f\xfd" + bytes(20)),
    ],
)
def test_what_cannot_be_decoded_is_not_sealed(name: str, data: bytes, tmp_path: Path) -> None:
    """It fails closed, with the file and a reason."""
    with pytest.raises(BundleError, match="nobody knows what it says"):
        look(tmp_path, name, data)


def test_the_password_in_a_url_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the variable is called."""
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:Tr0ub4dor%263@proxy.example:8080")
    with pytest.raises(BundleError, match="the password in HTTPS_PROXY"):
        look(tmp_path, "a.json", b'"Tr0ub4dor&3"')


def test_a_signing_key_given_as_its_text_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the project itself takes from the environment."""
    monkeypatch.setenv("LEWM_EVIDENCE_SIGNING_KEY", "-----BEGIN X-----\nMC4CAQAwBQYDK2VwBCIEIMade+Up\n-----END X-----")
    with pytest.raises(BundleError, match="LEWM_EVIDENCE_SIGNING_KEY"):
        look(tmp_path, "a.txt", b"MC4CAQAwBQYDK2VwBCIEIMade+Up")


def test_a_long_secret_is_looked_for_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value longer than any path (a token, a key with lines) neither crashes redaction nor is missed."""
    key = "-----BEGIN KEY-----\n" + "\n".join(
        "".join(random.Random(n).choices(string.ascii_letters, k=64)) for n in range(9)
    )
    monkeypatch.setenv("SIGNING_PRIVATE_KEY", key)
    redact.forget()
    assert "BEGIN" not in redact.redact(f"key {key}")
    for part in (key, key.splitlines()[4]):
        with pytest.raises(BundleError, match="SIGNING_PRIVATE_KEY"):
            look(tmp_path, "a.json", json.dumps({"x": part}).encode())


def planted(where: str, runs: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Makes a run with the canary in one sink; returns the runs to seal and the configuration."""
    config: dict[str, Any] = {"note": CANARY} if where == "config value" else {"seed": 1}

    def write(run: Run) -> None:
        run.scalar("a", 1.0)
        if where == "event text":
            run.event("a/event", note=f"got {CANARY}")
            run.text("a/text", f"got {CANARY}")
        if where == "metadata":
            (run.path / "checkpoint").mkdir()
            (run.path / "checkpoint" / "model.safetensors").write_bytes(save({}, metadata={"by": CANARY}))
        if where == "file name":
            (run.path / f"{CANARY.encode().hex()}.txt").touch()
        if where == "worker log":
            (run.path / "logs").mkdir()
            (run.path / "logs" / "worker.log").write_text(CANARY)
        if where == "exception message":
            try:
                raise RuntimeError(f"login with {CANARY} failed")
            except RuntimeError as error:
                run.event("a/failed", reason=str(error))

    run = example_runs.finished(runs, "fetch", write, {"x": CANARY} if where == "spec" else None)
    return {"fetch": run}, config


@pytest.mark.parametrize("where", ["config value", "spec", "metadata", "file name"])
def test_a_canary_blocks_sealing(where: str, tmp_path: Path) -> None:
    """Nothing is left where the bag would have been."""
    runs, config = planted(where, tmp_path / "runs")
    with pytest.raises(BundleError, match="MY_API_TOKEN"):
        write_bag(tmp_path / "bag", runs, config)
    assert not (tmp_path / "bag").exists()


@pytest.mark.parametrize(
    "where", ["event text", "exception message", "worker log", "environment", "git remote", "nowhere"]
)
def test_a_canary_does_not_reach_the_bag(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are redacted, logs stay, and neither the environment nor a git remote is written anywhere."""
    from lewm_evidence.records.job import environment

    if where == "git remote":
        project = tmp_path / "project"
        subprocess.run(["git", "init", "-q", str(project)], check=True)
        url = f"https://someone:{urllib.parse.quote(CANARY, safe='')}@example.org/x.git"
        subprocess.run(["git", "-C", str(project), "remote", "add", "origin", url], check=True)
        monkeypatch.chdir(project)
    runs, config = planted(where, tmp_path / "runs")
    (tmp_path / "environment.txt").write_text(json.dumps(environment(runs["fetch"].spec, 1)))
    write_bag(tmp_path / "bag", runs, config, [tmp_path / "environment.txt"])
    sealed = b"".join(path.read_bytes() for path in (tmp_path / "bag").rglob("*") if path.is_file())
    assert not any(form.encode() in sealed for form in secret_forms(CANARY))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=6, max_size=30),
    st.binary(max_size=40),
    st.binary(max_size=40),
)
def test_every_secret_is_found_wherever_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, before: bytes, after: bytes
) -> None:
    """For any value and any surroundings, plain, in base64, in hex and as JSON."""
    monkeypatch.setattr("lewm_evidence.seal.gate.known_secrets", lambda: {secret: "A_TOKEN"})
    raw = secret.encode()
    for data in (
        before + raw + after,
        base64.b64encode(before + raw + after),
        base64.urlsafe_b64encode(before + raw + after),
        (before + raw + after).hex().encode(),
        json.dumps([secret]).encode(),
    ):
        with pytest.raises(BundleError, match="A_TOKEN"):
            look(tmp_path, "unknown.bin", b"\0" + data)


@settings(max_examples=150)
@given(st.sampled_from(["a.png", "b.rrd", "events.out.tfevents.0.x", "c.safetensors", "d.html", "e.zip"]), st.binary())
def test_no_bytes_break_the_decoder(name: str, tail: bytes) -> None:
    """Any content is decoded or refused with a sentence; nothing else is raised."""
    starts = {"a.png": b"\x89PNG\r\n\x1a\n", "b.rrd": b"RRF2", "d.html": b"data:x;base64,", "e.zip": b"PK\x03\x04"}
    for data in (tail, starts.get(name, b"") + tail):
        try:
            list(pieces(name, data))
        except UnreadableError as error:
            assert "cannot be decoded" in str(error)


@given(st.binary(max_size=3000), st.integers(1, 40))
def test_lz4_blocks_are_unpacked_as_the_library_does(data: bytes, repeats: int) -> None:
    """The small decoder here and the one of pyarrow agree; another length is refused."""
    import pyarrow

    full = data * repeats
    packed = pyarrow.Codec("lz4_raw").compress(full, asbytes=True)
    assert unpack_lz4(packed, len(full)) == full
    with pytest.raises(ValueError, match="LZ4"):
        unpack_lz4(packed, len(full) + 1)


def test_time_grows_with_the_size_only(tmp_path: Path) -> None:
    """Four times the text, also of the worst kind, takes about four times as long."""

    def seconds(size: int) -> float:
        data = (f"/home/{USER[:-1]} {CANARY[:-1]} data:;base64," * (size // 50)).encode()
        start = time.perf_counter()
        look(tmp_path, "index.html", data)
        return time.perf_counter() - start

    seconds(100_000)
    assert seconds(2_000_000) < 12 * seconds(500_000)


def test_zlib_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that grows beyond the limit stops sealing."""
    monkeypatch.setattr("lewm_evidence.seal.contents.MOST", 1 << 20)
    chunk = b"a\0\0" + zlib.compress(bytes(4 << 20))
    body = struct.pack(">I", len(chunk)) + b"zTXt" + chunk + struct.pack(">I", zlib.crc32(b"zTXt" + chunk))
    with pytest.raises(BundleError, match="too large"):
        look(tmp_path, "a.png", png()[:33] + body + png()[33:])


def test_a_stray_beginning_of_a_picture_hides_nothing(tmp_path: Path) -> None:
    """The real picture after it is looked into; very many of them are refused."""
    stray = b"\0\x89PNG\r\n\x1a\n, said somebody\0"
    look(tmp_path, "a.bin", stray * 3 + png(ztitle="harmless"))
    with pytest.raises(BundleError, match="picture at byte"):
        look(tmp_path, "a.bin", stray * 3 + png(ztitle=CANARY) + bytes(5))
    with pytest.raises(BundleError, match="too many"):
        look(tmp_path, "a.bin", stray * 100)


def test_large_files_are_looked_through_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret across the border of two blocks is found; a container of that size is refused."""
    monkeypatch.setattr("lewm_evidence.seal.gate._WHOLE", 1000)
    monkeypatch.setattr("lewm_evidence.seal.gate._BLOCK", 500)
    monkeypatch.setattr("lewm_evidence.seal.gate._OVERLAP", 100)
    for at in (0, 490, 505, 1400, 1490, 1980):
        for filler in (b"a ", bytes(2)):
            data = filler * (at // 2) + CANARY.encode() + filler * 600
            with pytest.raises(BundleError, match="MY_API_TOKEN"):
                look(tmp_path, "model.safetensors", data)
    look(tmp_path, "model.safetensors", bytes(3000))
    with pytest.raises(BundleError, match="too large to take apart"):
        look(tmp_path, "events.out.tfevents.0.x", bytes(3000))
