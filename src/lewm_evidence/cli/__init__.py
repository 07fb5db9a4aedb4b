"""The command `lewm-evidence`: `program` parses and runs it, the other modules hold its commands."""

from lewm_evidence.cli.program import main

__all__ = ["main"]
