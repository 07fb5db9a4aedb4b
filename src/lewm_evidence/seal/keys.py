"""Signing keys: Ed25519, in the file formats of OpenSSH.

The key is taken from, in this order: the environment variable `LEWM_EVIDENCE_SIGNING_KEY` (a path, or the text of the
key itself), a path that the caller was configured with, and a key that belongs to the project, made once. Only that
last one is *self-signed*: it shows that nothing changed since sealing and names nobody.

A key never appears in a run key, a spec, a record, a log or a bundle; its public half does, as sidecar.
"""

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

from lewm_evidence.errors import BundleError

VARIABLE = "LEWM_EVIDENCE_SIGNING_KEY"
# Relative to the project's folder, the one that holds `runs/` and `evidence/`.
PROJECT_KEY = Path(".lewm-evidence") / "signing-key"
Kind = Literal["self-signed", "key"]


class SigningKeyError(BundleError):
    """A signing key, or a list of allowed signers, cannot be used."""


@dataclass(frozen=True)
class PublicKey:
    """The public half of a key; the same 32 bytes in the forms that other tools want."""

    key: Ed25519PublicKey

    @property
    def blob(self) -> bytes:
        """The key as SSH writes it on the wire."""
        raw = self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return ssh_string(b"ssh-ed25519") + ssh_string(raw)

    @property
    def line(self) -> str:
        """`ssh-ed25519 AAAA…`, as in a `.pub` file, without a comment."""
        return f"ssh-ed25519 {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def pem(self) -> str:
        """The key as openssl reads it."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Returns whether `signature` is this key's over `message`."""
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key and whether it was only made for the project.

    Attributes:
        kind: `self-signed` for the project's own key, `key` for one that somebody chose.
    """

    # Not shown in a traceback or a debugger's line.
    _private: Ed25519PrivateKey
    kind: Kind

    def __repr__(self) -> str:
        return f"SigningKey({self.kind}, {self.public.fingerprint})"

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self._private.public_key())

    def sign(self, message: bytes) -> bytes:
        """Returns the 64 bytes of the signature; equal messages give equal signatures."""
        return self._private.sign(message)


def ssh_string(data: bytes) -> bytes:
    """Returns `data` after its length in four bytes."""
    return len(data).to_bytes(4, "big") + data


def make_key(path: Path) -> PublicKey:
    """Writes a new private key to `path` (mode 0600) and its public half to `path.pub`.

    Raises:
        SigningKeyError: one of the two exists; a key is never overwritten.
    """
    private = Ed25519PrivateKey.generate()
    public = PublicKey(private.public_key())
    beside = path.with_name(f"{path.name}.pub")
    if beside.exists() or beside.is_symlink():
        raise SigningKeyError(f"{beside} exists already; a key is never overwritten, choose another name")
    text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, text, 0o600)
        _write_new(beside, f"{public.line}\n".encode(), 0o644)
    except FileExistsError as error:
        raise SigningKeyError(f"{error.filename2} exists already; a key is never overwritten") from error
    except OSError as error:
        raise SigningKeyError(f"{error.filename or path} cannot be written: {error.strerror or error}") from error
    return public


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Writes a new file that is complete when it appears, whoever else writes the same name."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
        # A link is refused where a file is, unlike a rename.
        os.link(name, path)
    finally:
        Path(name).unlink()


def signing_key(
    project: Path, configured: Path | None = None, environment: Mapping[str, str] | None = None
) -> SigningKey:
    """Returns the key to sign with, making the project's own when there is no other.

    Args:
        project: the folder that holds `runs/` and `evidence/`.
        configured: path of a key; the environment goes first.
        environment: in place of `os.environ`.

    Raises:
        SigningKeyError: saying which key cannot be used and why; the key's text is never in the message.
    """
    given = (os.environ if environment is None else environment).get(VARIABLE)
    if given and given.lstrip().startswith("-----BEGIN"):
        return SigningKey(_parse(given.encode(), VARIABLE), "key")
    if given or configured is not None:
        return SigningKey(_load(Path(given) if given else Path(configured or "")), "key")
    path = project / PROJECT_KEY
    if not path.exists():
        _make_project_key(path)
    return SigningKey(_load(path), "self-signed")


def _make_project_key(path: Path) -> None:
    try:
        make_key(path)
    except SigningKeyError:
        # Another seal of the same project may have been faster; its key is as good.
        if not path.exists():
            raise


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise SigningKeyError(f"signing key {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise SigningKeyError(f"signing key {path} can be read by others; run `chmod 600 {path}`")
    return _parse(data, str(path))


def _parse(data: bytes, where: str) -> Ed25519PrivateKey:
    # Some ways of setting an environment variable lose the last newline, which the format wants.
    try:
        key = load_ssh_private_key(data.strip() + b"\n", password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The reason of the library may quote the key, so it is not repeated.
        raise SigningKeyError(
            f"{where} is not a private key of OpenSSH without a passphrase; make one with `lewm-evidence keygen FILE`"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{where} is not an Ed25519 key; make one with `lewm-evidence keygen FILE`")
    return key


def parse_public(line: str) -> PublicKey | None:
    """Returns the key in `ssh-ed25519 AAAA…`; None when it is none, or not in the one form."""
    try:
        key = load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, Ed25519PublicKey) or PublicKey(key).line != line:
        return None
    return PublicKey(key)


@dataclass(frozen=True)
class AllowedSigners:
    """Who may have signed: principals by the line of their key.

    Attributes:
        where: the file, for messages.
        principals: name by `ssh-ed25519 AAAA…`.
    """

    where: str
    principals: Mapping[str, str]

    def name_of(self, key: PublicKey) -> str | None:
        """Returns who signs with `key`; None when nobody listed does."""
        return self.principals.get(key.line)


_SIGNER = re.compile(r"(?P<who>\S+)\s+(?:(?P<options>\S*=\S*)\s+)?ssh-ed25519\s+(?P<key>[A-Za-z0-9+/=]+)(?:\s+.*)?")


def read_allowed_signers(path: Path) -> AllowedSigners:
    """Reads a list in the format of `ssh-keygen(1)`, ALLOWED SIGNERS.

    Raises:
        SigningKeyError: naming the line that cannot be used, so that no limit a line sets is overlooked.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SigningKeyError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    principals: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            key, who = _signer(line.strip(), f"{path}:{number}")
            principals.setdefault(key, who)
    if not principals:
        raise SigningKeyError(f"{path} lists nobody")
    return AllowedSigners(str(path), principals)


def _signer(line: str, where: str) -> tuple[str, str]:
    match = _SIGNER.fullmatch(line)
    key = parse_public(f"ssh-ed25519 {match['key']}") if match else None
    if match is None or key is None:
        raise SigningKeyError(f'{where} is not `NAME [namespaces="file"] ssh-ed25519 KEY`')
    if (match["options"] or 'namespaces="file"') != 'namespaces="file"':
        raise SigningKeyError(f'{where} has the options {match["options"]}; only namespaces="file" is understood here')
    return key.line, match["who"]
