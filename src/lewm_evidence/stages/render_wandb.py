"""A finished run as a Weights & Biases run, offline unless asked otherwise, with the same numbers.

REQUIRED INPUTS: `run`, any finished run; the environment `envs/wandb-<digest>/`.
OUTPUTS: `views/wandb/<offline-run-...>/`, for `wandb sync`; its name and id are the ULID of the run's key. Event
`wandb/run` with the label and the number of points, which were read back with wandb's own `leet inspect`.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lewm_evidence.workers
from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import ProbeError, StageError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.records.schema import Scalar
from lewm_evidence.workers.contract import surroundings, ulid
from lewm_evidence.workers.environment import ENVIRONMENTS
from lewm_evidence.workers.tracking import proxies

WRITER = Path(lewm_evidence.workers.__path__[0]) / "adapters" / "wandb_writer.py"
_PATIENCE = 300.0

Points = list[tuple[int, dict[str, float]]]


def run(out: Run) -> None:
    """Writes the W&B run, reads it back and compares."""
    source, logs = out.input("run"), out.path / "logs"
    points = _points(source)
    label = ulid(source.path.name)
    folder = out.path / "views"
    folder.mkdir(parents=True, exist_ok=True)
    logs.mkdir(exist_ok=True)
    spec = _spec(out, source, label, points, folder)
    (logs / "spec.json").write_bytes(canonical_json(spec))
    binary = (ENVIRONMENTS / out.config["environment"] / "bin").absolute()
    with tempfile.TemporaryDirectory(prefix="lewm-evidence-") as private:
        around = _around(Path(private), out)
        _call([binary / "python", WRITER, (logs / "spec.json").absolute()], around)
        made = next((folder / "wandb").glob("*run-*"))
        said = _call([binary / "wandb", "leet", "inspect", "--json", made], around)
    _compare(points, said)
    # What wandb says of itself names folders of this machine.
    for link in [path for path in (folder / "wandb").rglob("*") if path.is_symlink()]:
        link.unlink()
    shutil.move(made / "logs", logs / "wandb")
    (folder / "wandb" / "README.md").write_text(_HOW.format(name=made.name), encoding="utf-8")
    count = sum(len(values) for _, values in points)
    out.event("wandb/run", run_id=label, run=source.name, points=count, mode=out.config["mode"])
    say(f"W&B: {count} points in run {label}, read back as they were recorded")


_HOW = """Run `wandb sync {name}` in this folder to send it to your W&B account; nothing was sent yet.
`wandb leet inspect {name}` shows what is in it.
"""


def _points(run: FinishedRun) -> Points:
    """Returns the numbers of a run by step; a tag with several values at a step comes as often."""
    rows: dict[tuple[int, int], dict[str, float]] = {}
    seen: dict[tuple[int, str], int] = {}
    for tag, step, value in _numbers(run):
        turn = seen.get((step, tag), 0)
        seen[step, tag] = turn + 1
        rows.setdefault((step, turn), {})[tag] = value
    return [(step, values) for (step, _), values in sorted(rows.items())]


def _numbers(run: FinishedRun) -> Iterator[tuple[str, int, float]]:
    for record in run.records("scalar"):
        if isinstance(record, Scalar):
            yield record.tag, record.step, record.value
    for timing in run.timings():
        tag = timing.tag if timing.tag.startswith("charts/") else f"timing/{timing.tag}"
        yield tag, timing.step, timing.value


def _spec(out: Run, source: FinishedRun, label: str, points: Points, folder: Path) -> dict[str, Any]:
    manifest = source.manifest
    return {
        "mode": out.config["mode"],
        "project": out.config["project"],
        "entity": out.config["entity"],
        "run_id": label,
        "config": source.spec.config,
        "folder": str(folder.absolute()),
        "points": points,
        "artifact": {
            "name": f"{manifest.stage}-{manifest.key}",
            "metadata": {"result_digest": manifest.result_digest},
            "references": [
                (f"lewm-evidence:{source.name}/{entry.path}?sha256={entry.sha256}", entry.path)
                for entry in manifest.files
                if entry.role == "result"
            ],
        },
    }


def _around(private: Path, out: Run) -> dict[str, str]:
    around = {**os.environ, **surroundings(private, out.threads), **proxies(os.environ)}
    around["WANDB_MODE"] = out.config["mode"]
    around.pop("WANDB_DISABLED", None)
    for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT"):
        around[f"WANDB_{name}_DIR"] = str(private)
    if out.config["mode"] == "online":
        around.setdefault("NETRC", str(Path.home() / ".netrc"))  # where `wandb login` keeps the key
    else:
        around.pop("WANDB_API_KEY", None)
    return around


def _call(command: list[str | Path], around: dict[str, str]) -> str:
    try:
        done = subprocess.run(command, env=around, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StageError(f"wandb could not be called: {error}; is its environment whole?") from error
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise StageError(f"wandb ended with status {done.returncode}:\n{last}")
    return done.stdout


def _compare(points: Points, said: str) -> None:
    rows = [json.loads(line)["history"]["item"] for line in said.splitlines() if '"type":"history"' in line]
    found = [(row["step"], {tag: row[tag] for tag in row if tag != "step" and tag[0] != "_"}) for row in rows]
    if found != points:
        wrong = next((place for place, pair in enumerate(zip(points, found, strict=False)) if pair[0] != pair[1]), None)
        raise ProbeError(f"wandb reads {len(found)} rows back, {len(points)} were recorded; first difference: {wrong}")


if __name__ == "__main__":
    main(run)
