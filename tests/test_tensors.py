"""The tensors of a file by name, from its header."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lewm_evidence.errors import CheckpointError
from lewm_evidence.tensors import tensor_table, tensors


def test_layers_are_counted_as_people_do(tmp_path: Path) -> None:
    """Layer 2 comes before layer 10; type, shape and count are those of the file."""
    made = {f"layers.{n}.weight": np.zeros((2, n), np.float32) for n in (10, 2)} | {"seen": np.array(3)}
    save_file(made, tmp_path / "a.safetensors")
    found = tensors(tmp_path / "a.safetensors")
    assert [tensor.name for tensor in found] == ["layers.2.weight", "layers.10.weight", "seen"]
    assert (found[1].dtype, found[1].shape, found[1].numbers, found[2].numbers) == ("F32", (2, 10), 20, 1)
    table = tensor_table(tmp_path / "a.safetensors")
    assert "| `layers.10.weight` | 2 × 10 | F32 | 20 |" in table and "**3 tensors**" in table and "**25**" in table


@pytest.mark.parametrize("content", [None, b"not weights"])
def test_what_is_no_such_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A missing and a damaged file are refused with the path."""
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        tensors(path)
