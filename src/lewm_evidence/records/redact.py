"""What must not leave this machine: secrets, its paths, its user and host name; and taking them out of text.

Exact values only. `redact` replaces them when a record is written; the gate of `seal.gate` searches every finished
file for the same values and stops sealing.

A secret is the value of an environment variable whose name says so (`SECRET_NAME`), and the password in a URL that
a variable holds. Switches such as `true` or `100000`, values shorter than 6 characters and paths that exist are not.
"""

import base64
import getpass
import html
import json
import os
import re
import socket
import sys
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

SECRET_NAME = re.compile(r"token|secret|passw|api_?key|access_?key|credential|private|_key$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_SWITCH = re.compile(r"true|false|yes|no|on|off|none|null|auto|default|enabled?|disabled?|required|optional", re.I)
_NUMBER = re.compile(r"[\d.,_+-]{1,11}")
# Names that many machines share and that ordinary text holds.
_ORDINARY_NAMES = {
    *("root", "user", "users", "admin", "localhost", "nobody", "ubuntu", "debian", "fedora", "runner", "vagrant"),
    *("worker", "node", "server", "desktop", "laptop", "build", "builder", "home", "host", "docker", "container"),
    *("gpu", "cpu", "cuda", "linux", "python", "torch", "model", "train", "test", "tests", "data", "dev", "main"),
    *("evidence", "lewm", "rerun", "tensorboard", "snakemake", "report", "default", "local", "me", "lab", "cluster"),
}
_SHORTEST_SECRET = 6
_SHORTEST_LINE = 16
_SHORTEST_NAME = 3
# Where programs are installed on many machines alike; such a prefix says nothing about this one.
_SHARED_PREFIXES = ("/usr", "/opt", "/nix", "/bin", "/Library", "/System")


def known_secrets() -> dict[str, str]:
    """Returns the secret values of the environment, with the name of the variable that holds each."""
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        for password in _URL_PASSWORD.findall(value):
            _keep(found, urllib.parse.unquote(password), f"the password in {name}")
        # os.path.exists, unlike Path.exists, takes a value that is too long for a path.
        if SECRET_NAME.search(name) and not os.path.exists(value):  # noqa: PTH110
            _keep(found, value, name)
            for line in value.splitlines()[1:-1]:
                if len(line) >= _SHORTEST_LINE:
                    _keep(found, line, f"a line of {name}")
    return found


def _keep(found: dict[str, str], value: str, where: str) -> None:
    value = value.strip()
    if len(value) >= _SHORTEST_SECRET and not _SWITCH.fullmatch(value) and not _NUMBER.fullmatch(value):
        found.setdefault(value, where)


def secret_forms(value: str) -> dict[str, str]:
    """Returns how `value` may be spelled in a file, with the name of each spelling."""
    raw = value.encode("utf-8", "surrogateescape")
    forms = {
        value: "plain",
        unicodedata.normalize("NFC", value): "plain",
        json.dumps(value)[1:-1]: "JSON",
        json.dumps(value, ensure_ascii=False)[1:-1]: "JSON",
        html.escape(value): "HTML",
        raw.hex(): "hex",
        raw.hex().upper(): "hex",
    }
    for quoted in (urllib.parse.quote_from_bytes(raw, safe=""), urllib.parse.quote_from_bytes(raw)):
        forms.setdefault(quoted, "URL form")
        forms.setdefault(quoted.replace("%20", "+"), "URL form")
        forms.setdefault(re.sub("%..", lambda found: found[0].lower(), quoted), "URL form")
    for core in _base64_cores(raw):
        forms.setdefault(core, "base64")
        forms.setdefault(core.replace("+", "-").replace("/", "_"), "base64")
    return {form: name for form, name in forms.items() if len(form) >= _SHORTEST_SECRET}


def _base64_cores(raw: bytes) -> Iterator[str]:
    """Yields what base64 makes of `raw` wherever it starts in a longer text, without the letters it shares."""
    for offset in range(3):
        shared = -(-offset * 8 // 6)
        whole = (offset + len(raw)) * 8 // 6
        yield base64.b64encode(bytes(offset) + raw).decode()[shared:whole]


def machine_paths() -> dict[str, str]:
    """Returns the folders that tell this machine from another, with what each is."""
    found: dict[str, str] = {}
    for path, what in (
        (Path(os.path.expanduser("~")), "the home folder"),  # noqa: PTH111  # Path.home() fails where there is none
        (Path.cwd(), "the project's folder"),
        (Path(sys.prefix), "the folder of this Python"),
    ):
        for form in (str(path), str(path.resolve())):
            deep = form.count("/") > 1 or what == "the home folder"
            if deep and len(form) > 1 and not form.startswith(_SHARED_PREFIXES):
                found.setdefault(form, what)
    return found


def path_pattern(path: str) -> re.Pattern[str]:
    """Returns what finds `path` where it starts a path, and neither part of a name nor the host of a URL."""
    return re.compile(rf"(?<![\w.-])(?<!:/){re.escape(path)}(?![\w-])")


def machine_names() -> dict[str, str]:
    """Returns user and host name, with what each is; those that many machines share are left out."""
    host = _quiet(socket.gethostname)
    asked = {_quiet(getpass.getuser): "the user name", host: "the host name", host.split(".")[0]: "the host name"}
    return {
        name: what
        for name, what in asked.items()
        if len(name) >= _SHORTEST_NAME and name.lower() not in _ORDINARY_NAMES and not name.isdigit()
    }


def name_pattern(name: str) -> re.Pattern[str]:
    """Returns what finds `name` as a word; `name/repository`, as a hub spells it, is not a trace of the machine."""
    repository = rf"(?:(?<=[\s\"'`(=]{re.escape(name)})|(?<=\A{re.escape(name)})|(?<=\.co/{re.escape(name)}))/[\w.-]"
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)(?!{repository})")


def _quiet(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except (OSError, KeyError):
        return ""


@cache
def _replacements() -> tuple[str, ...]:
    forms = {form for value in known_secrets() for form in secret_forms(value)}
    return tuple(sorted(forms, key=lambda form: -len(form)))


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    marks = {"the home folder": "~", "the project's folder": "."}
    paths = sorted(machine_paths().items(), key=lambda item: -len(item[0]))
    found = [(path_pattern(path), marks.get(what, "[folder]")) for path, what in paths]
    return (*found, *((name_pattern(name), "[name]") for name in sorted(machine_names())))


def forget() -> None:
    """Makes the next call look at the environment again; it is looked at once, then remembered."""
    _replacements.cache_clear()
    _patterns.cache_clear()


def redact(text: str) -> str:
    """Returns `text`, NFC-normalised, with secret values, this machine's folders, user and host names replaced."""
    text = unicodedata.normalize("NFC", text)
    for value in _replacements():
        text = text.replace(value, "[secret]")
    for pattern, mark in _patterns():
        text = pattern.sub(mark, text)
    return text
