"""The hub's own client, held to what evidence needs: few tries, checked files, the token from the environment only.

Files come from the client's cache (`HF_HUB_CACHE`) where it has them, so that a second fetch asks the hub for
nothing and `HF_HUB_OFFLINE` works. A cached file is believed no more than any other: what counts is the sha256 of
the private copy that is used. `HF_ENDPOINT` chooses another hub.
"""

import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, cast

from lewm_evidence.canonical import sha256_file
from lewm_evidence.checkpoint.progress import progress
from lewm_evidence.errors import CheckpointError

T = TypeVar("T")

TOKEN = "HF_TOKEN"
ENDPOINT = "HF_ENDPOINT"
CACHE = "HF_HUB_CACHE"

# Waits between tries in seconds. A hub that does not answer at all is given up after PATIENCE.
WAITS = (0.5, 1.0)
PATIENCE = 10.0

_POINTER = b"version https://git-lfs.github.com/spec/"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Repository:
    """A repository at a commit.

    Attributes:
        name: owner/name.
        revision: the full commit id.
        kind: of repository, as the hub calls it.
    """

    name: str
    revision: str
    kind: Literal["model", "dataset"] = "model"

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}"


def fetch_file(repository: Repository, file: str, sha256: str | None, folder: Path) -> Path:
    """Returns a copy of `file` below `folder` whose sha256 is `sha256`, from the cache or from the hub.

    Args:
        repository: where the file is.
        file: its name there.
        sha256: what its content must be; None takes what the hub says it has, and always asks it.
        folder: a folder of the caller's own; nobody else changes the copy between its check and its use.

    Raises:
        CheckpointError: when the file cannot be had or is another one. The cache does not keep a wrong one.
    """
    copy = folder / file
    with _client(str(repository), file) as hub:
        cached = hub.try_to_load_from_cache(
            repository.name, file, revision=repository.revision, cache_dir=_cache(), repo_type=repository.kind
        )
        if isinstance(cached, str) and sha256 is not None and _copied(cached, copy) == sha256:
            return _checked_kind(repository, copy)
        etag = _announced(hub, repository, file, sha256)
        if isinstance(cached, str):
            _forget(cached)
        path = _patiently(lambda: _download(hub, repository, file))
        found = _copied(path, copy)
        if found != sha256 if sha256 else not _is_announced(copy, found, etag):
            _forget(path)
            _checked_kind(repository, copy)
            wanted = f"the configuration pins {sha256}" if sha256 else f"the hub announced {etag}"
            raise CheckpointError(
                f"{repository}: {file} has sha256 {found}, {wanted}; nothing was kept. "
                "If the pin is right, the hub or the way to it is not to be trusted"
            )
    return _checked_kind(repository, copy)


def model_info(name: str, revision: str) -> Any:
    """Returns what the hub says about the model repository `name` at `revision`: commit, files, model card.

    Raises:
        CheckpointError: when the hub cannot be asked or knows no such repository or revision.
    """
    with _client(f"{name}@{revision}", "the list of files") as hub:
        api = hub.HfApi(endpoint=_endpoint(), token=_token())
        return _patiently(lambda: api.model_info(name, revision=revision, files_metadata=True, timeout=_timeout()))


@contextmanager
def _client(where: str, what: str) -> Iterator[Any]:
    # Read when the client is first imported. Telemetry: nothing is sent that was not asked for. Xet: the one way
    # to download is the one that is tested, with its time-outs and its way to resume.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import logging as log

    if os.environ["HF_HUB_DISABLE_XET"] == "1":
        constants.HF_HUB_DISABLE_XET = True  # for a program that imported the client before

    level = log.get_verbosity()
    log.set_verbosity(logging.CRITICAL)  # its warnings repeat addresses, which for large files are signed
    try:
        yield huggingface_hub
    except CheckpointError:
        raise
    except Exception as error:  # noqa: BLE001 - the client lets its transport's own errors through
        _explain(error, where, what)
    finally:
        log.set_verbosity(level)


def _announced(hub: Any, repository: Repository, file: str, sha256: str | None) -> str:
    """Returns the tag of what the hub would send; refuses here, before a large file is sent in vain."""
    url = hub.hf_hub_url(
        repository.name, file, revision=repository.revision, endpoint=_endpoint(), repo_type=repository.kind
    )
    found = _patiently(lambda: hub.get_hf_file_metadata(url, token=_token(), timeout=_timeout(), endpoint=_endpoint()))
    if found.commit_hash is None or found.etag is None:
        raise CheckpointError(f"{repository}: what answered is not a hub; check {ENDPOINT} and the network's proxies")
    if found.commit_hash != repository.revision:
        raise CheckpointError(
            f"{repository}: the hub answered for commit {found.commit_hash} instead; nothing was fetched. "
            "Pin that commit if it is the one you mean"
        )
    if sha256 and _SHA256.fullmatch(found.etag) and found.etag != sha256:
        raise CheckpointError(
            f"{repository}: the hub's {file} has sha256 {found.etag}, the configuration pins {sha256}; "
            "nothing was fetched. Correct the pin, or find out who changed the file"
        )
    return str(found.etag)


