"""A worker that answers questions: each once, in order, and with a clear end when it cannot."""

import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import lewm_evidence.workers
from lewm_evidence.errors import StageError
from lewm_evidence.workers.asking import Asking
from lewm_evidence.workers.contract import started

TELEMETRY = Path(lewm_evidence.workers.__path__[0]) / "adapters" / "telemetry.py"
DOUBLES = """
import time
from safetensors.numpy import load_file, save_file
from telemetry import main

def run(worker):
    count = 0
    while not (worker.logs / "end").exists():
        question = worker.logs / f"question-{count:06d}.safetensors"
        if question.exists():
            x = load_file(question)["x"]
            if x.sum() < 0:
                raise ValueError("no answer to that")
            save_file({"y": 2 * x}, worker.logs / "part")
            (worker.logs / "part").rename(worker.logs / f"answer-{count:06d}.safetensors")
            count += 1
        time.sleep(0.001)

main(run, lambda algo: {})
"""


@contextmanager
def asking(folder: Path) -> Iterator[Asking]:
    """Runs a worker that doubles numbers."""
    folder.mkdir(exist_ok=True)
    shutil.copy(TELEMETRY, folder)
    script = folder / "double_worker.py"
    script.write_text(textwrap.dedent(DOUBLES))
    config = {"algo": "double", "hyperparameters": {}}
    with started([sys.executable, script], "RUN", config, folder / "logs", 1, 60.0) as worker:
        yield Asking(worker)


def test_each_question_has_its_answer(tmp_path: Path) -> None:
    """In order, arrays as they are; at the end the worker has completed and no file is left."""
    with asking(tmp_path) as asked:
        for value in range(5):
            answer = asked.ask({"x": np.full((2, 3), value, np.float32)[:, ::2]})
            assert np.array_equal(answer["y"], np.full((2, 2), 2 * value))
        assert asked.end().ended == "completed"
    assert [path.name for path in (tmp_path / "logs" / "native").iterdir()] == ["end"]


def test_a_worker_that_fails_says_why(tmp_path: Path) -> None:
    """Whoever waits for the answer hears of it."""
    with asking(tmp_path) as asked:
        asked.ask({"x": np.ones(1)})
        with pytest.raises(StageError, match=r"worker RUN failed \(ValueError: no answer to that\)"):
            asked.ask({"x": -np.ones(1)})


def test_what_an_interrupted_run_left_is_no_answer(tmp_path: Path) -> None:
    """Files of an attempt before this one are removed before the worker starts."""
    left = tmp_path / "logs" / "native"
    left.mkdir(parents=True)
    for name in ("end", "answer-000000.safetensors", "events.out.tfevents.1"):
        (left / name).write_bytes(b"old")
    with asking(tmp_path) as asked:
        assert asked.ask({"x": np.ones(1)})["y"] == [2.0]
        asked.end()
    assert [path.name for path in left.iterdir()] == ["end"]
