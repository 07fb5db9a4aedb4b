"""The crate: other readers accept it, it repeats what the manifests say, and the verifier holds it to that."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import example_runs
from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import RefusedError
from lewm_evidence.records import FinishedRun, Run
from lewm_evidence.seal.bag import write_bag
from lewm_evidence.seal.crate import CRATE, check_crate
from lewm_evidence.seal.tree import Limits, Stored, scan, stored

ROOT = Path(__file__).parents[2]
AGENT = {"kind": "Organization", "name": "A laboratory", "id": "https://ror.org/05a28rw58"}
HUB = {"source": "hub", "repo": "quentinll/lewm-pusht", "revision": "22b330c28c27ead4bfd1888615af1340e3fe9052"}
Graph = dict[str, dict[str, Any]]


def make(bag: Path, runs: dict[str, FinishedRun], config: dict[str, Any]) -> Graph:
    """Writes a bag with the project's own Snakefile and returns the crate's entities by name."""
    workflow = {"Snakefile": ROOT / "Snakefile", "workflow/rules/common.smk": ROOT / "workflow/rules/common.smk"}
    write_bag(bag, runs, config, workflow=workflow)
    return graph(bag)


def graph(bag: Path) -> Graph:
    """Returns the entities of a bag's crate by name."""
    return {entity["@id"]: entity for entity in json.loads((bag / CRATE).read_bytes())["@graph"]}


def payload(bag: Path) -> dict[str, Stored]:
    """Returns digest and size of every payload file of a bag."""
    return {name: stored(bag / name) for name in scan(bag, Limits()).files if name.startswith("data/")}


