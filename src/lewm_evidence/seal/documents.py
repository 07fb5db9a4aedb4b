"""The JSON documents of a bundle and how they are read: strictly, one meaning per text."""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.errors import RefusedError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]
AnyModel = TypeVar("AnyModel", bound=BaseModel)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SealedRun(_Model):
    """A run in the bag, at `data/runs/<stage>/<key>`."""

    stage: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    key: Key
    result_digest: Sha256

    @property
    def folder(self) -> str:
        """Where the run lies in the bag."""
        return f"data/runs/{self.stage}/{self.key}"


class Skipped(_Model):
    """What a reader might look for and does not find, and why."""

    what: str
    reason: str


class Index(_Model):
    """`data/index.json`: which run is what, by the name the seal stage knows it by, and what is not there."""

    schema_version: Literal[1] = 1
    result_digest: Sha256
    runs: dict[str, SealedRun]
    skipped: list[Skipped] = []


class Compressed(_Model):
    """The bytes of a compressed archive as they lie there; another compressor gives others for the same archive."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class Archive(_Model):
    """The archive beside the bag.

    Attributes:
        file: its name, `<key>.tar` or `<key>.tar.zst`.
        sha256: of the tar, also when it is compressed.
        size: of the tar.
        compressed: what lies there when it is compressed.
    """

    file: str
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    compressed: Compressed | None = None


class Signer(_Model):
    """The key that signed the bag.

    Attributes:
        kind: `self-signed` with a key made only for the project, or `key` with one that somebody chose.
        fingerprint: `SHA256:…`, as `ssh-keygen -l` prints it.
        public_key: the key in PEM, for openssl.
    """

    kind: Literal["self-signed", "key"]
    fingerprint: Annotated[str, Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")]
    public_key: str


class DsseSignature(_Model):
    """One signature of an envelope, base64."""

    keyid: str
    sig: str


class DsseEnvelope(_Model):
    """A signed payload, base64, with its type (DSSE 1.0)."""

    payload: str
    payloadType: str  # noqa: N815 - the name the specification gives
    signatures: list[DsseSignature]


class Bundle(_Model):
    """`bundle.json`, beside the bag.

    Attributes:
        key: key of the seal run; the archive is named after it.
        address: sha256 of the bag's tag manifest, and so of everything in the bag.
        result_digest: what two identical pipelines agree on, see `bundle_digest`.
        files: number of files in the payload.
        size: their bytes.
        signer: whose key signed the sidecars.
        skipped: what sealing left out, beside what `data/index.json` lists.
    """

    schema_version: Literal[1] = 1
    key: Key
    address: Sha256
    result_digest: Sha256
    files: int
    size: int
    archive: Archive
    signer: Signer
    skipped: list[Skipped] = []


def bundle_digest(runs: dict[str, SealedRun]) -> str:
    """Returns sha256 over the canonical JSON of the sorted (stage, key, result_digest) of `runs`."""
    rows = sorted({(run.stage, run.key, run.result_digest) for run in runs.values()})
    return sha256_bytes(canonical_json([list(row) for row in rows]))


def strict_json(data: bytes, where: str) -> Any:
    """Returns the value of a JSON text; raises `RefusedError` for duplicate keys, NaN and what is not JSON."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("an object has the same key twice")
        return found

    def finite(text: str) -> float:
        raise ValueError(f"{text} is not a JSON number")

    try:
        return json.loads(data.decode(), object_pairs_hook=unique, parse_constant=finite)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{where}: is not strict JSON: {error}") from error


def canonical_document(data: bytes, where: str) -> Any:
    """Returns the value of a canonical JSON text; raises `RefusedError` when it is not canonical."""
    value = strict_json(data, where)
    try:
        same = canonical_json(value) == data
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise RefusedError(f"{where}: is not canonical JSON (sorted keys, no spaces, one newline at the end)")
    return value


def checked(model: type[AnyModel], value: Any, where: str) -> AnyModel:
    """Returns `value` as a `model`; raises `RefusedError` naming the first field that does not fit."""
    try:
        return model.model_validate(value, strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(step) for step in fault["loc"]) or "it"
        raise RefusedError(f"{where}: {field} is not as it must be: {fault['msg']}") from error
