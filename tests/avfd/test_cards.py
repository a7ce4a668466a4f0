"""A model file carries its card, and what is no card is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from avfd import cards

CARD = {"name": "emo-lstm", "training_keys": ["d/ä.wav"], "settings": {"units": 8}}
TENSORS = {"w": np.arange(3, dtype=np.float32)}


def test_a_file_carries_its_card_and_its_tensors_are_as_before(tmp_path):
    beside = CARD | {"scores": {"test": 1.0}, "versions": {"avfd": "0"}, "file": {"sha256": "ab"}}
    save_file(TENSORS, tmp_path / "net.safetensors", cards.carried(beside))
    assert cards.card_in(tmp_path / "net.safetensors") == CARD
    assert load_file(tmp_path / "net.safetensors")["w"].tolist() == [0, 1, 2]


def test_scores_and_versions_do_not_change_the_file():
    assert cards.carried(CARD | {"scores": 1, "versions": 2}) == cards.carried(CARD)


def test_a_card_that_no_reader_would_take_is_not_carried(monkeypatch):
    size = len(json.dumps(CARD, ensure_ascii=False).encode())
    monkeypatch.setattr(cards, "MAX_BYTES", size)
    assert cards.carried(CARD) is not None
    monkeypatch.setattr(cards, "MAX_BYTES", size - 1)
    assert cards.carried(CARD) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a pickle of torch",
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
        b"\x02\x00\x00\x00\x00\x00\x00\x00{",
        (30).to_bytes(8, "little") + b'{"__metadata__":{"avfd_card":3',
        (33).to_bytes(8, "little") + b'{"__metadata__":{"avfd_card":"3"}}',
    ],
)
def test_what_carries_no_card_has_none(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    assert cards.card_in(tmp_path / "x.safetensors") == {}
    assert cards.card_in(tmp_path / "absent.safetensors") == {}