def test_describes_every_file_and_every_run(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """Files with digest and size, a step, a tool and an action a run, and who organised them."""
    found = make(tmp_path / "bag", examples, {"checkpoint": HUB, "seal": {"agent": AGENT}})
    for name, file in payload(tmp_path / "bag").items():
        assert (found[name]["sha256"], found[name]["contentSize"]) == (file.sha256, str(file.size))
    for stage, run in examples.items():
        action = found[f"#run/{run.name}"]
        assert action["instrument"] == {"@id": f"#stage-{stage}"} and action["agent"] == {"@id": AGENT["id"]}
        made = {file["@id"] for file in action["result"]}
        assert f"data/runs/{run.name}/records.jsonl" in made and f"data/runs/{run.name}/manifest.json" in made
        assert found[f"#step-{stage}"]["workExample"] == {"@id": f"#stage-{stage}"}
    used = [entity["@id"] for entity in found[f"#run/{examples['evaluate'].name}"]["object"]]
    assert f"data/runs/{examples['fetch'].name}/manifest.json" in used
    assert found["#snakemake-run"]["@type"] == "OrganizeAction"
    checkpoint = found[f"data/runs/{examples['fetch'].name}/checkpoint/"]
    assert checkpoint["version"] == HUB["revision"] and checkpoint["license"] == "MIT"
    assert checkpoint["isBasedOn"] == {"@id": "https://huggingface.co/quentinll/lewm-pusht"}


def test_every_reference_leads_somewhere(examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """What an entity points to inside the crate is described there."""
    found = make(tmp_path / "bag", examples, {})

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [value["@id"]]
        return [name for one in value for name in references(one)] if isinstance(value, list) else []

    for entity in found.values():
        for name in references([value for value in entity.values() if isinstance(value, list | dict)]):
            assert name in found or name.startswith(("http://", "https://")), (entity["@id"], name)


def test_names_are_written_as_addresses(tmp_path: Path) -> None:
    """A name with a space and a letter beyond ASCII is encoded, and read back as what it is."""

    def write(run: Run) -> None:
        (run.path / "views").mkdir()
        (run.path / "views" / "größer als.txt").write_text("x")

    run = example_runs.finished(tmp_path / "runs", "fetch", write)
    found = make(tmp_path / "bag", {"fetch": run}, {})
    assert f"data/runs/{run.name}/views/gr%C3%B6%C3%9Fer%20als.txt" in found
    check_crate((tmp_path / "bag" / CRATE).read_bytes(), payload(tmp_path / "bag"))


def test_holds_no_clock_and_no_random_name(sealed: Path) -> None:
    """The only date is the constant one."""
    text = (sealed / "bag" / CRATE).read_text()
    assert text.count("datePublished") >= 1 and "1980-01-01T00:00:00+00:00" in text
    assert "endTime" not in text and "uuid" not in text


def test_nobody_is_named_and_no_workflow_claimed_without_one(sealed: Path) -> None:
    """Without a Snakefile and an agent it is a Process Run Crate of nobody in particular."""
    found = graph(sealed / "bag")
    assert found["./"]["conformsTo"] == {"@id": "https://w3id.org/ro/wfrun/process/0.5"}
    assert not {"author", "publisher", "mainEntity"} & found["./"].keys()
    assert not [entity for entity in found.values() if entity["@type"] in ("Person", "Organization", "OrganizeAction")]


def test_what_is_not_there_is_a_row_with_a_reason(sealed: Path) -> None:
    """In the index and in the crate's description."""
    rows = json.loads((sealed / "bag" / "data" / "index.json").read_bytes())["skipped"]
    told = {row["what"]: row["reason"] for row in rows}
    assert {"GPU", "training", "report", "Snakefile", "git commit", "person or organisation", "dates"} <= told.keys()
    assert "foreign trainers and policies" in told and "showcase" not in told
    description = graph(sealed / "bag")["./"]["description"]
    assert all(row["reason"] in description for row in rows)
    bundle = json.loads((sealed / "bundle.json").read_bytes())
    assert [row["what"] for row in bundle["skipped"]] == ["signature by a known identity"]


def edit(change: Callable[[list[dict[str, Any]], Graph], object]) -> Callable[[Path], bytes]:
    """Returns what reads a crate, changes it and returns its bytes."""

    def attack(bag: Path) -> bytes:
        document = json.loads((bag / CRATE).read_bytes())
        change(document["@graph"], {entity["@id"]: entity for entity in document["@graph"]})
        return canonical_json(document)

    return attack


def add(**entity: Any) -> Callable[[Path], bytes]:
    """Returns what adds an entity to a crate."""
    return edit(lambda entities, _: entities.append({f"@{name}": value for name, value in entity.items()}))


CONFIG = "data/config.json"
ATTACKS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "other sha256": (edit(lambda _, g: g[CONFIG].update(sha256="0" * 64)), f"gives {CONFIG} another sha256"),
    "other size": (edit(lambda _, g: g[CONFIG].update(contentSize="1")), f"gives {CONFIG} another contentSize"),
    "no sha256": (edit(lambda _, g: g[CONFIG].pop("sha256")), f"gives {CONFIG} another sha256"),
    "file dropped": (edit(lambda e, g: e.remove(g[CONFIG])), f"does not describe {CONFIG}"),
    "file no file": (edit(lambda _, g: g[CONFIG].update({"@type": "Thing"})), f"does not describe {CONFIG}"),
    "file of nothing": (add(id="data/x", type="File"), "describes the file 'data/x', which is not in the bag"),
    "way up": (add(id="../x", type="File"), "component '..'"),
    "way up, encoded": (add(id="data/%2e%2e/x", type=["Thing", "File"]), "holds '%'"),
    "absolute": (add(id="/etc/passwd", type="File"), "absolute"),
    "file address": (add(id="file:///etc/passwd", type="File"), "holds ':'"),
    "remote file": (add(id="https://example.org/x", type="File"), "https://example.org/x"),
    "folder outside": (add(id="../", type="Dataset"), "describes '../', which is not in the bag"),
    "folder of nothing": (add(id="data/none/", type="Dataset"), "describes 'data/none/'"),
    "twice": (edit(lambda e, g: e.append(g[CONFIG])), 'no @id of its own: "data/config.json"'),
    "nameless": (edit(lambda e, _: e.append({})), "no @id of its own: null"),
    "no graph": (lambda _: b"[]\n", "is not a graph"),
    "not canonical": (lambda bag: (bag / CRATE).read_bytes() + b"\n", "not canonical"),
    "key twice": (lambda _: b'{"@graph":[],"@graph":[]}\n', "same key twice"),
    "not a number": (lambda _: b'{"@graph":[NaN]}\n', "not strict JSON"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_crate_that_says_something_else_is_refused(attack: str, sealed: Path) -> None:
    """The good crate passes, and each other one is refused with its own reason."""
    files = payload(sealed / "bag")
    check_crate((sealed / "bag" / CRATE).read_bytes(), files)
    change, reason = ATTACKS[attack]
    with pytest.raises(RefusedError) as refusal:
        check_crate(change(sealed / "bag"), files)
    assert str(refusal.value).startswith(f"{CRATE}: ") and reason in str(refusal.value)


def tool(name: str) -> Path:
    """Returns a program of the validator's environment; skips where there is none."""
    found = Path(os.environ.get("LEWM_VALIDATOR", ROOT / ".venv-validate")) / "bin" / name
    if not found.exists():
        pytest.skip("no rocrate-validator on this machine; `make validator` installs it")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["ro-crate-1.1", "workflow-run-crate-0.5", "provenance-run-crate-0.5"])
def test_the_validator_finds_nothing_required(profile: str, examples: dict[str, FinishedRun], tmp_path: Path) -> None:
    """The RO-Crate community's own validator, offline, on the bag's root; and it sees a missing action."""
    python, program = tool("python"), tool("rocrate-validator")
    cache = tmp_path / "cache" / "http"
    cache.parent.mkdir()
    filler = ROOT / "tests" / "tools" / "fill_validator_cache.py"
    subprocess.run([python, filler, cache, ROOT / "tests" / "data" / "contexts"], check=True, capture_output=True)

    def issues(bag: Path) -> list[Any]:
        out = tmp_path / "out.json"
        words = ["-y", "--disable-color", "validate", "-v", "--no-paging", "--offline", "--cache-path", cache]
        words += ["-p", profile, "-l", "required", "-f", "json", "-o", out, bag]
        # Relative state of the validator goes where it can be thrown away.
        subprocess.run([program, *words], cwd=tmp_path, capture_output=True, check=False)
        found: list[Any] = json.loads(out.read_bytes())["issues"]
        out.unlink()
        return found

    make(tmp_path / "bag", examples, {"checkpoint": HUB, "seal": {"agent": AGENT}})
    assert issues(tmp_path / "bag") == []
    shutil.copytree(tmp_path / "bag", tmp_path / "bad")
    (tmp_path / "bad" / CRATE).write_bytes(edit(lambda e, g: e.remove(g["./"]))(tmp_path / "bag"))
    assert issues(tmp_path / "bad") != []


@pytest.mark.slow
def test_the_validator_accepts_a_crate_without_workflow(sealed: Path, tmp_path: Path) -> None:
    """The same for what is sealed where no Snakefile lies: a Process Run Crate."""
    python, program = tool("python"), tool("rocrate-validator")
    cache, out = tmp_path / "http", tmp_path / "out.json"
    filler = ROOT / "tests" / "tools" / "fill_validator_cache.py"
    subprocess.run([python, filler, cache, ROOT / "tests" / "data" / "contexts"], check=True, capture_output=True)
    words = ["-y", "validate", "--no-paging", "--offline", "--cache-path", cache, "-p", "process-run-crate-0.5"]
    words += ["-l", "required", "-f", "json", "-o", out, sealed / "bag"]
    subprocess.run([program, *words], cwd=tmp_path, capture_output=True, check=False)
    assert json.loads(out.read_bytes())["issues"] == []
