"""The public names, and what importing the package costs."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lewm_evidence
import tiny


def test_the_public_names_are_these() -> None:
    """What users may rely on changes only on purpose."""
    assert dir(lewm_evidence) == ["LeWM", "__version__", "load_checkpoint", "planning", "worlds"]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = lewm_evidence.nothing


def test_importing_the_package_imports_nothing_heavy() -> None:
    """A reviewer's installation has neither torch nor Snakemake."""
    code = "import sys, lewm_evidence; print([m for m in ('torch', 'numpy', 'snakemake', 'yaml') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_missing_package_is_named_with_what_to_install() -> None:
    """Without torch, the sentence says which extra brings it."""
    code = "import sys; sys.modules['torch'] = None\nfrom lewm_evidence import load_checkpoint"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "lewm_evidence.load_checkpoint needs the package 'torch'; install lewm-evidence[pipeline]" in done.stderr


def test_the_design_s_calls_work_together(tmp_path: Path) -> None:
    """Load, look, encode, cost and plan as the README does, with the shapes it promises."""
    tiny.tiny_checkpoint(tmp_path, seed=0)
    model = lewm_evidence.load_checkpoint(tmp_path)
    world = lewm_evidence.worlds.make("pusht")
    world.reset(seed=0)
    start = world.render(model.config.image_size)
    world.reset(seed=1)
    goal = world.render(model.config.image_size)
    assert start.dtype == np.uint8 and start.shape == (64, 64, 3)
    assert model.encode(np.stack([start, goal])).shape == (2, model.config.dim)
    assert model.cost(start, goal, torch.zeros(7, 5, 10)).shape == (7,)
    cem = lewm_evidence.planning.CEM(model, num_samples=16, iterations=2, elites=4, horizon=5)
    plan = cem.solve(start, goal, torch.Generator().manual_seed(0))
    assert plan.actions.shape == (5, 10)
    assert len(plan.history) == 2


def test_the_changelog_and_the_package_agree_on_the_version() -> None:
    """One version, in the package and in its metadata; the changelog has a place for it."""
    root = Path(__file__).parents[1]
    metadata = re.search(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(), re.MULTILINE)
    assert metadata is not None and metadata[1] == lewm_evidence.__version__
    assert "## [Unreleased]" in (root / "CHANGELOG.md").read_text()
