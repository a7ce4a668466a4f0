"""Weights of a run that cannot be loaded are refused before a column has their name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from avfd.errors import InputError
from avfd.home import Home
from avfd.nets.emo_lstm import EmoLstm
from avfd.nets.settings import EmoLstmSettings
from extract.backbones import build
from extract.run.plan import make_plan

SETTINGS = EmoLstmSettings(units=8, second_units=6, inputs=130)


@pytest.fixture
def home(extracts: Any, tmp_path: Path) -> Home:
    """A home with a clip that nothing reads."""
    media = tmp_path / "media"
    media.mkdir()
    (media / "a.wav").write_text("no sound")
    indexed: Home = extracts.indexed(tmp_path / "home", media)
    return indexed


def run_of(home: Home, card: str) -> str:
    """A run whose weights fit `SETTINGS` and whose card is that text; its name."""
    folder = home.runs_dir / "emotions" / "weights"
    folder.mkdir(parents=True)
    save_file(EmoLstm(SETTINGS).state_dict(), folder / "emo-lstm.safetensors")
    (folder / "emo-lstm.json").write_text(card)
    return "emotions"


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (json.dumps({"settings": asdict(SETTINGS) | {"units": 16}}), "of another shape"),
        (json.dumps({"settings": asdict(SETTINGS) | {"dense_units": 5}}), "trained otherwise"),
        (json.dumps({"settings": asdict(SETTINGS) | {"horns": 2}}), "does not know"),
        (json.dumps({"settings": asdict(SETTINGS) | {"units": "many"}}), "no network"),
        (json.dumps({"settings": asdict(SETTINGS) | {"activation": "none"}}), "activation='none'"),
        (json.dumps({"settings": [1, 2]}), "no network"),
        ('{"settings": {"units"', "not a model card"),
    ],
)
def test_no_column_bears_the_name_of_weights_that_fail_to_load(
    extracts: Any, home: Home, card: str, said: str
) -> None:
    given = [run_of(home, card)]
    with pytest.raises(InputError, match=said):
        make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    assert extracts.cache_of(home).snapshot().columns == []


def test_weights_that_load_make_the_column(extracts: Any, home: Home) -> None:
    given = [run_of(home, json.dumps({"settings": asdict(SETTINGS)}))]
    make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    assert extracts.cache_of(home).snapshot().columns == ["mine"]


def test_what_the_card_says_of_the_network_is_in_the_fingerprint(extracts: Any, home: Home) -> None:
    """The same tensors with another activation are another column."""
    given = [run_of(home, json.dumps({"settings": asdict(SETTINGS)}))]
    make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    card = home.runs_dir / "emotions" / "weights" / "emo-lstm.json"
    card.write_text(json.dumps({"settings": asdict(SETTINGS) | {"activation": "relu"}}))
    make_plan(home, "small", {"other": "emo-lstm"}, weights=given, device="cpu")
    reader = extracts.cache_of(home).snapshot()
    assert reader.column("mine").fingerprint != reader.column("other").fingerprint


def test_a_column_learns_the_clips_that_trained_its_network(extracts: Any, home: Home) -> None:
    given = [run_of(home, json.dumps({"settings": asdict(SETTINGS)}))]
    make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    card = home.runs_dir / "emotions" / "weights" / "emo-lstm.json"
    card.write_text(json.dumps({"settings": asdict(SETTINGS), "training_keys": ["small/a.wav"]}))
    make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    facts = extracts.cache_of(home).snapshot().column("mine").spec_facts
    assert facts["training_keys"] == ["small/a.wav"]


def test_the_licence_of_the_training_data_is_the_columns(extracts: Any, home: Home) -> None:
    data = {
        "r": {"title": "RAVDESS", "licence": "CC BY-NC-SA 4.0"},
        "own": {"title": "Any folder", "licence": "Yours to know."},
    }
    given = [run_of(home, json.dumps({"settings": asdict(SETTINGS), "data": data}))]
    make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    facts = extracts.cache_of(home).snapshot().column("mine").spec_facts
    trained = (
        "by the data they are trained on, RAVDESS (CC BY-NC-SA 4.0), Any folder (Yours to know.)"
    )
    assert facts["weights"]["emo-lstm"]["licence"] == trained
    read = build("compare2016").spec.licence
    assert facts["licence"] == f"weights: {trained}; columns read: {read}"


def test_without_a_card_the_licence_is_what_the_backbone_states(extracts: Any, home: Home) -> None:
    given = [run_of(home, json.dumps({"settings": asdict(SETTINGS)}))]
    make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    facts = extracts.cache_of(home).snapshot().column("mine").spec_facts
    assert facts["licence"] == build("emo-lstm").spec.licence
    assert facts["weights"]["emo-lstm"]["licence"] == "by the data that it is trained on"
