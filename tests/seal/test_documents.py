"""Strict reading of JSON documents."""

import pytest

from lewm_evidence.errors import RefusedError
from lewm_evidence.seal.documents import Index, SealedRun, bundle_digest, canonical_document, checked, strict_json


@pytest.mark.parametrize(
    "text",
    [b'{"a":1,"a":2}', b'{"a":NaN}', b"[Infinity]", b"\xff", b"", b"{", b"[" * 100_000, b"1" * 5000],
    ids=["duplicate", "nan", "infinity", "latin", "empty", "cut", "deep", "long"],
)
def test_refuses_json_with_more_than_one_meaning(text: bytes) -> None:
    """What parsers disagree on, or fail on, is refused."""
    with pytest.raises(RefusedError, match=r"^x\.json: is not strict JSON"):
        strict_json(text, "x.json")


@pytest.mark.parametrize(
    "text", [b'{"b":1,"a":2}\n', b'{"a": 1}\n', b'{"a":1}', b'{"a":"\\u00e9"}\n', b'["\\ud800"]\n']
)
def test_refuses_json_that_is_not_canonical(text: bytes) -> None:
    """There is one text for one value."""
    with pytest.raises(RefusedError, match="not canonical"):
        canonical_document(text, "x.json")


def test_names_the_field_that_does_not_fit() -> None:
    """A document of another shape is refused with the field at fault."""
    with pytest.raises(RefusedError, match=r"^index: runs\.a\.key is not as it must be"):
        checked(Index, {"result_digest": "0" * 64, "runs": {"a": {"stage": "a", "key": "../x"}}}, "index")


def test_bundle_digest_does_not_depend_on_names() -> None:
    """The digest covers stage, key and result digest, in order, whatever the runs are called."""
    one = SealedRun(stage="fetch", key="0" * 20, result_digest="1" * 64)
    two = SealedRun(stage="train", key="0" * 20, result_digest="1" * 64)
    assert bundle_digest({"a": one, "b": two}) == bundle_digest({"z": one, "c": two})
    assert bundle_digest({"a": one}) != bundle_digest({"a": two})
