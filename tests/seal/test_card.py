"""The model card: the hub's own reader understands it, and it repeats the evaluate run."""

from pathlib import Path

import pytest

from lewm_evidence.records import FinishedRun
from lewm_evidence.seal.card import model_card

HUB = {"source": "hub", "repo": "quentinll/lewm-pusht", "revision": "22b330c28c27ead4bfd1888615af1340e3fe9052"}


def test_the_hub_reads_its_results(examples: dict[str, FinishedRun]) -> None:
    """Success rate and final error with their limits, the licence, and the bundle's digest as source."""
    hub = pytest.importorskip("huggingface_hub")
    evaluate = examples["evaluate"]
    card = hub.ModelCard(model_card({"checkpoint": HUB | {"world": "pusht"}}, "a" * 64, evaluate).decode())
    card.data.to_dict()
    results = {result.metric_type: result for result in card.data.eval_results}
    assert set(results) == {"success_rate", "mean_final_error_px"}
    for name, result in results.items():
        assert result.metric_value == evaluate.last(f"evaluate/lewm/{name}")
        assert result.metric_args["low"] == evaluate.last(f"evaluate/lewm/{name}_low")
        assert result.metric_args["high"] == evaluate.last(f"evaluate/lewm/{name}_high")
        assert "a" * 64 in result.source_name and result.dataset_type == "lewm-evidence/pusht"
    assert (card.data.license, card.data.model_name) == ("mit", "quentinll/lewm-pusht")


def test_without_an_evaluate_run_it_claims_nothing() -> None:
    """No results, no licence, and a sentence that says so."""
    text = model_card({"checkpoint": {"source": "trained"}}, "b" * 64, None).decode()
    assert "results: []" in text and "license" not in text and "there are no results here" in text


def test_lies_in_the_bag(sealed: Path) -> None:
    """The payload holds it, with the bundle's result digest."""
    text = (sealed / "bag" / "data" / "README.md").read_text()
    assert text.startswith("---\n") and text.count("Result digest of the bundle") == 1
