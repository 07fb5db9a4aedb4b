"""One rank of a training: `python -m lewm_evidence.training.rank RUN --rank R --ranks N --meeting FILE`."""

import argparse
import ctypes
import os
import sys
from contextlib import closing
from pathlib import Path

import torch

from lewm_evidence.errors import EvidenceError
from lewm_evidence.records import Run, Spec
from lewm_evidence.training.fit import fit
from lewm_evidence.training.ranks import Ranks, joined

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_KILL = 9


def main() -> None:
    """Takes part in a training; exits with 1 and a sentence when it cannot go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run directory, `<runs>/train/<key>`")
    parser.add_argument("--rank", type=int, required=True, help="number of this process")
    parser.add_argument("--ranks", type=int, required=True, help="number of processes")
    parser.add_argument("--meeting", type=Path, required=True, help="file through which they find each other")
    parser.add_argument("--parent", type=int, required=True, help="process to die with")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    args = parser.parse_args()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, _KILL)
    if os.getppid() != args.parent:
        sys.exit(1)  # it died before this process could ask to die with it
    torch.set_num_threads(args.threads)
    try:
        _take_part(args.run, Ranks(args.rank, args.ranks), args.meeting, args.threads)
    except EvidenceError as error:
        print(f"train: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _take_part(path: Path, ranks: Ranks, meeting: Path, threads: int) -> None:
    spec = Spec.model_validate_json((path / "spec.json").read_bytes())
    cuda = spec.device == "cuda"
    device = torch.device("cuda", ranks.rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    with joined(ranks, meeting, cuda), closing(Run(path.parents[1], spec, threads)) as out:
        fit(out, device, ranks)


if __name__ == "__main__":
    main()
