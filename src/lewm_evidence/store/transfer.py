"""Sending a bundle of the store elsewhere and fetching one, so that either can be stopped and given again.

A content is sent only when it is not there, and the list of a bundle's files last, when every content that it names
was read back and found right. So a place either has a whole bundle or does not name it.
"""

import hashlib
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import BundleError, RefusedError
from lewm_evidence.seal.documents import Sha256, canonical_document, checked
from lewm_evidence.seal.keys import AllowedSigners
from lewm_evidence.seal.names import Names
from lewm_evidence.seal.tree import Stored, parents, scan, stored
from lewm_evidence.seal.verify import verify
from lewm_evidence.store.layout import ADDRESS
from lewm_evidence.store.local import IN_STORE, Added, Store
from lewm_evidence.store.remote import Remote

Say = Callable[[str], None]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Content(_Model):
    """What a file holds."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class Listing(_Model):
    """`bundles/<address>.json` at a place: the files of a bundle folder by path."""

    schema_version: Literal[1] = 1
    address: Sha256
    files: dict[str, Content]


def blob_name(sha256: str) -> str:
    """Returns the name of a content at a place."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def push(store: Store, name: str, remote: Remote, say: Say = lambda _: None) -> str:
    """Sends a bundle of the store to `remote` and returns its address.

    Raises:
        RefusedError: when the bundle in the store is damaged, or what arrived is another content.
        BundleError: when the place cannot be used; the same push goes on where this one stopped.
    """
    with store.shared(), tempfile.TemporaryDirectory(prefix="lewm-evidence-") as private:
        address = store.verify_bundle(name).address
        folder = store.locate(address)
        contents = {path: stored(folder / path) for path in scan(folder, IN_STORE).files}
        files = {path: Content(sha256=found.sha256, size=found.size) for path, found in sorted(contents.items())}
        blobs = {blob_name(found.sha256): (folder / path, found) for path, found in contents.items()}
        _send(remote, blobs, say)
        listing = Path(private) / f"{address}.json"
        listing.write_bytes(canonical_json(Listing(address=address, files=files).model_dump()))
        _send(remote, {f"bundles/{address}.json": (listing, stored(listing))}, say)
    return address


def _send(remote: Remote, files: dict[str, tuple[Path, Stored]], say: Say) -> None:
    there = remote.sizes(files)
    new = {name: path for name, (path, found) in files.items() if there.get(name) != found.size}
    # What is there already may have been damaged since: it is read like what was sent, and sent again once.
    damaged = [name for name in files if name not in new and not _is_there(remote, name, files[name][1])]
    send = new | {name: files[name][0] for name in damaged}
    if send:
        say(f"sending {len(send)} of {len(files)} files, {sum(files[name][1].size for name in send)} bytes")
        remote.put(send)
    for name in send:
        if not _is_there(remote, name, files[name][1]):
            raise RefusedError(f"{remote.where}/{name}: is not what was sent; the place or the way to it is damaged")


def _is_there(remote: Remote, name: str, wanted: Stored) -> bool:
    digest, size = hashlib.sha256(), 0
    for block in remote.read(name):
        digest.update(block)
        size += len(block)
        if size > wanted.size:
            return False
    return Stored(digest.hexdigest(), size) == wanted


def addresses(remote: Remote) -> list[str]:
    """Returns the addresses of the bundles that `remote` names."""
    found = [name.removeprefix("bundles/").removesuffix(".json") for name in remote.bundles()]
    return sorted(address for address in found if ADDRESS.fullmatch(address))


def pull(
    store: Store, name: str, remote: Remote, allowed: AllowedSigners | None = None, say: Say = lambda _: None
) -> Added:
    """Fetches the bundle whose address is `name`, or starts with it, and adds it to the store once it verifies.

    Raises:
        RefusedError: when what arrives is not the bundle with that address; the store does not list it then.
        BundleError: when the place cannot be used; the same pull goes on where this one stopped.
    """
    found = [address for address in addresses(remote) if address.startswith(name.removeprefix("sha256:"))]
    if len(found) != 1:
        raise BundleError(f"{len(found) or 'no'} bundles at {remote.where} begin with {name!r}")
    listing = _read_listing(remote, found[0])
    with store.shared(), store.work() as work:
        new = work / "bundle"
        new.mkdir()
        fetched = 0
        for path, content in sorted(listing.files.items()):
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            fetched += store.fill(
                new / path, content.sha256, content.size, partial(remote.read, blob_name(content.sha256))
            )
        say(f"fetched {fetched} of {len(listing.files)} files")
        if verify(new, IN_STORE, allowed).address != listing.address:
            raise RefusedError(f"{remote.where}: what it calls {listing.address} is another bundle")
        return Added(listing.address, store.commit(new, listing.address))


def _read_listing(remote: Remote, address: str) -> Listing:
    where = f"bundles/{address}.json"
    data = b""
    for block in remote.read(where):
        data += block
        if len(data) > IN_STORE.document:
            raise RefusedError(f"{remote.where}/{where}: is larger than {IN_STORE.document} bytes")
    listing = checked(Listing, canonical_document(data, where), where)
    names = Names()
    paths = sorted({*listing.files, *(folder for path in listing.files for folder in parents(path))})
    if fault := next((f"{path!r}: {fault}" for path in paths if (fault := names.fault(path))), None):
        raise RefusedError(f"{remote.where}/{where}: lists {fault}")
    if len(paths) > IN_STORE.files or sum(content.size for content in listing.files.values()) > IN_STORE.size:
        raise RefusedError(f"{remote.where}/{where}: lists more than a bundle may hold")
    if listing.address != address:
        raise RefusedError(f"{remote.where}/{where}: is about another bundle")
    return listing
