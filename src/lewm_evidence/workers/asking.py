"""Asks a running worker one question after another.

A question is `question-NNNNNN.safetensors` in the worker's working directory, its answer `answer-NNNNNN.safetensors`;
each appears whole. When `end` appears, the worker completes.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from lewm_evidence.workers.contract import Told, Worker

_POLL = 0.002
_LOOK = 100  # polls between two looks at the worker


class Asking:
    """Questions to a worker, and its answers."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._count = 0

    def ask(self, question: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Returns the answer to `question`; both are removed.

        Raises:
            StageError: when the worker ends, falls silent or takes too long instead.
        """
        name = f"{self._count:06d}.safetensors"
        self._count += 1
        asked, answer = (self._worker.folder / f"{kind}-{name}" for kind in ("question", "answer"))
        part = asked.with_suffix(".part")
        save_file({key: np.ascontiguousarray(value) for key, value in question.items()}, part)
        part.replace(asked)
        polls = 0
        while not answer.exists():
            if polls % _LOOK == 0 and not self._worker.look() and not answer.exists():
                self._worker.finish()
            polls += 1
            time.sleep(_POLL)
        found: dict[str, NDArray[Any]] = load_file(answer)
        asked.unlink()
        answer.unlink()
        return found

    def end(self) -> Told:
        """Says that there are no more questions, waits for the worker's end and returns what it said."""
        (self._worker.folder / "end").touch()
        return self._worker.finish()
