"""Signing keys: made once, kept private, taken from where they should be."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from lewm_evidence.cli import main
from lewm_evidence.seal.keys import (
    PROJECT_KEY,
    VARIABLE,
    SigningKeyError,
    make_key,
    parse_public,
    read_allowed_signers,
    signing_key,
)


def test_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    """The private file has mode 0600, and ssh-keygen reads both halves as one key."""
    public = make_key(tmp_path / "new" / "key")
    assert (tmp_path / "new" / "key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["key", "key.pub"]
    assert (tmp_path / "new" / "key.pub").read_text() == f"{public.line}\n"
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen on this machine")
    for name in ("key", "key.pub"):
        told = subprocess.run(
            ["ssh-keygen", "-l", "-f", tmp_path / "new" / name], capture_output=True, text=True, check=True
        )
        assert public.fingerprint in told.stdout
    told = subprocess.run(
        ["ssh-keygen", "-y", "-f", tmp_path / "new" / "key"], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == public.line


@pytest.mark.parametrize("name", ["key", "key.pub"])
def test_never_overwrites(name: str, tmp_path: Path) -> None:
    """Where one of the two files is, none is written."""
    (tmp_path / name).write_text("precious")
    with pytest.raises(SigningKeyError, match=f"{name} exists already"):
        make_key(tmp_path / "key")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_the_project_key_is_made_once(tmp_path: Path) -> None:
    """Without another key, the project's own is made, and used again afterwards."""
    first, second = signing_key(tmp_path, environment={}), signing_key(tmp_path, environment={})
    assert first.kind == "self-signed" and first.public.line == second.public.line
    assert (tmp_path / PROJECT_KEY).stat().st_mode & 0o777 == 0o600


def test_environment_goes_before_configuration_goes_before_the_project(tmp_path: Path) -> None:
    """A path or the text of a key in the environment, then the configured path, then the project's own."""
    a, b = make_key(tmp_path / "a"), make_key(tmp_path / "b")
    text = (tmp_path / "a").read_text()
    for given in (str(tmp_path / "a"), text, text.strip()):
        key = signing_key(tmp_path, tmp_path / "b", {VARIABLE: given})
        assert (key.kind, key.public.line) == ("key", a.line)
    key = signing_key(tmp_path, tmp_path / "b", {})
    assert (key.kind, key.public.line) == ("key", b.line)
    assert not (tmp_path / PROJECT_KEY).exists()


def refused(tmp_path: Path, **environment: str) -> str:
    """Returns why the configured key is refused."""
    with pytest.raises(SigningKeyError) as error:
        signing_key(tmp_path, tmp_path / "key", environment)
    return str(error.value)


def test_what_is_not_a_usable_key_is_refused_and_never_shown(tmp_path: Path) -> None:
    """Missing, readable by others, of another kind, with a passphrase, or nonsense: a sentence without the key."""
    assert "cannot be read" in refused(tmp_path)
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    assert "can be read by others" in refused(tmp_path)
    (tmp_path / "key").chmod(0o600)
    if shutil.which("ssh-keygen"):
        words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", tmp_path / "key"]
        subprocess.run(words, check=True, capture_output=True)
        assert "without a passphrase" in refused(tmp_path)
    curve = generate_private_key(SECP256R1())
    (tmp_path / "key").write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    assert "not an Ed25519 key" in refused(tmp_path)
    text = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n"
    assert "canary" not in refused(tmp_path, **{VARIABLE: text})


def test_the_private_half_does_not_show(tmp_path: Path) -> None:
    """Neither repr nor str of a key holds a piece of it."""
    key = signing_key(tmp_path, environment={})
    assert repr(key) == str(key) == f"SigningKey(self-signed, {key.public.fingerprint})"


def test_reads_allowed_signers(tmp_path: Path) -> None:
    """Names, comments, the namespace option and blank lines are understood."""
    a, b = make_key(tmp_path / "a"), make_key(tmp_path / "b")
    file = tmp_path / "signers"
    file.write_text(f'# who\n\nalice@example.org {a.line} a comment\nbob namespaces="file" {b.line}\n')
    found = read_allowed_signers(file)
    assert (found.name_of(a), found.name_of(b)) == ("alice@example.org", "bob")
    assert found.name_of(make_key(tmp_path / "c")) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "alice",
        "alice cert-authority KEY",
        'alice valid-before="20300101" KEY',
        "alice ssh-rsa AAAA",
        "alice ssh-ed25519 AAAA",
    ],
)
def test_a_line_that_is_not_understood_is_an_error(line: str, tmp_path: Path) -> None:
    """A limit on a key must not be overlooked, so the whole list is refused."""
    file = tmp_path / "signers"
    file.write_text(line.replace("KEY", make_key(tmp_path / "a").line) + "\n")
    with pytest.raises(SigningKeyError, match="signers"):
        read_allowed_signers(file)


def test_takes_one_text_for_one_key(tmp_path: Path) -> None:
    """A public key with other bits than its own is none."""
    line = make_key(tmp_path / "a").line
    assert parse_public(line) is not None
    assert parse_public(line + " comment") is None and parse_public(line[:-4]) is None
    assert os.environ.get(VARIABLE) is None


def test_keygen_and_verify_from_the_command_line(
    sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key is made once; a bundle is accepted from a listed key and refused from another."""
    assert main(["keygen", str(tmp_path / "key")]) == 0
    assert main(["keygen", str(tmp_path / "key")]) == 2
    told = capsys.readouterr()
    assert "PRIVATE" not in told.out and "never overwritten" in told.err
    (tmp_path / "people").write_text(f"alice {(tmp_path / 'key.pub').read_text()}")
    assert main(["verify", str(sealed)]) == 0
    assert "(self-signed)" in capsys.readouterr().out
    assert main(["verify", str(sealed), "--allowed-signers", str(tmp_path / "people")]) == 1
    assert "does not list" in capsys.readouterr().out
    assert main(["verify", str(sealed), "--allowed-signers", str(sealed / "allowed_signers")]) == 0
    assert "(sealer)" in capsys.readouterr().out
    assert main(["verify", str(sealed), "--allowed-signers", str(tmp_path / "nobody")]) == 2
