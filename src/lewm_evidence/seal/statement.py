"""What is signed, and how: an in-toto statement in a DSSE envelope, and an SSH signature of the tag manifest.

Both are made with one Ed25519 key and lie beside the bag, never in it, so that the address does not depend on who
signs. Signing twice gives the same bytes. The readers take only the bytes that the writers would have written.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.errors import RefusedError
from lewm_evidence.seal.documents import DsseEnvelope, DsseSignature, canonical_document, checked
from lewm_evidence.seal.keys import PublicKey, SigningKey, parse_public, ssh_string

STATEMENT, SIGNATURE, SIGNERS = "statement.dsse.json", "tagmanifest-sha256.txt.sig", "allowed_signers"
SUBJECT = "tagmanifest-sha256.txt"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
# URNs, because the project owns no domain; they name, they do not locate.
BUILD_TYPE = "urn:lewm-evidence:seal:v1"
BUILDER = "urn:lewm-evidence:stage:seal"
# Whom the sidecar `allowed_signers` names, for `ssh-keygen -Y verify -I`.
PRINCIPAL = "sealer"
NAMESPACE = b"file"
_HASH = b"sha512"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----\n", "-----END SSH SIGNATURE-----\n"
_WIDTH = 70


def statement(
    address: str, external: Mapping[str, Any], dependencies: list[dict[str, Any]], version: str, key: str
) -> dict[str, Any]:
    """Returns the in-toto statement about a bag, with a SLSA provenance predicate.

    Args:
        address: sha256 of the bag's tag manifest, the only subject.
        external: what the maker chose: digests of configuration and result.
        dependencies: resource descriptors of what went in.
        version: of this package.
        key: of the seal run.
    """
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": SUBJECT, "digest": {"sha256": address}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(external),
                "internalParameters": {},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"lewm-evidence": version}},
                "metadata": {"invocationId": f"seal/{key}"},
            },
        },
    }


def pae(payload_type: str, payload: bytes) -> bytes:
    """Returns the bytes that a DSSE signature covers (pre-authentication encoding, version 1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign_statement(content: Mapping[str, Any], key: SigningKey) -> bytes:
    """Returns the DSSE envelope of a statement: the file `statement.dsse.json`."""
    payload = canonical_json(dict(content))
    envelope = DsseEnvelope(
        payload=base64.b64encode(payload).decode(),
        payloadType=PAYLOAD_TYPE,
        signatures=[
            DsseSignature(
                keyid=key.public.fingerprint,
                sig=base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode(),
            )
        ],
    )
    return canonical_json(envelope.model_dump())


def read_statement(data: bytes, key: PublicKey) -> Any:
    """Returns the statement in an envelope that `key` signed; raises `RefusedError` when it did not."""
    envelope = checked(DsseEnvelope, canonical_document(data, STATEMENT), STATEMENT)
    if envelope.payloadType != PAYLOAD_TYPE:
        raise RefusedError(f"{STATEMENT}: its payloadType is {envelope.payloadType!r}, not {PAYLOAD_TYPE}")
    if len(envelope.signatures) != 1:
        raise RefusedError(f"{STATEMENT}: has {len(envelope.signatures)} signatures, not one")
    (signature,) = envelope.signatures
    if signature.keyid != key.fingerprint:
        raise RefusedError(f"{STATEMENT}: is signed by {signature.keyid}, the other sidecars by {key.fingerprint}")
    payload = _decoded(envelope.payload, "payload")
    if not key.accepts(_decoded(signature.sig, "signature"), pae(envelope.payloadType, payload)):
        raise RefusedError(f"{STATEMENT}: its signature is not that of {key.fingerprint} over its payload")
    return canonical_document(payload, f"{STATEMENT}: payload")


def _decoded(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    # Base64 has several texts for one value; only one of them is taken.
    if not data or base64.b64encode(data).decode() != text:
        raise RefusedError(f"{STATEMENT}: its {what} is not base64")
    return data


def check_statement(content: Any, address: str, external: Mapping[str, Any]) -> None:
    """Raises `RefusedError` when a statement is about another bag than that of `address` and `external`."""
    match content:
        case {
            "_type": str(kind),
            "subject": [{"name": str(name), "digest": {"sha256": str(digest), **others}, **more}],
            "predicateType": str(predicate),
            "predicate": {"buildDefinition": {"buildType": str(build), "externalParameters": dict(found)}},
        } if not others and not more:
            pass
        case _:
            raise RefusedError(f"{STATEMENT}: is not a provenance statement with one subject")
    if (kind, predicate, build) != (STATEMENT_TYPE, PREDICATE_TYPE, BUILD_TYPE):
        raise RefusedError(f"{STATEMENT}: is a {predicate} of {build}, not a {PREDICATE_TYPE} of {BUILD_TYPE}")
    if (name, digest) != (SUBJECT, address):
        raise RefusedError(f"{STATEMENT}: is about {name} {digest}, this bag's {SUBJECT} is {address}")
    if found != dict(external):
        raise RefusedError(f"{STATEMENT}: gives other digests of configuration or result than the bag has")


def sign_ssh(message: bytes, key: SigningKey) -> bytes:
    """Returns the armoured SSH signature of `message`, as `ssh-keygen -Y sign -n file` makes it."""
    signature = ssh_string(b"ssh-ed25519") + ssh_string(key.sign(_ssh_signed(message)))
    fields = (key.public.blob, NAMESPACE, b"", _HASH, signature)
    blob = b"SSHSIG" + (1).to_bytes(4, "big") + b"".join(map(ssh_string, fields))
    text = base64.b64encode(blob).decode()
    lines = "".join(f"{text[start : start + _WIDTH]}\n" for start in range(0, len(text), _WIDTH))
    return f"{_BEGIN}{lines}{_END}".encode()


def _ssh_signed(message: bytes) -> bytes:
    fields = (NAMESPACE, b"", _HASH, hashlib.sha512(message).digest())
    return b"SSHSIG" + b"".join(map(ssh_string, fields))


def read_ssh(data: bytes, message: bytes) -> PublicKey:
    """Returns the key that made the SSH signature `data` of `message`.

    Raises:
        RefusedError: it is not such a signature, byte for byte, or of another message.
    """
    blob = _unarmoured(data)
    key, signature = _ssh_fields(blob)
    if not key.accepts(signature, _ssh_signed(message)):
        raise RefusedError(f"{SIGNATURE}: is not the signature of {key.fingerprint} over {SUBJECT}")
    return key


def _unarmoured(data: bytes) -> bytes:
    text = data.decode("ascii", "replace")
    body = text.removeprefix(_BEGIN).removesuffix(_END)
    try:
        blob = base64.b64decode(body.replace("\n", ""), validate=True)
    except (ValueError, binascii.Error):
        blob = b""
    again = base64.b64encode(blob).decode()
    lines = "".join(f"{again[start : start + _WIDTH]}\n" for start in range(0, len(again), _WIDTH))
    if not blob or f"{_BEGIN}{lines}{_END}" != text:
        raise RefusedError(f"{SIGNATURE}: is not an armoured SSH signature")
    return blob


def _ssh_fields(blob: bytes) -> tuple[PublicKey, bytes]:
    # Everything but key and signature is the same in every signature that is taken here.
    start = b"SSHSIG" + (1).to_bytes(4, "big") + (51).to_bytes(4, "big")
    middle = b"".join(map(ssh_string, (NAMESPACE, b"", _HASH)))
    middle += (83).to_bytes(4, "big") + ssh_string(b"ssh-ed25519") + (64).to_bytes(4, "big")
    key = parse_public(f"ssh-ed25519 {base64.b64encode(blob[len(start) : len(start) + 51]).decode()}")
    if key is None or blob != start + key.blob + middle + blob[-64:]:
        raise RefusedError(f"{SIGNATURE}: is not an Ed25519 signature of a file with {_HASH.decode()}")
    return key, blob[-64:]


def signers_text(key: PublicKey) -> bytes:
    """Returns the sidecar `allowed_signers`; it says which key, and by itself gives no reason to trust it."""
    return f'{PRINCIPAL} namespaces="{NAMESPACE.decode()}" {key.line}\n'.encode()


def external_parameters(config: bytes, result_digest: str) -> dict[str, Any]:
    """Returns what the statement says was chosen, from the bag's configuration and index."""
    return {"config": {"sha256": sha256_bytes(config)}, "result": {"sha256": result_digest}}
