"""The review with standard tools in docs/review.md: it passes on a good bundle and on no altered one."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pages import blocks

TOOLS = ("bash", "sha256sum", "find", "tar", "ssh-keygen", "openssl", "base64", "sed")

pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in TOOLS), reason="one of the standard tools is not on this machine"
)


def review(bundle: Path, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    """Runs the document's lines in the folder of a bundle."""
    (script,) = [block.text for block in blocks("sh") if block.page == "review.md" and "DSSEv1" in block.text]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    words = ["bash", "-c", script]
    return subprocess.run(words, cwd=bundle, env=environment, capture_output=True, text=True, check=False)


def test_the_good_bundle_passes(sealed: Path, tmp_path: Path) -> None:
    """Every line succeeds, and both signatures are called good."""
    told = review(sealed, tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr
    assert 'Good "file" signature for sealer' in told.stdout and "Verified Successfully" in told.stdout


@pytest.mark.parametrize(
    "name",
    [
        "bag/data/config.json",
        "bag/manifest-sha256.txt",
        "bag/tagmanifest-sha256.txt",
        "bag/ro-crate-metadata.json",
        "statement.dsse.json",
        "tagmanifest-sha256.txt.sig",
        "0123456789abcdef0123.tar",
    ],
)
def test_a_changed_byte_does_not(name: str, bundle: Path, tmp_path: Path) -> None:
    """In the payload, a manifest, the crate, the statement, the signature or the archive."""
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    assert review(bundle, tmp_path).returncode != 0


def test_an_extra_file_or_a_link_does_not(bundle: Path, tmp_path: Path) -> None:
    """What no manifest lists is found too."""
    (bundle / "bag" / "extra").touch()
    assert review(bundle, tmp_path).returncode != 0
    (bundle / "bag" / "extra").unlink()
    assert review(bundle, tmp_path).returncode == 0
    (bundle / "bag" / "link").symlink_to("bagit.txt")
    assert review(bundle, tmp_path).returncode != 0
