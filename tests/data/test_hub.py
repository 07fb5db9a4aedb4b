"""Datasets from a loopback hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_server import REVISION, Hub, serve
from lewm_evidence.data.hub import fetch_dataset
from lewm_evidence.errors import CheckpointError, DataError

CONTENT = b"a dataset" * 1000


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with a dataset repository, and an empty cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve(Hub("datasets/someone/tiny", {"tiny.h5.zst": CONTENT})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def pinned(hub: Hub) -> dict[str, str]:
    """The dataset's pin."""
    return {"repo": "someone/tiny", "revision": REVISION, "sha256": hub.sha256()["tiny.h5.zst"]}


def test_a_pinned_dataset_is_fetched_once(hub: Hub, pinned: dict[str, str], tmp_path: Path) -> None:
    """The file is the hub's; a second call asks nothing."""
    target = tmp_path / "data" / "tiny.h5.zst"
    fetch_dataset(**pinned, target=target)
    assert target.read_bytes() == CONTENT
    asked = len(hub.requests)
    fetch_dataset(**pinned, target=target)
    assert len(hub.requests) == asked
    assert [path.name for path in target.parent.iterdir()] == ["tiny.h5.zst"]


def test_another_file_in_its_place_is_not_overwritten(hub: Hub, pinned: dict[str, str], tmp_path: Path) -> None:
    """A file that is there and is not the pinned one stays, and the error says what to do."""
    target = tmp_path / "tiny.h5.zst"
    target.write_bytes(b"mine")
    with pytest.raises(DataError, match="move it away"):
        fetch_dataset(**pinned, target=target)
    assert target.read_bytes() == b"mine"


def test_a_wrong_byte_leaves_nothing(hub: Hub, pinned: dict[str, str], tmp_path: Path) -> None:
    """A body that is not the pinned one is refused; no folder with half a dataset stays."""
    hub.altered["tiny.h5.zst"] = CONTENT[:-1] + b"X"
    with pytest.raises(CheckpointError, match="has sha256"):
        fetch_dataset(**pinned, target=tmp_path / "data" / "tiny.h5.zst")
    assert list((tmp_path / "data").iterdir()) == []
