"""Checkpoints: their format on disk, where they come from, and the checks they pass."""

from lewm_evidence.checkpoint.format import load_checkpoint, save_checkpoint
from lewm_evidence.model.normalization import Normalization, from_blocks, to_blocks

__all__ = ["Normalization", "from_blocks", "load_checkpoint", "save_checkpoint", "to_blocks"]
