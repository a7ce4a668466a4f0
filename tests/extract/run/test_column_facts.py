"""What stands beside a column that reads another one: licence and weights of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from avfd.specs import BackboneSpec
from extract.backbones import base, build, load_all
from extract.run.column_facts import attributes, licence
from extract.weights import WeightsFile

load_all()
SEEN = {
    "training_keys": ["d/a.mp4"],
    "training_media": ["0" * 64],
    "data": {"d": {"title": "RAVDESS", "licence": "CC BY-NC-SA 4.0"}},
}
CARD = {"origin": "trained here", **SEEN}


def reading(column: str) -> BackboneSpec:
    """The spec of a backbone from outside that reads that column."""
    return BackboneSpec("reader", 1, "audio", "", 1, (1,), reads=column)


def files(**cards: dict[str, Any]) -> dict[str, WeightsFile]:
    return {
        name.replace("_", "-"): WeightsFile(Path(name), "1" * 64, "unverified", card)
        for name, card in cards.items()
    }


def test_the_weights_behind_the_column_that_is_read_are_among_its_own() -> None:
    facts = attributes(reading("xvector"), files(xvector={}))
    assert facts["weights"] == {
        "xvector": {"sha256": "1" * 64, "origin": "unverified", "licence": "Apache-2.0"}
    }


def test_the_clips_that_trained_the_network_behind_it_are_too() -> None:
    facts = attributes(reading("emo-cnn3d"), files(blazeface={}, emo_cnn3d=CARD))
    assert facts["training_keys"] == SEEN["training_keys"]
    assert facts["training_media"] == SEEN["training_media"]
    assert set(facts["weights"]) == {"blazeface", "emo-cnn3d"}


def told(spec: BackboneSpec, found: dict[str, WeightsFile]) -> str:
    return licence(spec, {str(spec.reads): build(str(spec.reads)).spec}, found)


def test_the_licence_of_the_column_that_is_read_is_inherited() -> None:
    said = told(reading("marlin-base"), files(blazeface={}, marlin_base={}))
    assert said == f"Apache-2.0; columns read: {build('marlin-base').spec.licence}"
    assert "CC BY-NC 4.0" in said
    trained = told(reading("emo-cnn3d"), files(blazeface={}, emo_cnn3d=CARD))
    assert trained.endswith(
        "columns read: weights: by the data they are trained on, RAVDESS (CC BY-NC-SA 4.0)"
    )


def test_a_spec_that_names_that_licence_already_is_left_as_it_is() -> None:
    assert told(reading("loudness"), {}) == "Apache-2.0"
    spec = build("emo-lstm").spec
    assert "openSMILE" in spec.licence
    assert told(spec, files(emo_lstm={})) == spec.licence


@pytest.mark.parametrize("name", [n for n in base.names() if not build(n).spec.reads])
def test_a_column_made_from_media_has_its_own_licence(name: str) -> None:
    spec = build(name).spec
    found = {n: WeightsFile(Path(n), "1" * 64) for n in spec.weights}
    assert licence(spec, {}, found) == spec.licence
    assert set(attributes(spec, found)["weights"]) == set(spec.weights)
