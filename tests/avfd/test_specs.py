"""Fingerprints: what decides numbers is in them."""

from __future__ import annotations

from avfd.specs import BackboneSpec

SPEC = BackboneSpec("net", 1, "audio", "for tests", 1, (2,), weights=("net",))
DIGESTS = {"net": "0" * 64}
WITHOUT_SETTINGS = "45c5e53427d100073a1afc7ac1318f8442da1b215097991a6721ec270b9d6bc3"


def test_a_file_that_says_nothing_of_its_network_leaves_the_fingerprint_as_it_was() -> None:
    assert SPEC.fingerprint(DIGESTS) == WITHOUT_SETTINGS
    assert SPEC.fingerprint(DIGESTS, settings={"net": {}}) == WITHOUT_SETTINGS


def test_each_setting_of_a_trained_network_is_in_the_fingerprint() -> None:
    cards = ({}, {"activation": "tanh"}, {"activation": "relu"}, {"antialias": True})
    assert len({SPEC.fingerprint(DIGESTS, settings={"net": card}) for card in cards}) == 4
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert SPEC.fingerprint(DIGESTS, "", {"net": one}) == SPEC.fingerprint(
        DIGESTS, "", {"net": other}
    )
