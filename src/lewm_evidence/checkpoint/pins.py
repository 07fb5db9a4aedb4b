"""The sha256 of every file of the checkpoints that ship in the package.

A table in source, not in data: it is part of the fetch stage's code, so another checkpoint gives another run key.
"""

EMBEDDED: dict[str, dict[str, str]] = {}
