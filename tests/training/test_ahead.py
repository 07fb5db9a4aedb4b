"""What is made ahead of time is the same whatever the timing."""

import threading
import time

import numpy as np
import pytest

from lewm_evidence.training.ahead import ahead


def test_results_come_in_order_whatever_the_timing() -> None:
    """Later steps that are ready first wait their turn."""

    def make(step: int) -> int:
        time.sleep(float(np.random.default_rng(step).uniform(0, 0.01)))
        return step * step

    assert list(ahead(make, range(3, 40), 3)) == [step * step for step in range(3, 40)]


def test_no_more_than_the_depth_is_made_early() -> None:
    """Memory is bounded: a slow reader has at most so many waiting."""
    made: list[int] = []
    found = ahead(lambda step: made.append(step) or step, range(100), 2)  # type: ignore[func-returns-value]
    next(found)
    time.sleep(0.05)
    assert len(made) <= 4
    found.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_a_failure_comes_out_where_it_belongs() -> None:
    """What was made before it is still given."""
    found = ahead(lambda step: 1 // (2 - step), range(5), 1)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
