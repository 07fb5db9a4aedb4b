"""Names of the tensors under transformers 4 (as published) and transformers 5 (as used here).

Only the encoder layers differ: `encoder.encoder.layer.N.…` became `encoder.layers.N.…`.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from lewm_evidence.errors import CheckpointError

Value = TypeVar("Value")

# Published name of a part of an encoder layer, and ours.
_PARTS = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layernorm_before": "layernorm_before",
    "layernorm_after": "layernorm_after",
}
_BACK = {ours: published for published, ours in _PARTS.items()}
_PUBLISHED = re.compile(r"encoder\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_OURS = re.compile(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")


def to_internal(name: str) -> str:
    """Returns our name for a published one; any other name comes back unchanged."""
    match = _PUBLISHED.fullmatch(name)
    if match is None or match[2] not in _PARTS:
        return name
    return f"encoder.layers.{match[1]}.{_PARTS[match[2]]}.{match[3]}"


def to_published(name: str) -> str:
    """Returns the published name for one of ours; any other name comes back unchanged."""
    match = _OURS.fullmatch(name)
    if match is None or match[2] not in _BACK:
        return name
    return f"encoder.encoder.layer.{match[1]}.{_BACK[match[2]]}.{match[3]}"


def internal_names(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Returns `tensors` under our names; raises `CheckpointError` when two of them would share one."""
    renamed = {to_internal(name): value for name, value in tensors.items()}
    if len(renamed) != len(tensors):
        raise CheckpointError("the weights hold the same tensor under both namings of transformers; keep one")
    return renamed
