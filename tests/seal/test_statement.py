"""Statement and signatures: other tools agree, and nothing but what was signed is taken."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lewm_evidence.canonical import canonical_json, sha256_file
from lewm_evidence.errors import RefusedError
from lewm_evidence.seal.archive import write_archive
from lewm_evidence.seal.bag import manifest_text
from lewm_evidence.seal.keys import AllowedSigners, SigningKey, make_key, read_allowed_signers, signing_key
from lewm_evidence.seal.statement import (
    BUILD_TYPE,
    PAYLOAD_TYPE,
    SIGNATURE,
    STATEMENT,
    pae,
    read_ssh,
    read_statement,
    sign_ssh,
    sign_statement,
    signers_text,
)
from lewm_evidence.seal.verify import verify

KEY = "0123456789abcdef0123"
TAR = f"{KEY}.tar"
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen on this machine")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")


def ssh_verify(bundle: Path, message: bytes) -> "subprocess.CompletedProcess[bytes]":
    """Asks ssh-keygen whether the bundle's signature is that of `message`."""
    words = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "sealer", "-n", "file", "-s", SIGNATURE]
    return subprocess.run(words, cwd=bundle, input=message, capture_output=True, check=False)


@needs_ssh
def test_ssh_keygen_accepts_the_signature_and_refuses_another_text(sealed: Path) -> None:
    """The file beside the bag is a real SSH signature of the tag manifest."""
    tags = (sealed / "bag" / "tagmanifest-sha256.txt").read_bytes()
    good = ssh_verify(sealed, tags)
    assert good.returncode == 0 and b'Good "file" signature for sealer' in good.stdout, good.stderr
    assert ssh_verify(sealed, tags.replace(b"a", b"b", 1)).returncode != 0


@needs_ssh
def test_reads_and_writes_what_ssh_keygen_writes(tmp_path: Path) -> None:
    """Both make the same bytes with the same key."""
    make_key(tmp_path / "key")
    (tmp_path / "text").write_bytes(b"hello\n")
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", tmp_path / "key", "-n", "file", tmp_path / "text"]
    subprocess.run(words, check=True, capture_output=True)
    made = (tmp_path / "text.sig").read_bytes()
    key = signing_key(tmp_path, tmp_path / "key", {})
    assert read_ssh(made, b"hello\n").line == key.public.line
    assert sign_ssh(b"hello\n", key) == made


