"""Seal the finished runs into the bundle that leaves this machine.

Inputs: every run to seal, by name. Config: `config`, the whole resolved configuration. Who signs is no input: the key
comes from the environment, or is the project's own, and changes neither this run's key nor its result.

Writes `<runs>/../evidence/<key>/` with `bag/`, the archive `<key>.tar` and the sidecars, as a whole or not at all, and
- records: scalars `seal/runs` and `seal/files`, event `seal/bundle` (`result_digest`), and for each run an event
  `seal/run` (`name`, `run`, `result_digest`);
- `views/bundle.json`: address, archive and signer, which differ between identical runs;
- timings: `seal/payload_size`, `seal/archive_size` in bytes.
"""

from pathlib import Path

from lewm_evidence.canonical import canonical_json
from lewm_evidence.records.job import lock_files, main, say
from lewm_evidence.records.run import Run
from lewm_evidence.seal.bundle import SIDECAR, evidence_folder, write_bundle


def run(out: Run) -> None:
    """Seals every input of `out`."""
    runs = {name: out.input(name) for name in sorted(out.spec.inputs)}
    folder = evidence_folder(out.path)
    say(f"sealing {len(runs)} runs into {folder}")
    bundle = write_bundle(folder, runs, out.config["config"], lock_files(), workflow=_workflow(), say=say)
    out.scalar("seal/runs", len(runs))
    out.scalar("seal/files", bundle.files)
    out.event("seal/bundle", result_digest=bundle.result_digest)
    for step, (name, sealed) in enumerate(runs.items()):
        out.event("seal/run", step, name=name, run=sealed.name, result_digest=sealed.manifest.result_digest)
    out.timing("seal/payload_size", bundle.size, unit="bytes")
    out.timing("seal/archive_size", bundle.archive.size, unit="bytes")
    view = out.path / "views" / "bundle.json"
    view.parent.mkdir()
    view.write_bytes(canonical_json(bundle.model_dump()))
    say(f"{bundle.files} files, {bundle.size / 1e6:.1f} MB, address {bundle.address[:12]}")


def _workflow() -> dict[str, Path]:
    """Returns the Snakefile and its rules, where they lie in the folder in which stages are started."""
    rules = {f"workflow/rules/{path.name}": path for path in sorted(Path("workflow/rules").glob("*.smk"))}
    return {"Snakefile": Path("Snakefile"), **rules} if Path("Snakefile").is_file() else {}


if __name__ == "__main__":
    main(run, product=lambda path: evidence_folder(path) / SIDECAR)
