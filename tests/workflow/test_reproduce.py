"""From a bundle that the real DAG made, in an empty folder: equal, and one altered weight is named."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from project import Project

from lewm_evidence.canonical import write_atomic
from lewm_evidence.cli import main
from lewm_evidence.records import FinishedRun
from lewm_evidence.records.manifest import MANIFEST, entries, result_digest
from lewm_evidence.reproduce.again import reproduce
from lewm_evidence.reproduce.compare import read_tensors
from lewm_evidence.reproduce.diff import diff
from lewm_evidence.seal.bundle import write_bundle
from lewm_evidence.seal.verify import verify

CANARY, USER = "c4n4ry-pl4nted-h3re", "margarethe"
SMALL = {"num_samples": 16, "iterations": 2, "elites": 4}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder, made by `snakemake evidence` for a user with a name and a secret."""
    project = Project(tmp_path_factory.mktemp("first"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_API_TOKEN", CANARY)
        patch.setenv("LOGNAME", USER)
        done = project.snakemake(
            "evidence",
            showcase={"budget": 10, "candidates": 2, "latency_repeats": 1, "planner": SMALL | {"execute": 2}},
            evaluate={"episodes": 5, "budget": 10, "bootstrap": 100, "planner": SMALL},
            gate={"lewm_minus_random_px": 1000.0, "lewm_minus_noop_px": 1000.0},
        )
    assert done.returncode == 0, done.stdout
    return next((project.path / "evidence").iterdir())


def test_nothing_of_the_maker_is_in_the_bundle(bundle: Path) -> None:
    """Secret, user and project folder are in no file as it lies there; the gate has looked inside each."""
    for path in bundle.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for trace in (CANARY, USER, str(bundle.parents[1])):
            assert trace.encode() not in data, path


def sealed_runs(bundle: Path) -> dict[str, FinishedRun]:
    """Returns the runs in a bundle folder by name."""
    bag = bundle / "bag"
    index = json.loads((bag / "data" / "index.json").read_bytes())
    return {name: FinishedRun(bag / f"data/runs/{run['stage']}/{run['key']}") for name, run in index["runs"].items()}


def made_again(bundle: Path, folder: Path, change: Mapping[str, object]) -> Path:
    """Returns a valid bundle in `folder` in which some files of the fetch run hold other bytes."""
    shutil.copytree(bundle / "bag" / "data" / "runs", folder / "runs")
    runs = {name: FinishedRun(folder / "runs" / run.name) for name, run in sealed_runs(bundle).items()}
    fetch = runs["fetch"].path
    for name, data in change.items():
        assert isinstance(data, bytes)
        (fetch / name).write_bytes(data)
    manifest = json.loads((fetch / MANIFEST).read_bytes())
    files = entries(fetch)
    manifest |= {"files": [entry.model_dump() for entry in files], "result_digest": result_digest(files)}
    write_atomic(fetch / MANIFEST, json.dumps(manifest).encode())
    config = json.loads((bundle / "bag" / "data" / "config.json").read_bytes())
    made = folder / "evidence" / bundle.name
    write_bundle(made, {name: FinishedRun(run.path) for name, run in runs.items()}, config)
    verify(made)
    return made


def test_an_archive_alone_reproduces_equal(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage that makes results comes out with the sealed digest; nothing beside the archive is read."""
    archive = tmp_path / "here" / f"{bundle.name}.tar"
    archive.parent.mkdir()
    shutil.copy(bundle / archive.name, archive)
    monkeypatch.chdir(archive.parent)
    told: list[str] = []
    found = reproduce(Path(archive.name), tmp_path / "into", tell=told.append)
    assert found.verdict == "equal", "\n".join(told)
    outcomes = {stage.name: stage.outcome for stage in found.stages}
    assert {name for name, outcome in outcomes.items() if outcome == "equal"} == {
        *("fetch", "showcase", "evaluate", "gate", "render_tensorboard", "render_rerun")
    }
    runs = sealed_runs(bundle)
    for stage in found.stages:
        if stage.outcome == "equal":
            assert stage.again == stage.run and stage.comparison is not None
            assert stage.comparison.found == runs[stage.name].manifest.result_digest
    assert found.changes == [] and found.other_code == []
    assert "here      the same in all that is recorded" in told


def test_an_altered_weight_is_named(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a valid bundle with one weight changed: stage, file, tensor, place and size; what follows is not run."""
    weights = sealed_runs(bundle)["fetch"].path / "checkpoint" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    name, start = first_weights(bytes(data))
    data[start + 4 * 5 + 3] ^= 0x40  # an exponent bit of the sixth number
    altered = made_again(bundle, tmp_path, {"checkpoint/model.safetensors": bytes(data)})
    assert main(["reproduce", str(altered / f"{altered.name}.tar"), "--json"]) == 1
    outcome = json.loads(capsys.readouterr().out)
    first = outcome["stages"][0]
    assert (first["name"], first["outcome"]) == ("fetch", "different")
    (file,) = first["comparison"]["files"]
    assert file["file"] == "checkpoint/model.safetensors" and file["count"] == 1
    shape = read_tensors(weights.read_bytes())[name].shape
    index = [int(n) for n in unravelled(5, shape)]
    assert file["first"]["place"] == f"tensor {name}{index}"
    before, after = read_tensors(bytes(data))[name].flat[5], read_tensors(weights.read_bytes())[name].flat[5]
    assert file["first"]["size"] == pytest.approx(abs(float(before) - float(after)))
    assert {stage["outcome"] for stage in outcome["stages"][1:]} == {"skipped"}
    rows = diff(bundle, altered).sections["checkpoint"]
    assert [row.what for row in rows] == ["checkpoint/model.safetensors"]


def first_weights(data: bytes) -> tuple[str, int]:
    """Returns the name of the first float32 tensor of a safetensors file, and where its bytes begin."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    floats = {name: row for name, row in header.items() if row.get("dtype") == "F32"}
    name = min(floats, key=lambda key: floats[key]["data_offsets"][0])
    return name, end + header[name]["data_offsets"][0]


def unravelled(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the index of the value at `place` of an array of that shape."""
    index = []
    for size in reversed(shape):
        place, rest = divmod(place, size)
        index.append(rest)
    return tuple(reversed(index))


def test_another_instruction_set_stays_within_tolerance(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch without vector instructions stands for another machine: other last digits, the same evidence."""
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    found = reproduce(bundle, tmp_path / "into", only=["showcase"])
    assert found.verdict in ("equal", "within tolerance")
    environment = FinishedRun(next((tmp_path / "into" / "runs" / "showcase").iterdir())).manifest.environment
    assert environment["cpu_capability"] in ("DEFAULT", "NO AVX")
