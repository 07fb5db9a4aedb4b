"""Sending bundles to a folder, an S3 server and a hub on loopback, and fetching them again."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hub_uploads
import s3_server
import swift_server
from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import BundleError, EvidenceError, RefusedError
from lewm_evidence.seal.keys import read_allowed_signers, signing_key
from lewm_evidence.seal.tree import scan
from lewm_evidence.store.local import IN_STORE, Store
from lewm_evidence.store.remote import Remote, open_remote
from lewm_evidence.store.transfer import addresses, pull, push

REPO = "someone/evidence"
# The hub's client gives its own HTTP client a stream in a way that this one is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")


class Place:
    """A place elsewhere, and what a test does behind its back."""

    def __init__(self, where: str, names: Callable[[], list[str]], write: Callable[[str, bytes | None], None]) -> None:
        self.where = where
        self.names = names
        self.write = write

    def open(self) -> Remote:
        """Returns the place as the program sees it."""
        return open_remote(self.where)


def on_disk(where: str, root: Path) -> Place:
    """Returns a place whose objects are files below `root`."""

    def names() -> list[str]:
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def write(name: str, data: bytes | None) -> None:
        (root / name).unlink() if data is None else (root / name).write_bytes(data)

    return Place(where, names, write)


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """An S3 server with a bucket."""
    for package in ("boto3", "moto.server"):
        pytest.importorskip(package, reason="the extras s3 and dev are not installed")
    with s3_server.serve() as environment:
        yield environment


@pytest.fixture(scope="module")
def swift() -> Iterator[dict[str, str]]:
    """An S3 server that is no mock, with a bucket."""
    pytest.importorskip("boto3", reason="the extra s3 is not installed")
    with swift_server.serve() as environment:
        yield environment


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_uploads.Uploads]:
    """A hub that takes uploads from the one who has the token."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    with hub_uploads.serve(hub_uploads.Uploads(REPO)) as server:
        server.token = "hf_" + "t" * 30
        monkeypatch.setenv("HF_TOKEN", server.token)
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


SWIFT = pytest.param("swift", marks=pytest.mark.workers)


