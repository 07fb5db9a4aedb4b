"""Verify the bundle as a stranger would, once as a folder and once from its archive alone.

Inputs: `seal`. Fails when the bundle is refused, or is another than the seal run made.

Writes
- records: for `folder` and `archive` an event `verify/<kind>` (`result_digest`), scalars `verify/<kind>/runs` and
  `verify/<kind>/files`;
- `views/verified.json`: both in full, with address and archive digest, which differ between identical runs;
- timings: `verify/folder`, `verify/archive`.
"""

import time

from lewm_evidence.canonical import canonical_json
from lewm_evidence.errors import RefusedError
from lewm_evidence.records.finished import FinishedRun
from lewm_evidence.records.job import main, say
from lewm_evidence.records.run import Run
from lewm_evidence.seal.bundle import evidence_folder
from lewm_evidence.seal.documents import Bundle, canonical_document, checked
from lewm_evidence.seal.verify import Verified, verify


def run(out: Run) -> None:
    """Verifies the bundle of the run that `out` knows as `seal`."""
    seal = out.input("seal")
    sealed = _sealed(seal)
    folder = evidence_folder(seal.path)
    found = {}
    for kind, path in (("folder", folder), ("archive", folder / sealed.archive.file)):
        start = time.perf_counter()
        accepted = verify(path)
        out.timing(f"verify/{kind}", time.perf_counter() - start)
        _same_bundle(sealed, accepted)
        out.event(f"verify/{kind}", result_digest=accepted.result_digest)
        out.scalar(f"verify/{kind}/runs", len(accepted.runs))
        out.scalar(f"verify/{kind}/files", accepted.files)
        found[kind] = accepted.as_dict() | {"path": path.name}
        say(f"{kind} accepted: {accepted.files} files, {len(accepted.runs)} runs")
    view = out.path / "views" / "verified.json"
    view.parent.mkdir()
    view.write_bytes(canonical_json(found))


def _sealed(seal: FinishedRun) -> Bundle:
    path = seal.path / "views" / "bundle.json"
    return checked(Bundle, canonical_document(path.read_bytes(), str(path)), str(path))


def _same_bundle(sealed: Bundle, found: Verified) -> None:
    if (found.address, found.archive_sha256) != (sealed.address, sealed.archive.sha256):
        raise RefusedError(
            f"{found.path}: is a valid bundle, but not the one that the seal run made (address {sealed.address[:12]}, "
            f"found {found.address[:12]}); remove the seal run and its evidence folder, and seal again"
        )


if __name__ == "__main__":
    main(run)
