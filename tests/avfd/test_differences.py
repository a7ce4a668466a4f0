"""What is said of two columns that should have been made alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avfd.differences import check_alike, facts_of, told_apart
from avfd.errors import FingerprintError
from avfd.specs import BackboneSpec, FaceInput

SPEC = BackboneSpec(
    "faces", 1, "video", "for tests", 10, (8, 8, 3), faces=FaceInput(10, 8), weights=("net",)
)
FILES = {"weights": {"net": {"sha256": "0123456789abcdef" * 4, "origin": "published"}}}


def facts(spec: BackboneSpec = SPEC, fingerprint: str = "1", **more: object) -> dict[str, object]:
    return facts_of(spec, fingerprint, {**FILES, **more})


def test_every_setting_that_differs_is_named_with_both_values() -> None:
    other = replace(SPEC, rate_hz=15, faces=FaceInput(15, 8), options={"gain": 2.0})
    assert told_apart(facts(), facts(other)) == (
        "rate_hz 10, faces.rate_hz 10, options.gain none",
        "rate_hz 15, faces.rate_hz 15, options.gain 2.0",
    )


def test_a_shape_is_told_as_a_list() -> None:
    other = replace(SPEC, shape=(4, 4, 3))
    assert told_apart(facts(), facts(other)) == ("shape [8, 8, 3]", "shape [4, 4, 3]")


def test_another_model_file_is_named_with_the_beginning_of_its_sha256() -> None:
    other = facts(weights={"net": {"sha256": "f" * 64}})
    assert told_apart(facts(), other) == (
        "the model file net with sha256 0123456789ab…",
        "the model file net with sha256 ffffffffffff…",
    )


def test_what_does_not_decide_the_numbers_is_not_told() -> None:
    other = replace(SPEC, summary="other words", licence="MIT", source="elsewhere")
    assert told_apart(facts(), facts(other, versions={"torch": "9"})) == ("", "")


def test_of_many_differences_the_rest_is_counted() -> None:
    other = replace(SPEC, options={f"o{i}": i for i in range(9)})
    found, accepted = told_apart(facts(), facts(other))
    assert found.endswith("options.o5 none, 3 more")
    assert accepted.endswith("options.o5 5, 3 more")


def test_where_all_that_is_noted_agrees_the_fingerprints_are_told() -> None:
    with pytest.raises(FingerprintError, match="found: 1; accepted: 2"):
        check_alike("no", "where", facts(), facts(fingerprint="2"), "next")


def test_the_same_fingerprint_is_alike() -> None:
    check_alike("no", "where", facts(), facts(), "next")
