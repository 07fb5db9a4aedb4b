"""Which file names a bundle may hold: those that mean the same file on every common system."""

import unicodedata

MAX_COMPONENT = 255
MAX_PATH = 1024
# `%` is an escape in BagIt manifests that not every reader undoes; the others are special on some system.
_FORBIDDEN = frozenset('\\:*?"<>|%')
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def fault_in(path: str) -> str | None:
    """Returns why `path`, relative and with forward slashes, cannot be in a bundle; None when it can."""
    if any(unicodedata.category(letter) in _INVISIBLE for letter in path):
        return "its name holds an invisible character or is not UTF-8"
    if unicodedata.normalize("NFC", path) != path:
        return "its name is not in Unicode normal form C"
    if len(path.encode()) > MAX_PATH:
        return f"its name is longer than {MAX_PATH} bytes"
    if path.startswith("/"):
        return "its name is absolute"
    return next((fault for part in path.split("/") if (fault := _fault_in_component(part))), None)


def _fault_in_component(part: str) -> str | None:
    if part in ("", ".", ".."):
        return f"its name has the component {part!r}"
    if found := sorted(_FORBIDDEN.intersection(part)):
        return f"its name holds {found[0]!r}"
    if part != part.strip() or part.endswith("."):
        return "its name has a component that starts or ends with a space, or ends with a dot"
    if part.split(".")[0].strip().casefold() in _DEVICES:
        return f"its name has the component {part!r}, a device on Windows"
    if len(part.encode()) > MAX_COMPONENT:
        return f"its name has a component longer than {MAX_COMPONENT} bytes"
    return None


class Names:
    """Checks the names of one tree, also against each other."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def fault(self, path: str) -> str | None:
        """Returns why `path` cannot be in the tree beside those given before; None when it can."""
        if fault := fault_in(path):
            return fault
        other = self._seen.setdefault(unicodedata.normalize("NFC", path.casefold()), path)
        if other == path:
            return None
        return f"its name differs from {other!r} by case only"
