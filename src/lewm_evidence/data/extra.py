"""Packages that only recorded datasets need."""

import importlib
from typing import Any

from lewm_evidence.errors import DataError


def needed(package: str) -> Any:
    """Returns the module `package`, or raises `DataError` saying which extra brings it.

    Not an import statement: a run key counts every package that a stage imports anywhere, and a run without a
    dataset must not depend on these.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DataError(f"datasets need {package}; install it with: pip install 'lewm-evidence[data]'") from error
