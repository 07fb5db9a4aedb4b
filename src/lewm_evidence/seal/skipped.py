"""What a reader of a bundle might look for and does not find: a row with a reason, never silence."""

from collections.abc import Iterator, Mapping
from typing import Any

from lewm_evidence.records.manifest import Manifest
from lewm_evidence.records.schema import Spec
from lewm_evidence.seal.documents import Skipped

_SHOWN = (
    "showcase",
    "evaluate",
    "gate",
    "render_tensorboard",
    "render_rerun",
    "probe_tensorboard",
    "probe_rerun",
    "report",
)
_TABLES = ("starts", "baselines", "success", "probing", "surprise", "tables")
_OWN = {*_SHOWN, *_TABLES, "fetch", "collect", "train"}


def skipped(
    manifests: Mapping[str, Manifest],
    specs: Mapping[str, Spec],
    config: Mapping[str, Any],
    *,
    locks: int,
    workflow: bool,
) -> list[Skipped]:
    """Returns a row for everything known to be absent, in a fixed order.

    Args:
        manifests: of the runs, by folder.
        specs: of the runs, by folder.
        config: the whole configuration.
        locks: number of package locks that are sealed.
        workflow: whether the Snakefile is sealed.
    """
    rows = [*_runs(manifests, specs, config), *_project(manifests, config, locks, workflow)]
    return [Skipped(what=what, reason=reason) for what, reason in rows]


def _runs(
    manifests: Mapping[str, Manifest], specs: Mapping[str, Spec], config: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    stages = {spec.stage for spec in specs.values()}
    if not any(spec.device == "cuda" for spec in specs.values()):
        yield "GPU", "every run that uses a model ran on the CPU; nothing here says how a GPU behaves"
    source = config.get("checkpoint", {}).get("source", "unknown")
    if source != "trained":  # there may still be a training, which only shows that this machine can
        yield "training", f"the checkpoint was not trained by these runs; its source is {source}"
    for stage in _SHOWN:
        if stage not in stages:
            yield stage, "no run of this stage was sealed"
    if "tables" not in stages:
        yield "the paper's tables", "tables.sealed is not set, or there is no simulator of the checkpoint's world"
    if stages <= _OWN:
        yield "foreign trainers and policies", "no run of one was planned"
    if any(manifest.local for manifest in manifests.values()):
        yield (
            "console logs and lock files",
            "they stay where they were made; manifest.json of each run lists them",
        )


def _project(
    manifests: Mapping[str, Manifest], config: Mapping[str, Any], locks: int, workflow: bool
) -> Iterator[tuple[str, str]]:
    if not locks:
        yield "package locks", "neither requirements/*.txt nor flake.lock lay in the folder where sealing was started"
    if not workflow:
        yield "Snakefile", "none lay in the folder where sealing was started; so no workflow is described"
    if any(manifest.environment.get("git") is None for manifest in manifests.values()):
        yield "git commit", "a run was made outside a git repository or without git"
    if not (config.get("seal") or {}).get("agent"):
        yield "person or organisation", "none is configured at seal.agent"
    yield "dates", "no clock enters a run or a bundle, so that equal runs give equal bytes"
