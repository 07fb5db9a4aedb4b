"""Takes secrets and traces of the machine out of text before it is written.

Exact values only: those of environment variables with a secret-like name (plain, base64, hex and URL form),
the home directory, the user and the host name. The patterns and the gate over finished files are separate.
"""

import base64
import getpass
import os
import re
import socket
import unicodedata
import urllib.parse
from collections.abc import Callable
from functools import cache
from pathlib import Path

_SECRET_NAME = re.compile(r"token|secret|passw|api_?key|credential|private", re.IGNORECASE)
_ORDINARY_NAMES = {"root", "user", "admin", "localhost", "nobody", "ubuntu", "debian", "runner"}
_SHORTEST_SECRET = 6


@cache
def _replacements() -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET and not Path(value).exists():
            raw = value.encode()
            forms = (value, urllib.parse.quote(value, safe=""), raw.hex(), base64.b64encode(raw).decode())
            found.update(dict.fromkeys(forms, "[secret]"))
    home = str(Path.home())
    if len(home) > 1:
        found[home] = "~"
    return tuple(sorted(found.items(), key=lambda item: -len(item[0])))


@cache
def _names() -> tuple[re.Pattern[str], ...]:
    names = {_quiet(getpass.getuser), _quiet(socket.gethostname)} - _ORDINARY_NAMES - {""}
    return tuple(re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for name in sorted(names) if len(name) > 2)


def _quiet(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except (OSError, KeyError):
        return ""


def redact(text: str) -> str:
    """Returns `text`, NFC-normalised, with secret values, home, user and host names replaced."""
    text = unicodedata.normalize("NFC", text)
    for value, mark in _replacements():
        text = text.replace(value, mark)
    for name in _names():
        text = name.sub("[name]", text)
    return text