def _is_announced(copy: Path, sha256: str, etag: str) -> bool:
    # The hub tags a large file with its sha256 and a small one with the id that git gives its content.
    if _SHA256.fullmatch(etag):
        return sha256 == etag
    if _GIT_ID.fullmatch(etag):
        data = copy.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == etag
    return True


def _download(hub: Any, repository: Repository, file: str) -> str:
    path = hub.hf_hub_download(
        repository.name,
        file,
        revision=repository.revision,
        repo_type=repository.kind,
        cache_dir=_cache(),
        endpoint=_endpoint(),
        etag_timeout=_timeout(),
        token=_token(),
        tqdm_class=cast(Any, progress(file)),
    )
    return str(path)


def _patiently(ask: Callable[[], T]) -> T:
    """Returns what `ask` returns, trying again a little later when what went wrong may pass."""
    begin = time.monotonic()
    for wait in WAITS:
        try:
            return ask()
        except Exception as error:
            if not _may_pass(error) or time.monotonic() - begin > PATIENCE:
                raise
        time.sleep(wait)
    return ask()


def _may_pass(error: Exception) -> bool:
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    # ValueError and OSError: a bad name, no room, a body of another size. What is left comes from the transport.
    return not isinstance(error, errors.OfflineModeIsEnabled | ValueError | OSError)


def _copied(path: str, copy: Path) -> str:
    copy.unlink(missing_ok=True)
    shutil.copyfile(path, copy)
    return sha256_file(copy)


def _forget(path: str) -> None:
    # The cache keeps a link to the content; neither must wait there for the next fetch.
    for wrong in (Path(path).resolve(), Path(path)):
        with suppress(OSError):
            wrong.unlink()


def _checked_kind(repository: Repository, copy: Path) -> Path:
    with copy.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise CheckpointError(
                f"{repository}: {copy.name} is a Git LFS pointer, a note of where the file is, not the file; "
                "take the sha256 that it names, or a hub that was copied with its large files"
            )
    return copy


def _endpoint() -> str | None:
    endpoint = os.environ.get(ENDPOINT) or None
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise CheckpointError(f"{ENDPOINT} must begin with https:// or http://; correct it or unset it")
    return endpoint


def _token() -> str | Literal[False]:
    token = os.environ.get(TOKEN, "").strip()
    if not all("!" <= letter <= "~" for letter in token):
        # The transport's own message would repeat it.
        raise CheckpointError(f"{TOKEN} holds characters that no token has; set it again or unset it")
    return token or False  # False: never the token file of the home directory


def _cache() -> str | None:
    return os.environ.get(CACHE) or None


def _timeout() -> float:
    from huggingface_hub import constants

    return float(constants.HF_HUB_ETAG_TIMEOUT)


def _explain(error: Exception, where: str, what: str) -> NoReturn:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE:
        text = f"{where}: HF_HUB_OFFLINE is set, and {what} is not in the cache or damaged; fetch it once while online"
    elif isinstance(error, errors.RevisionNotFoundError):
        text = f"{where}: this repository has no such revision; check the name or the 40 hex digits"
    elif isinstance(error, errors.RemoteEntryNotFoundError):
        text = f"{where}: there is no file {what}; check checkpoint.files"
    elif isinstance(error, errors.RepositoryNotFoundError):
        text = f"{where}: no such repository, or it is private or gated; check the name, or set {TOKEN}"
    elif isinstance(error, errors.HfHubHTTPError):
        text = f"{where}: the hub answered {error.response.status_code} for {what}; try again later"
    elif isinstance(error, errors.HFValidationError):
        text = f"{where}: this is not the name of a repository; it is owner/name"
    elif isinstance(error, errors.LocalEntryNotFoundError) or _may_pass(error):
        # Only the kind of error: its text may repeat headers or addresses.
        kind = type(error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else error).__name__
        text = f"{where}: the hub cannot be reached, or breaks off ({kind}); check the network and {ENDPOINT}"
    elif isinstance(error, OSError) and error.errno:
        text = f"{where}: {what} cannot be kept in the cache: {error.strerror}; make room, or set {CACHE}"
    else:
        text = f"{where}: {what} did not arrive whole ({type(error).__name__}); try again"
    raise CheckpointError(text) from error
