"""The bench measures nothing that is not equal."""

import sys
from pathlib import Path

import pytest
import torch

from bench.planner.equality import Checks, spearman
from bench.planner.floor import count_gflop
from bench.planner.process import BenchError, Subject


def test_the_rank_correlation_is_spearmans() -> None:
    """1 for the same order, -1 for the reverse, and 1 − 6·Σd²/(n³ − n) in between."""
    a = torch.tensor([1.0, 5.0, 2.0, 9.0])
    assert spearman(a, a.exp()) == pytest.approx(1)
    assert spearman(a, -a) == pytest.approx(-1)
    assert spearman(a, torch.tensor([1.0, 5.0, 9.0, 2.0])) == pytest.approx(1 - 6 * (4 + 4) / 60)


@pytest.mark.parametrize(("subject", "error"), [("FastFp32", 2e-5), ("FastBf16", 2e-2)])
def test_costs_that_differ_stop_the_bench(tmp_path: Path, subject: str, error: float) -> None:
    """One cost beyond the bound is enough; below it the largest difference is kept."""
    checks, costs = Checks(tmp_path), torch.linspace(1, 2, 50)
    wrong = costs.clone()
    wrong[7] *= 1 + error / 4
    checks.costs(subject, wrong, costs)
    assert checks.worst["costs, largest relative difference"][subject] == pytest.approx(error / 4, rel=0.1)
    wrong[7] *= 1 + error
    with pytest.raises(BenchError, match=subject):
        checks.costs(subject, wrong, costs)


def test_plans_that_differ_or_are_not_numbers_stop_the_bench(tmp_path: Path) -> None:
    """An action off by more than 1e-5, or NaN, ends the run."""
    plan = torch.zeros(5, 10)
    Checks(tmp_path).actions("solve", "FastFp32", plan + 5e-6, plan)
    for wrong in (plan + 2e-5, plan * torch.nan):
        with pytest.raises(BenchError, match="not equal"):
            Checks(tmp_path).actions("solve", "FastFp32", wrong, plan)


def test_products_are_counted() -> None:
    """A matrix product counts 2·n·m·k, attention its two products, oneDNN's packed product like the plain one."""
    a, b = torch.ones(30, 40), torch.ones(40, 50)
    plain = 2 * 30 * 40 * 50 / 1e9
    assert count_gflop(lambda: a @ b) == pytest.approx(plain)
    q = torch.ones(2, 3, 7, 8)
    attention = count_gflop(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert attention == pytest.approx(2 * 2 * 2 * 3 * 7 * 7 * 8 / 1e9)
    if torch.backends.mkldnn.is_available():
        packed = torch.ops.mkldnn._reorder_linear_weight(b.T.contiguous(), 30)
        linear = torch.ops.mkldnn._linear_pointwise
        assert count_gflop(lambda: linear(a, packed, None, "none", [], "")) == pytest.approx(plain)


def test_a_subject_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The last line that the process wrote is in the error, and the process is gone."""
    with (
        Subject("Nobody", Path(sys.executable), tmp_path, "cpu", 1) as subject,
        pytest.raises(BenchError, match="Nobody ended during hello"),
    ):
        subject.ask("hello")
    assert subject.process.returncode is not None
