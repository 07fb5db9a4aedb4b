"""Looking at a folder without following anything."""

from pathlib import Path

import pytest

from lewm_evidence.errors import RefusedError
from lewm_evidence.seal.tree import Limits, open_plain, parents, scan, stored


def test_scan_finds_files_and_folders(tmp_path: Path) -> None:
    """Sizes by path and every folder, hidden ones too, whatever the order on disk."""
    (tmp_path / "b" / ".c").mkdir(parents=True)
    (tmp_path / "b" / ".c" / "x").write_bytes(b"123")
    (tmp_path / "a").touch()
    tree = scan(tmp_path, Limits())
    assert tree.files == {"a": 0, "b/.c/x": 3} and tree.folders == {"b", "b/.c"}


def test_scan_does_not_enter_a_folder_it_refuses(tmp_path: Path) -> None:
    """A link to a folder is refused before anything behind it is looked at."""
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(RefusedError, match="'loop': is a symbolic link"):
        scan(tmp_path, Limits())


def test_open_plain_opens_neither_links_nor_folders(tmp_path: Path) -> None:
    """Only a regular file is opened, so a link cannot lead the reader elsewhere."""
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    with open_plain(tmp_path / "file") as file:
        assert file.read() == b"abc"
    for name in ("link", "."):
        with pytest.raises(RefusedError, match=r"symbolic link|not a plain file"):
            open_plain(tmp_path / name)
    assert stored(tmp_path / "file").size == 3


def test_parents_go_from_the_inside_out() -> None:
    """The folders above a path, without the root."""
    assert list(parents("a/b/c")) == ["a/b", "a"] and list(parents("a")) == []
