"""`ro-crate-metadata.json`: the bag described as a Provenance Run Crate, for tools that know nothing of this project.

RO-Crate 1.1 with the profiles Process, Workflow and Provenance Run Crate 0.5. The workflow is the sealed Snakefile; a
stage is a step (`HowToStep`) that runs a tool (`SoftwareApplication`); a run is a `CreateAction` whose objects are the
manifests of its inputs and whose results are its files. One `OrganizeAction` stands for Snakemake and points to each
run through a `ControlAction`. Without a sealed Snakefile nothing is claimed about a workflow (Process Run Crate only).

Nothing here is invented: what no run recorded is left out. The one exception is `datePublished`, which RO-Crate wants
and no run knows, because no clock enters a bundle: it is always 1980-01-01, the time of every file in the archive.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lewm_evidence import __version__
from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import RefusedError
from lewm_evidence.presets import presets
from lewm_evidence.records.manifest import MANIFEST, Manifest
from lewm_evidence.records.schema import Spec
from lewm_evidence.seal.documents import SealedRun, Skipped, canonical_document
from lewm_evidence.seal.names import fault_in
from lewm_evidence.seal.tree import Stored

CRATE = "ro-crate-metadata.json"
DATE = "1980-01-01T00:00:00+00:00"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_PROFILES = "https://w3id.org/ro/wfrun"
_WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
# What is not here is bytes to a reader that does not know the format.
_OPAQUE = "application/octet-stream"
_MEDIA = {
    "html": "text/html",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown",
    "png": "image/png",
    "smk": "text/plain",
    "txt": "text/plain",
}
Entity = dict[str, Any]


@dataclass(frozen=True)
class Facts:
    """What the crate is made from.

    Attributes:
        runs: by the name the seal stage knows them by.
        manifests: of the runs, by folder.
        specs: of the runs, by folder.
        payload: every payload file.
        config: the whole configuration.
        workflow: path of the sealed Snakefile; None when none was at hand.
        skipped: what is not here, and why.
    """

    runs: Mapping[str, SealedRun]
    manifests: Mapping[str, Manifest]
    specs: Mapping[str, Spec]
    payload: Mapping[str, Stored]
    config: Mapping[str, Any]
    workflow: str | None
    skipped: list[Skipped]


def crate(facts: Facts) -> bytes:
    """Returns the crate as canonical JSON; equal facts give equal bytes."""
    entities = [*_frame(facts), *_files(facts), *_runs(facts), *_checkpoint(facts), *_agent(facts)]
    if facts.workflow is not None:
        entities += _workflow(facts, facts.workflow)
    graph = {entity["@id"]: entity for entity in map(_encoded, entities)}
    return canonical_json({"@context": CONTEXT, "@graph": [graph[name] for name in sorted(graph)]})


def _encoded(value: Any) -> Any:
    """Returns `value` with every path that is an @id written as a relative address, as RO-Crate wants it."""
    if isinstance(value, list):
        return [_encoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: _encoded(one) for name, one in value.items()}
    if str(found.get("@id", "")).startswith("data/"):
        found["@id"] = _address(found["@id"])
    return found


def _address(path: str) -> str:
    """Returns a path as a relative address; `%` is in no path of a bag, so this can be undone."""
    return quote(path, safe="/!$&'()+,;=@~")


def _ref(name: str) -> Entity:
    return {"@id": name}


def _refs(names: Iterable[str]) -> Entity | list[Entity]:
    """Returns references; one alone stands without a list, as RO-Crate recommends."""
    found = [_ref(name) for name in names]
    return found[0] if len(found) == 1 else found


def _unique_runs(facts: Facts) -> dict[str, tuple[str, SealedRun]]:
    """Returns name and run by folder; a run known by two names counts once, by the first."""
    found: dict[str, tuple[str, SealedRun]] = {}
    for name, run in sorted(facts.runs.items()):
        found.setdefault(run.folder, (name, run))
    return found


def _frame(facts: Facts) -> Iterator[Entity]:
    """Yields the descriptor, the root and what both point to."""
    profiles = [f"{_PROFILES}/process/0.5"]
    specifications = ["https://w3id.org/ro/crate/1.1"]
    if facts.workflow is not None:
        profiles += [f"{_PROFILES}/workflow/0.5", f"{_PROFILES}/provenance/0.5", _WORKFLOW_CRATE]
        specifications.append(_WORKFLOW_CRATE)
    folders = sorted(_unique_runs(facts))
    actions = [_action_id(folder) for folder in folders]
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": "Evidence about a LeWorldModel checkpoint",
        "description": _description(facts),
        "datePublished": DATE,
        "license": _ref("#licence"),
        "conformsTo": _refs(profiles),
        "hasPart": _refs([*sorted(facts.payload), *_checkpoint_folders(facts)]),
        "mentions": _refs(actions),
    }
    if agent := _agent_id(facts):
        role = "publisher" if _configured_agent(facts)["kind"] == "Organization" else "author"
        root[role] = _ref(agent)
    if facts.workflow is not None:
        root["mainEntity"] = _ref(facts.workflow)
        root["mentions"] = _refs(["#workflow-run", "#snakemake-run", *actions])
    yield root
    yield {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": _ref("./"),
        "conformsTo": _refs(specifications),
    }
    yield {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "No licence was declared for this bundle",
        "description": "The software is under the MIT licence; that of the checkpoint, where known, is at its entity.",
    }
    for profile in profiles:
        version = profile.rsplit("/", 1)[1]
        yield {"@id": profile, "@type": "CreativeWork", "name": _profile_name(profile), "version": version}


def _profile_name(profile: str) -> str:
    if profile == _WORKFLOW_CRATE:
        return "Workflow RO-Crate"
    return f"{profile.split('/')[-2].capitalize()} Run Crate"


def _description(facts: Facts) -> str:
    missing = "".join(f" {row.what}: {row.reason}." for row in facts.skipped)
    return (
        f"{len(_unique_runs(facts))} finished runs with their records, views and package locks. datePublished is a "
        f"constant, because no clock enters a bundle. Not here:{missing or ' nothing known.'}"
    )


def _files(facts: Facts) -> Iterator[Entity]:
    manifests = {f"{folder}/{MANIFEST}" for folder in facts.manifests}
    for name, stored in facts.payload.items():
        entity: Entity = {
            "@id": name,
            "@type": "File",
            "name": name.removeprefix("data/"),
            "contentSize": str(stored.size),
            "encodingFormat": _MEDIA.get(name.rpartition(".")[2], _OPAQUE),
            "sha256": stored.sha256,
        }
        if facts.workflow is not None and name in manifests:
            entity["exampleOfWork"] = _ref("#parameter-runs")
        if facts.workflow is not None and name == "data/config.json":
            entity["exampleOfWork"] = _ref("#parameter-config")
        if name == "data/README.md":
            entity["about"] = _ref("./")
        yield entity


def _action_id(folder: str) -> str:
    return f"#run/{folder.removeprefix('data/runs/')}"


def _runs(facts: Facts) -> Iterator[Entity]:
    for folder, (name, run) in sorted(_unique_runs(facts).items()):
        yield _action(facts, folder, name, run)
        spec = facts.specs[folder]
        yield {
            "@id": f"#stage-{run.stage}",
            "@type": "SoftwareApplication",
            "name": f"lewm_evidence.stages.{run.stage}",
            "description": f"The stage {run.stage}; its code has the digest {spec.code}.",
            "softwareVersion": __version__,
            "softwareRequirements": _refs(_package_id(*row) for row in sorted(spec.packages.items())),
        }
        for package, version in sorted(spec.packages.items()):
            yield {
                "@id": _package_id(package, version),
                "@type": "SoftwareApplication",
                "name": package,
                "softwareVersion": version,
            }


def _package_id(name: str, version: str) -> str:
    return f"#package-{name}-{version}"


def _action(facts: Facts, folder: str, name: str, run: SealedRun) -> Entity:
    manifest, spec = facts.manifests[folder], facts.specs[folder]
    files = [f"{folder}/{entry.path}" for entry in manifest.files if entry.path != "spec.json"]
    inputs = sorted({f"data/runs/{source}/{MANIFEST}" for source in spec.inputs.values()} & facts.payload.keys())
    action = {
        "@id": _action_id(folder),
        "@type": "CreateAction",
        "name": f"{name}: {run.stage}/{run.key}",
        "description": f"result_digest {run.result_digest}; {_environment(manifest)}",
        "instrument": _ref(f"#stage-{run.stage}"),
        "object": _refs([f"{folder}/spec.json", *inputs]),
        "result": _refs([*files, f"{folder}/{MANIFEST}"]),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    if agent := _agent_id(facts):
        action["agent"] = _ref(agent)
    return action


def _environment(manifest: Manifest) -> str:
    known = manifest.environment
    words = [f"{name} {known[name]}" for name in ("python", "platform", "threads", "gpu") if known.get(name)]
    return ", ".join(words) or "no environment was recorded"


def _checkpoint_folders(facts: Facts) -> list[str]:
    files = {name for name in facts.payload if re.fullmatch(r"data/runs/[^/]+/[^/]+/checkpoint/[^/]+", name)}
    return sorted({name.rpartition("/")[0] + "/" for name in files})


def _checkpoint(facts: Facts) -> Iterator[Entity]:
    """Yields the checkpoint folder with where it is from, as far as the configuration knows it."""
    source = facts.config.get("checkpoint", {})
    for folder in _checkpoint_folders(facts):
        entity: Entity = {
            "@id": folder,
            "@type": "Dataset",
            "name": f"LeWorldModel checkpoint ({source.get('source', 'unknown source')})",
            "description": "Model configuration, weights as safetensors, normalisation and provenance.",
            "hasPart": _refs(sorted(name for name in facts.payload if name.startswith(folder))),
        }
        if source.get("source") == "hub":
            entity |= _hub(source)
            yield {"@id": f"https://huggingface.co/{source['repo']}", "@type": "WebSite", "name": source["repo"]}
        yield entity


def _hub(source: Mapping[str, Any]) -> Entity:
    repo, revision = source["repo"], source["revision"]
    found: Entity = {
        "name": f"LeWorldModel checkpoint {repo}",
        "version": revision,
        "isBasedOn": _ref(f"https://huggingface.co/{repo}"),
        "identifier": f"https://huggingface.co/{repo}/tree/{revision}",
    }
    licences = {row.licence for row in presets().values() if (row.repo, row.revision) == (repo, revision)}
    if len(licences) == 1:
        # What the repository's own page says, as `presets.yaml` has it.
        found["license"] = licences.pop()
    return found


def _configured_agent(facts: Facts) -> Mapping[str, Any]:
    return (facts.config.get("seal") or {}).get("agent") or {}


def _agent_id(facts: Facts) -> str | None:
    agent = _configured_agent(facts)
    return (agent.get("id") or "#agent") if agent else None


def _agent(facts: Facts) -> Iterator[Entity]:
    if agent := _configured_agent(facts):
        yield {"@id": _agent_id(facts), "@type": agent["kind"], "name": agent["name"]}


def _workflow(facts: Facts, workflow: str) -> Iterator[Entity]:
    """Yields the workflow with its steps, and who ran them."""
    runs = _unique_runs(facts)
    stages = sorted({run.stage for _, run in runs.values()})
    stored = facts.payload[workflow]
    yield {
        "@id": workflow,
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": "lewm-evidence",
        "description": "From a pinned LeWorldModel checkpoint to a sealed bundle.",
        "version": __version__,
        "contentSize": str(stored.size),
        "sha256": stored.sha256,
        "encodingFormat": "text/plain",
        "programmingLanguage": _ref("#snakemake-language"),
        "conformsTo": _ref("https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"),
        "input": _ref("#parameter-config"),
        "output": _ref("#parameter-runs"),
        "hasPart": _refs(f"#stage-{stage}" for stage in stages),
        "step": _refs(f"#step-{stage}" for stage in stages),
    }
    yield from _parameters()
    for position, stage in enumerate(stages):
        yield {
            "@id": f"#step-{stage}",
            "@type": "HowToStep",
            "name": stage,
            "position": str(position),
            "workExample": _ref(f"#stage-{stage}"),
        }
    yield from _orchestration(facts, workflow, runs)


def _parameters() -> Iterator[Entity]:
    yield {
        "@id": "#snakemake-language",
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "url": _ref("https://snakemake.readthedocs.io"),
    }
    yield {"@id": "https://snakemake.readthedocs.io", "@type": "WebSite", "name": "Snakemake documentation"}
    for name, kind, about in (
        ("config", "File", "the whole configuration"),
        ("runs", "File", "the manifest of each finished run"),
    ):
        yield {
            "@id": f"#parameter-{name}",
            "@type": "FormalParameter",
            "name": name,
            "description": about,
            "additionalType": kind,
            "conformsTo": _ref("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"),
        }


def _orchestration(facts: Facts, workflow: str, runs: Mapping[str, tuple[str, SealedRun]]) -> Iterator[Entity]:
    by = {"agent": _ref(agent)} if (agent := _agent_id(facts)) else {}
    yield {
        "@id": "#workflow-run",
        "@type": "CreateAction",
        "name": "the workflow that made these runs",
        "instrument": _ref(workflow),
        "description": "One run of each step, with the configuration data/config.json.",
        "object": _ref("data/config.json"),
        "result": _refs(f"{folder}/{MANIFEST}" for folder in sorted(runs)),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        **by,
    }
    yield {"@id": "#snakemake", "@type": "SoftwareApplication", "name": "Snakemake"}
    yield {
        "@id": "#snakemake-run",
        "@type": "OrganizeAction",
        "name": "Snakemake started the steps",
        "instrument": _ref("#snakemake"),
        "object": _refs(f"#control/{folder.removeprefix('data/runs/')}" for folder in sorted(runs)),
        "result": _ref("#workflow-run"),
        **by,
    }
    for folder, (name, run) in sorted(runs.items()):
        yield {
            "@id": f"#control/{folder.removeprefix('data/runs/')}",
            "@type": "ControlAction",
            "name": f"start of {name}",
            "instrument": _ref(f"#step-{run.stage}"),
            "object": _ref(_action_id(folder)),
        }


def check_crate(data: bytes, payload: Mapping[str, Stored]) -> None:
    """Raises `RefusedError` when the crate describes other files than `payload`, or describes one otherwise."""
    document = canonical_document(data, CRATE)
    graph = document.get("@graph") if isinstance(document, dict) else None
    if not isinstance(graph, list) or document.get("@context") != CONTEXT:
        raise RefusedError(f"{CRATE}: is not a graph in the two contexts of a run crate")
    described: dict[str, Entity] = {}
    for entity in graph:
        name = entity.get("@id") if isinstance(entity, dict) else None
        if not isinstance(name, str) or name in described:
            raise RefusedError(f"{CRATE}: an entity has no @id of its own: {json.dumps(name)}")
        described[name] = entity
    addresses = {_address(name): name for name in payload}
    files = {name for name, entity in described.items() if "File" in _types(entity)}
    for address in sorted(files | addresses.keys()):
        stored = payload[addresses[address]] if address in addresses else None
        _check_file(addresses.get(address, address), described.get(address), stored)
    for address in sorted(described.keys() - files):
        _check_place(address, addresses)


def _types(entity: Entity) -> list[Any]:
    found = entity.get("@type")
    return found if isinstance(found, list) else [found]


def _check_file(name: str, entity: Entity | None, stored: Stored | None) -> None:
    if entity is None or "File" not in _types(entity):
        raise RefusedError(f"{CRATE}: does not describe {name}")
    if stored is None:
        fault = fault_in(name)
        raise RefusedError(
            f"{CRATE}: describes the file {name!r}, which is not in the bag" + (f": {fault}" if fault else "")
        )
    if entity.get("sha256") != stored.sha256:
        raise RefusedError(f"{CRATE}: gives {name} another sha256 than the manifest")
    if entity.get("contentSize") != str(stored.size):
        raise RefusedError(f"{CRATE}: gives {name} another contentSize than it has")


def _check_place(name: str, addresses: Iterable[str]) -> None:
    if name in ("./", CRATE) or name.startswith(("#", "https://", "http://")):
        return
    if not name.endswith("/") or not any(address.startswith(name) for address in addresses):
        raise RefusedError(f"{CRATE}: describes {name!r}, which is not in the bag")
