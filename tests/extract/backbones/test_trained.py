"""Weights of a run that cannot be loaded are refused before a column has their name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from avfd.errors import InputError
from avfd.nets.emo_lstm import EmoLstm
from avfd.nets.settings import EmoLstmSettings
from extract.run.plan import make_plan

SETTINGS = EmoLstmSettings(units=8, second_units=6, inputs=130)


def run_of(home: Any, card: str) -> str:
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
    extracts: Any, tmp_path: Path, card: str, said: str
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "a.wav").write_text("nothing that is read here")
    home = extracts.indexed(tmp_path / "home", media)
    given = [run_of(home, card)]
    with pytest.raises(InputError, match=said):
        make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    assert extracts.cache_of(home).snapshot().columns == []


def test_weights_that_load_make_the_column(extracts: Any, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "a.wav").write_text("nothing that is read here")
    home = extracts.indexed(tmp_path / "home", media)
    given = [run_of(home, json.dumps({"settings": asdict(SETTINGS)}))]
    make_plan(home, "small", {"mine": "emo-lstm"}, weights=given, device="cpu")
    assert extracts.cache_of(home).snapshot().columns == ["mine"]
