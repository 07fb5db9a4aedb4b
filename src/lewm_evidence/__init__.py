"""lewm-evidence: turn a pinned LeWorldModel checkpoint into sealed, reproducible evidence.

The public names load what they need when first used; importing the package imports neither torch nor Snakemake.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Strings, not imports: a run key covers what a stage imports statically, and must not cover this table's targets.
_PUBLIC = {
    "LeWM": "lewm_evidence.model:LeWM",
    "load_checkpoint": "lewm_evidence.checkpoint:load_checkpoint",
    "planning": "lewm_evidence.planning",
    "worlds": "lewm_evidence.worlds",
}
__all__ = ["LeWM", "__version__", "load_checkpoint", "planning", "worlds"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"lewm_evidence.{name} needs the package {error.name!r}; install lewm-evidence[pipeline]"
        ) from error
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted(__all__)
