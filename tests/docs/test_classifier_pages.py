"""docs/classifiers/ names every setting of its classifier with the default that it has."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from classify import estimators
from classify.estimators.settings import Training

FOLDER = Path(__file__).parents[2] / "docs/classifiers"
GENERAL = {f.name for f in fields(Training)}


def rows(page: str) -> dict[str, str]:
    """Setting → its default, of the table of settings; rows may hold several."""
    found = {}
    for line in page.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        names = re.findall(r"`([a-z_0-9]+)`", cells[0])
        if len(cells) == 4 and names:
            values = [cells[1]] if len(names) == 1 else cells[1].split(",")
            found |= dict(zip(names, (v.strip() for v in values), strict=True))
    return found


@pytest.mark.parametrize("name", ["avt2dwf", "finegrained"])
def test_every_setting_is_in_the_table_with_its_default(name):
    told = rows((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    settings = estimators.kind_of(name).defaults("paper")
    own = {f.name for f in fields(settings)} - GENERAL
    assert own - set(told) == set()
    for setting, said in told.items():
        value = getattr(settings, setting)
        spelled = re.match(r"`?([^`:;]+)", said).group(1).replace(",", "")
        if isinstance(value, bool) or value is None:
            assert spelled == str(value).lower(), setting
        elif isinstance(value, str):
            assert spelled == value, setting
        else:
            assert float(spelled) == pytest.approx(float(value)), setting


def asks_of(page: str) -> list[str]:
    return re.findall(r"--model ([a-z0-9:_=,.-]+[a-z0-9])", page)


def test_every_model_is_in_the_table_of_models():
    page = (FOLDER.parent / "classify.md").read_text(encoding="utf-8")
    table = page.split("## Models")[1].split("\n\n")[1]
    first_cells = [line.split("|")[1] for line in table.splitlines()]
    told = {name for cell in first_cells for name in re.findall(r"`([a-z0-9-]+)`", cell)}
    assert set(estimators.names()) | {"emo-cnn3d", "emo-cnn3d-frames"} == told


def test_the_emotion_recipes_can_be_asked_for():
    page = (FOLDER / "emotions.md").read_text(encoding="utf-8")
    asked = asks_of(page)
    assert {"emo-lstm", "emo-cnn3d", "mel-cnn", "cnn1d", "mlp", "resnet18"} <= set(asked)
    for ask in asked:
        estimators.build(ask)
    presets = re.findall(r"--model ([a-z0-9-]+) --preset ([a-z0-9-]+)", page)
    assert {("emo-lstm", "augmented"), ("mel-cnn", "plain")} <= set(presets)
    for name, preset in presets:
        assert preset in estimators.kind_of(name).presets
