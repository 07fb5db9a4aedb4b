"""Run keys without running anything: what a stage's result depends on, found by reading source text.

Nothing named here is imported. The static import closure of a stage module is every module of this package that
it imports, directly or through others, also inside functions; `if TYPE_CHECKING:` blocks do not count. The
package's own `__init__` does not count either: it holds the version and a table of lazy names that no stage uses.
"""

import ast
import ctypes
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Literal

from lewm_evidence.canonical import canonical_json, sha256_bytes
from lewm_evidence.errors import ConfigError, StageError

PACKAGE = "lewm_evidence"
_ROOT = Path(__file__).parent
# The fields in which a statement, an `except` or a `case` holds further statements.
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")


@dataclass(frozen=True)
class Closure:
    """What a module imports, directly or through others.

    Attributes:
        modules: the modules of this package with the sha256 of their source, sorted.
        packages: the top-level names of everything else that is neither this package nor the standard library.
    """

    modules: tuple[tuple[str, str], ...]
    packages: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """sha256 over the names and digests of the modules."""
        return sha256_bytes(canonical_json([list(row) for row in self.modules]))


@cache
def import_closure(module: str, root: Path = _ROOT) -> Closure:
    """Returns the static import closure of `module`, a dotted name below the package at `root`.

    Raises `StageError` when the module, or one it imports from this package, does not exist.
    """
    modules: dict[str, str] = {}
    packages: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in modules:
            continue
        path = _source(name, root)
        if path is None:
            raise StageError(f"module {name} does not exist below {root}; is the package installed completely?")
        source, imported = _read(path, root)
        modules[name] = source
        for target in imported:
            if target.split(".")[0] == PACKAGE:
                waiting += _with_parents(target, root)
            elif target.split(".")[0] not in sys.stdlib_module_names:
                packages.add(target.split(".")[0])
    return Closure(tuple(sorted(modules.items())), tuple(sorted(packages)))


@cache
def _read(path: Path, root: Path) -> tuple[str, tuple[str, ...]]:
    text = path.read_bytes()
    return sha256_bytes(text), tuple(_imports(ast.parse(text).body, root))


def _imports(block: Sequence[ast.AST], root: Path) -> Iterator[str]:
    for node in block:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise StageError(
                    f"line {node.lineno}: imports inside {PACKAGE} are absolute, so that keys can follow them"
                )
            yield node.module
            # `from package import module` names a module of ours that is not in `node.module`.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if name.startswith(PACKAGE + ".") and _source(name, root))
        else:
            # Imports are statements, so expressions, most of a tree, need no visit.
            for inner in _BLOCKS:
                yield from _imports(getattr(node, inner, ()), root)


@cache
def _source(module: str, root: Path) -> Path | None:
    base = root.joinpath(*module.split(".")[1:])
    for path in (base / "__init__.py", base.with_name(base.name + ".py")):
        if path.is_file():
            return path
    return None


def _with_parents(module: str, root: Path) -> list[str]:
    parts = module.split(".")
    names = [".".join(parts[: end + 1]) for end in range(1, len(parts))]
    return [name for name in names if _source(name, root) or name == module]


@cache
def _distributions() -> dict[str, list[str]]:
    return {name: sorted(set(found)) for name, found in metadata.packages_distributions().items()}


@cache
def resolved_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Returns distribution name to installed version for top-level import names.

    Raises `StageError` when one of them is not installed.
    """
    versions = {}
    for package in packages:
        if package not in _distributions():
            raise StageError(
                f"package {package!r} is not installed; install lewm-evidence[pipeline] (or run `make setup`)"
            )
        for distribution in _distributions()[package]:
            versions[distribution] = _version(distribution)
    return versions


@cache
def _version(distribution: str) -> str:
    return metadata.version(distribution)


@cache
def device_class(wanted: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """Returns the device class a job will use, asking the CUDA driver itself, not torch.

    `cuda` is taken at its word: the jobs may run on another node than this one.

    Raises `ConfigError` when `cuda` is asked of a CPU build of torch.
    """
    cpu_build = metadata.version("torch").endswith("+cpu")
    if wanted == "cuda" and cpu_build:
        raise ConfigError("device = 'cuda', but the installed torch is a CPU build; use device: cpu or another torch")
    if wanted != "auto":
        return wanted
    return "cuda" if not cpu_build and _cuda_devices() else "cpu"


def _cuda_devices() -> int:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if found else 0