@pytest.fixture(params=["folder", "s3", SWIFT, "hub"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty place of each kind."""
    if request.param == "folder":
        return on_disk(str(tmp_path / "there"), tmp_path / "there")
    if request.param == "hub":
        server: hub_uploads.Uploads = request.getfixturevalue("hub")

        def write(name: str, data: bytes | None) -> None:
            server.files.pop(name) if data is None else server.files.update({name: data})

        return Place(f"hf://{REPO}", lambda: sorted(server.files), write)
    environment: dict[str, str] = request.getfixturevalue(request.param)
    found_by_boto3(environment, monkeypatch)
    return in_bucket(tmp_path.name)


def found_by_boto3(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives boto3 an environment, and lets it forget the credentials of the one before."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)


def in_bucket(prefix: str) -> Place:
    """Returns a place in the bucket, which a test changes as another program would."""
    import boto3

    def names() -> list[str]:
        found = client.list_objects_v2(Bucket=s3_server.BUCKET, Prefix=f"{prefix}/").get("Contents", [])
        return sorted(row["Key"].removeprefix(f"{prefix}/") for row in found)

    def write(name: str, data: bytes | None) -> None:
        there = {"Bucket": s3_server.BUCKET, "Key": f"{prefix}/{name}"}
        client.delete_object(**there) if data is None else client.put_object(**there, Body=data)

    client = boto3.client("s3")
    return Place(f"s3://{s3_server.BUCKET}/{prefix}", names, write)


@pytest.fixture
def other(tmp_path: Path) -> Store:
    """Another machine's store."""
    return Store(tmp_path / "other", create=True)


def same(one: Store, two: Store, address: str) -> bool:
    """Returns whether both hold a bundle byte for byte."""
    first, second = one.locate(address), two.locate(address)
    names = scan(first, IN_STORE).files
    return names == scan(second, IN_STORE).files and all(
        (first / name).read_bytes() == (second / name).read_bytes() for name in names
    )


def test_there_and_back(place: Place, store: Store, other: Store, bundles: list[Path]) -> None:
    """Two bundles arrive whole, shared content once; the second time nothing is sent or fetched."""
    sent: list[str] = []
    first, second = (store.add(bundle).address for bundle in bundles[:2])
    assert push(store, first, place.open(), sent.append) == first
    before = {name for name in place.names() if name.startswith("blobs/")}
    push(store, second[:10], place.open(), sent.append)
    assert addresses(place.open()) == sorted([first, second])
    blobs = {path.name for path in store.layout.blobs.glob("*/*")}
    assert {name.rpartition("/")[2] for name in place.names() if name.startswith("blobs/")} == blobs
    assert len(before) < len(blobs)
    sent.clear()
    push(store, first, place.open(), sent.append)
    assert sent == []
    assert pull(other, first[:12], place.open()).new and pull(other, second, place.open()).new
    assert same(store, other, first) and same(store, other, second)
    assert not pull(other, first, place.open(), say=sent.append).new
    assert sent[-1].startswith("fetched 0 of")
    assert not [finding for finding in other.verify() if finding.fault]


def test_mends_what_was_damaged_there(place: Place, store: Store, other: Store, bundles: list[Path]) -> None:
    """A push reads back what is there already, and sends again what is not right."""
    address = store.add(bundles[0]).address
    push(store, address, place.open())
    blob = next(path for path in store.layout.blobs.glob("*/*") if path.stat().st_size > 1000)
    name = blob.relative_to(store.layout.root).as_posix()
    place.write(name, bytes(blob.stat().st_size))
    with pytest.raises(RefusedError, match="another content"):
        pull(other, address, place.open())
    assert other.entries() == []
    push(store, address, place.open())
    assert pull(other, address, place.open()).new


def test_goes_on_where_it_stopped(place: Place, store: Store, other: Store, bundles: list[Path]) -> None:
    """A bundle is named only when it is whole; the next push sends, and the next pull fetches, what is missing."""
    address = store.add(bundles[0]).address
    push(store, address, place.open())
    blobs = [name for name in place.names() if name.startswith("blobs/")]
    for name in (blobs[3], blobs[7]):
        place.write(name, None)
    with pytest.raises(BundleError):
        pull(other, address, place.open())
    kept = len(list(other.layout.blobs.glob("*/*")))
    assert 0 < kept < len(blobs) and other.entries() == []
    said: list[str] = []
    push(store, address, place.open(), said.append)
    assert said[0].startswith(f"sending 2 of {len(blobs)} files")
    assert pull(other, address, place.open(), say=said.append).new
    assert said[-1] == f"fetched {len(blobs) - kept} of {len(scan(store.locate(address), IN_STORE).files)} files"
    assert same(store, other, address)


@pytest.mark.parametrize("place", ["s3", SWIFT], indirect=True)
def test_large_content_goes_in_parts(place: Place, tmp_path: Path) -> None:
    """A file beyond boto3's limit for one request arrives as one object."""
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 50_000)
    place.open().put({"blobs/large": large})
    assert place.open().sizes(["blobs/large", "blobs/none"]) == {"blobs/large": 12_800_000}
    assert b"".join(place.open().read("blobs/large")) == large.read_bytes()


@pytest.mark.parametrize("place", [SWIFT], indirect=True)
def test_a_wrong_secret(place: Place, store: Store, bundles: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that checks signatures takes nothing, and shows nothing, without the secret."""
    address = store.add(bundles[0]).address
    found_by_boto3({"AWS_SECRET_ACCESS_KEY": "another"}, monkeypatch)
    with pytest.raises(BundleError, match="403"):
        push(store, address, place.open())
    with pytest.raises(BundleError, match="SignatureDoesNotMatch"):
        addresses(place.open())
    assert place.names() == []


def listing(place: Place, address: str, change: Callable[[dict[str, object]], None]) -> None:
    """Changes the list of a bundle's files at a place that is a folder."""
    path = Path(place.where) / "bundles" / f"{address}.json"
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(canonical_json(value))


@pytest.mark.parametrize("place", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../escaped", "'..'"),
        ("/tmp/escaped", "component"),
        ("bag/a\nb", "invisible"),
        ("BUNDLE.json", "case only"),
        ("added.txt", "does not belong"),
    ],
)
def test_a_place_is_not_believed(
    path: str, reason: str, place: Place, store: Store, other: Store, bundles: list[Path], tmp_path: Path
) -> None:
    """A list that names a file elsewhere, or one too many, is refused and nothing is written outside the store."""
    address = store.add(bundles[0]).address
    push(store, address, place.open())

    def change(value: dict[str, object]) -> None:
        files = value["files"]
        assert isinstance(files, dict)
        files[path] = files["bundle.json"]

    listing(place, address, change)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(RefusedError, match=reason):
        pull(other, address, place.open())
    assert {path.name for path in tmp_path.iterdir()} == before
    assert other.entries() == [] and list(other.layout.tmp.iterdir()) == []


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_a_bundle_under_another_address(place: Place, store: Store, other: Store, bundles: list[Path]) -> None:
    """A good bundle under the address of another is refused."""
    first, second = (store.add(bundle).address for bundle in bundles[:2])
    push(store, first, place.open())
    push(store, second, place.open())
    folder = Path(place.where) / "bundles"
    (folder / f"{first}.json").write_bytes((folder / f"{second}.json").read_bytes())
    with pytest.raises(RefusedError, match="is about another bundle"):
        pull(other, first, place.open())
    listing(place, first, lambda value: value.update(address=first))
    with pytest.raises(RefusedError, match="is another bundle"):
        pull(other, first, place.open())


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_pulls_from_allowed_signers_only(
    place: Place, store: Store, other: Store, bundles: list[Path], tmp_path: Path
) -> None:
    """With a list of allowed signers, what another key signed is not kept."""
    address = store.add(bundles[0]).address
    push(store, address, place.open())
    stranger = signing_key(tmp_path / "stranger", environment={}).public
    (tmp_path / "signers").write_text(f'them namespaces="file" {stranger.line}\n')
    with pytest.raises(RefusedError, match="does not list"):
        pull(other, address, place.open(), read_allowed_signers(tmp_path / "signers"))
    assert other.entries() == []


def test_a_failed_commit_can_be_given_again(hub: hub_uploads.Uploads, store: Store, bundles: list[Path]) -> None:
    """When the hub refuses the commit, large contents that it has are not sent again."""
    address = store.add(bundles[0]).address
    hub.refuse = 1
    with pytest.raises(BundleError, match=r"hf://someone/evidence: .*500"):
        push(store, address, open_remote(f"hf://{REPO}"))
    assert hub.puts and not hub.files
    push(store, address, open_remote(f"hf://{REPO}"))
    assert len(hub.puts) == len(set(hub.puts)) and addresses(open_remote(f"hf://{REPO}")) == [address]


def test_says_why_a_place_cannot_be_used(
    hub: hub_uploads.Uploads, s3: dict[str, str], store: Store, bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong name, a missing bucket, a server that is not there and an unknown repository each get a sentence."""
    address = store.add(bundles[0]).address
    found_by_boto3(s3, monkeypatch)
    for where in ("ftp://host/x", "s3://", "hf://one", "hf://a/b/c"):
        with pytest.raises(EvidenceError, match="give"):
            open_remote(where)
    with pytest.raises(BundleError, match="is a store itself"):
        open_remote(str(store.layout.root))
    with pytest.raises(BundleError, match="s3://nowhere/"):
        push(store, address, open_remote("s3://nowhere"))
    with pytest.raises(BundleError, match="hf://another/one: "):
        push(store, address, open_remote("hf://another/one"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BundleError, match=f"s3://{s3_server.BUCKET}/"):
        push(store, address, open_remote(f"s3://{s3_server.BUCKET}"))