@needs_openssl
def test_openssl_accepts_the_statement(sealed: Path, tmp_path: Path) -> None:
    """The envelope's signature is a plain Ed25519 signature over the DSSE encoding."""
    envelope = json.loads((sealed / STATEMENT).read_bytes())
    payload = base64.b64decode(envelope["payload"])
    (tmp_path / "pae").write_bytes(pae(envelope["payloadType"], payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    (tmp_path / "pem").write_text(json.loads((sealed / "bundle.json").read_bytes())["signer"]["public_key"])
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "pem", "-rawin", "-in", "pae", "-sigfile", "sig"]
    told = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0 and "Verified Successfully" in told.stdout, told.stderr
    (tmp_path / "pae").write_bytes(pae(envelope["payloadType"], payload + b" "))
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_says_what_it_is_about(sealed: Path, signer: SigningKey) -> None:
    """The only subject is the tag manifest; the predicate is SLSA provenance without a clock."""
    said = read_statement((sealed / STATEMENT).read_bytes(), signer.public)
    address = sha256_file(sealed / "bag" / "tagmanifest-sha256.txt")
    assert said["subject"] == [{"name": "tagmanifest-sha256.txt", "digest": {"sha256": address}}]
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    assert said["predicate"]["buildDefinition"]["buildType"] == BUILD_TYPE
    used = {row["name"]: row["digest"] for row in said["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert used["data/requirements/cpu.txt"] == {"sha256": sha256_file(sealed / "bag/data/requirements/cpu.txt")}
    (weights,) = [name for name in used if name.endswith("checkpoint/model.safetensors")]
    assert used[weights] == {"sha256": sha256_file(sealed / "bag" / weights)}
    assert said["predicate"]["runDetails"]["metadata"] == {"invocationId": f"seal/{KEY}"}


def resigned(change: Callable[[dict[str, object]], object]) -> Callable[[Path, SigningKey], None]:
    """Returns what changes the statement and signs it again with the right key."""

    def attack(bundle: Path, key: SigningKey) -> None:
        said = read_statement((bundle / STATEMENT).read_bytes(), key.public)
        change(said)
        (bundle / STATEMENT).write_bytes(sign_statement(said, key))

    return attack


def envelope(**fields: object) -> Callable[[Path, SigningKey], None]:
    """Returns what replaces fields of the envelope."""

    def attack(bundle: Path, _: SigningKey) -> None:
        found = json.loads((bundle / STATEMENT).read_bytes())
        (bundle / STATEMENT).write_bytes(canonical_json(found | fields))

    return attack


def other_key(tmp: Path) -> SigningKey:
    """Returns a key of somebody else."""
    return signing_key(tmp, environment={})


def signed_by_other(*names: str) -> Callable[[Path, SigningKey], None]:
    """Returns what makes some of the sidecars with another key."""

    def attack(bundle: Path, key: SigningKey) -> None:
        other = other_key(bundle.parent)
        tags = (bundle / "bag" / "tagmanifest-sha256.txt").read_bytes()
        said = read_statement((bundle / STATEMENT).read_bytes(), key.public)
        made = {
            STATEMENT: sign_statement(said, other),
            SIGNATURE: sign_ssh(tags, other),
            "allowed_signers": signers_text(other.public),
        }
        for name in names:
            (bundle / name).write_bytes(made[name])

    return attack


def as_string(bundle: Path, key: SigningKey) -> None:
    """Signs the statement under another payload type."""
    found = json.loads((bundle / STATEMENT).read_bytes())
    payload = base64.b64decode(found["payload"])
    sig = base64.b64encode(key.sign(pae("text/plain", payload))).decode()
    envelope(payloadType="text/plain", signatures=[{"keyid": key.public.fingerprint, "sig": sig}])(bundle, key)


def second_signature(bundle: Path, key: SigningKey) -> None:
    """Adds a signature to the envelope."""
    (one,) = json.loads((bundle / STATEMENT).read_bytes())["signatures"]
    envelope(signatures=[one, one])(bundle, key)


def about(**fields: object) -> Callable[[Path, SigningKey], None]:
    """Returns what changes the subject's digest or name."""
    return resigned(lambda said: said["subject"][0].update(fields))  # type: ignore[index]


def reseal(bundle: Path) -> None:
    """Makes everything but the signatures anew."""
    bag = bundle / "bag"
    digests = {p.relative_to(bag).as_posix(): sha256_file(p) for p in (bag / "data").rglob("*") if p.is_file()}
    sizes = {name: (bag / name).stat().st_size for name in digests}
    info = re.sub(r"Oxum: .*", f"Oxum: {sum(sizes.values())}.{len(sizes)}", (bag / "bag-info.txt").read_text())
    (bag / "bag-info.txt").write_text(info)
    (bag / "manifest-sha256.txt").write_bytes(manifest_text(digests))
    crate = json.loads((bag / "ro-crate-metadata.json").read_bytes())
    for entity in crate["@graph"]:
        if entity["@id"] in digests:
            entity |= {"sha256": digests[entity["@id"]], "contentSize": str(sizes[entity["@id"]])}
    (bag / "ro-crate-metadata.json").write_bytes(canonical_json(crate))
    tags = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "ro-crate-metadata.json")
    (bag / "tagmanifest-sha256.txt").write_bytes(manifest_text({name: sha256_file(bag / name) for name in tags}))
    (bundle / TAR).unlink()
    archive = write_archive(bag, KEY, bundle / TAR)
    fields = json.loads((bundle / "bundle.json").read_bytes())
    fields |= {"address": sha256_file(bag / "tagmanifest-sha256.txt"), "size": sum(sizes.values())}
    fields["archive"] |= {"sha256": archive.sha256, "size": archive.size}
    (bundle / "bundle.json").write_bytes(canonical_json(fields))


def rewritten(bundle: Path, _: SigningKey) -> None:
    """Changes the payload and makes manifests, crate, archive and `bundle.json` anew; only the key is missing."""
    config = bundle / "bag" / "data" / "config.json"
    config.write_bytes(canonical_json(json.loads(config.read_bytes()) | {"seed": 7}))
    reseal(bundle)


ATTACKS: dict[str, tuple[Callable[[Path, SigningKey], None], str]] = {
    "payload changed, everything made anew": (rewritten, f"{SIGNATURE}: is not the signature of"),
    "signature by another key": (signed_by_other(SIGNATURE), "allowed_signers: does not name the key that signed"),
    "and its signers": (signed_by_other(SIGNATURE, "allowed_signers"), "bundle.json: names another key"),
    "statement by another key": (signed_by_other(STATEMENT), "statement.dsse.json: is signed by"),
    "other payload type": (envelope(payloadType="text/plain"), "its payloadType is 'text/plain'"),
    "other payload type, signed": (as_string, "its payloadType is 'text/plain'"),
    "no signature": (envelope(signatures=[]), "has 0 signatures"),
    "two signatures": (second_signature, "has 2 signatures"),
    "empty payload": (envelope(payload=""), "payload is not base64"),
    "loose base64": (envelope(payload="eyB9Cg==\n"), "payload is not base64"),
    "other payload": (envelope(payload="e30K"), "its signature is not that of"),
    "extra field": (envelope(comment="x"), "comment is not as it must be"),
    "statement of another run": (about(digest={"sha256": "0" * 64}), "is about tagmanifest-sha256.txt 0000"),
    "weaker digest": (about(digest={"md5": "0" * 32}), "is not a provenance statement with one subject"),
    "further digest": (about(digest={"sha256": "0" * 64, "md5": ""}), "is not a provenance statement"),
    "other subject": (about(name="x"), "is about x"),
    "two subjects": (resigned(lambda said: said["subject"].append({})), "with one subject"),  # type: ignore[attr-defined]
    "other predicate": (resigned(lambda said: said.update(predicateType="x")), "is a x of"),
    "other configuration": (
        resigned(lambda said: said["predicate"]["buildDefinition"].update(externalParameters={})),  # type: ignore[index]
        "other digests of configuration or result",
    ),
    "signers of nobody": (lambda b, _: (b / "allowed_signers").write_text(""), "allowed_signers: does not name"),
    "signature missing": (lambda b, _: (b / SIGNATURE).unlink(), f"{SIGNATURE}: is missing"),
    "statement missing": (lambda b, _: (b / STATEMENT).unlink(), f"{STATEMENT}: is missing"),
    "further sidecar": (lambda b, _: (b / "statement.json").touch(), "'statement.json': does not belong"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_on_the_signatures_is_refused_with_its_own_reason(
    attack: str, bundle: Path, signer: SigningKey
) -> None:
    """From the folder, and from the archive with its sidecars; the good one passes in both forms."""
    assert verify(bundle).signed_by == verify(bundle / TAR).signed_by is not None
    change, reason = ATTACKS[attack]
    change(bundle, signer)
    for path in (bundle, bundle / TAR):
        if attack == "further sidecar" and path.is_file():
            continue
        with pytest.raises(RefusedError) as refusal:
            verify(path)
        assert reason in str(refusal.value)


def test_a_bundle_made_anew_by_somebody_else_needs_a_known_key_to_be_found(
    bundle: Path, signer: SigningKey, tmp_path: Path
) -> None:
    """Whoever can write everything passes as self-signed, and is refused where the signers are known."""
    known = AllowedSigners("signers", {signer.public.line: "alice"})
    accepted = verify(bundle, allowed=known).signed_by
    assert accepted is not None and accepted.principal == "alice"
    other = other_key(tmp_path)
    signed_by_other(SIGNATURE, STATEMENT, "allowed_signers")(bundle, signer)
    fields = json.loads((bundle / "bundle.json").read_bytes())
    fields["signer"] |= {"fingerprint": other_key(bundle.parent).public.fingerprint}
    fields["signer"] |= {"public_key": other_key(bundle.parent).public.pem}
    (bundle / "bundle.json").write_bytes(canonical_json(fields))
    found = verify(bundle).signed_by
    assert found is not None and (found.kind, found.principal) == ("self-signed", None)
    for path in (bundle, bundle / TAR):
        with pytest.raises(RefusedError, match="a key that signers does not list"):
            verify(path, allowed=known)
    assert other.public.line != signer.public.line


def test_what_carries_no_signature_is_refused_where_one_is_asked_for(sealed: Path, tmp_path: Path) -> None:
    """A bare bag and a lone archive show integrity only."""
    known = read_allowed_signers(sealed / "allowed_signers")
    shutil.copy(sealed / TAR, tmp_path / TAR)
    assert verify(tmp_path / TAR).signed_by is None
    for path in (sealed / "bag", tmp_path / TAR):
        with pytest.raises(RefusedError, match="nobody signed"):
            verify(path, allowed=known)


@given(st.binary(max_size=400))
def test_noise_is_no_signature(data: bytes) -> None:
    """Arbitrary bytes raise a refusal and nothing else."""
    body = b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(data) + b"\n-----END SSH SIGNATURE-----\n"
    for text in (data, body):
        with pytest.raises(RefusedError):
            read_ssh(text, b"")


def test_the_encoding_is_the_one_of_the_specification() -> None:
    """The example of the DSSE specification."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert PAYLOAD_TYPE == "application/vnd.in-toto+json"
