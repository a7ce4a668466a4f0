"""A network that was trained on something else than it would see is refused before its column."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import nn

from avfd.cards import carried
from avfd.errors import InputError
from avfd.home import Home
from avfd.nets.emo_cnn3d import EmoCnn3d
from avfd.nets.emo_lstm import EmoLstm
from avfd.nets.frames_cnn3d import FramesCnn3d
from avfd.nets.resnet18 import SMALL, AudioResNet18
from avfd.nets.settings import EmoLstmSettings
from extract import weights
from extract.backbones import build, load_all
from extract.nets.emo_settings import CNN3D, FRAMES
from extract.run.plan import make_plan
from extract.weights.finding import file_sha256, read_card

load_all()
LSTM = EmoLstmSettings(units=8, second_units=6)


def inputs(column: str, key: str = "video") -> dict[str, Any]:
    """What a card says of a training column that such a backbone made."""
    spec = json.loads(json.dumps(build(column).spec.hashed()))
    facts = {"column": column.partition(":")[0], "fingerprint": "ab" * 32, "spec": spec}
    return {"inputs": {key: facts}}


def check(
    asked: str, network: nn.Module, settings: Any, folder: Path, card: dict[str, Any]
) -> None:
    """Look at the weights of such a network as an extract does before it makes the column."""
    backbone = build(asked)
    (name,) = (n for n in backbone.spec.weights if n != "blazeface")
    path = folder / f"{name}.safetensors"
    save_file(network.state_dict(), path)
    facts = {"name": name, "origin": "trained here", "settings": asdict(settings)}
    path.with_suffix(".json").write_text(json.dumps(facts | card))
    backbone.check({name: path})


EXACT, PLAIN = CNN3D["small"], FRAMES["small"]


def test_other_crops_than_in_training_are_refused_and_the_options_said(tmp_path: Path) -> None:
    asked = "emo-cnn3d:preset=small"
    with pytest.raises(InputError, match="other face crops than it would see") as error:
        check(asked, EmoCnn3d(EXACT), EXACT, tmp_path, inputs("faces"))
    said = str(error.value)
    assert "rate_hz=10, size_px=224, margin=0.3, interpolation=bilinear" in said
    assert "rate_hz=30, size_px=40, margin=0.0, interpolation=bicubic" in said
    assert "align" not in said
    mended = said.partition("ask for ")[2].partition(", or")[0]
    assert build(mended).spec.faces == build("faces").spec.faces
    check(mended, EmoCnn3d(EXACT), EXACT, tmp_path, inputs("faces"))


def test_the_options_that_mend_it_keep_those_that_were_given(tmp_path: Path) -> None:
    asked = "emo-cnn3d:preset=small,network=frames,rate_hz=10,margin=0.3,interpolation=bilinear"
    with pytest.raises(InputError) as error:
        check(asked, FramesCnn3d(PLAIN), PLAIN, tmp_path, inputs("faces:align=eyes,size_px=24"))
    mended = str(error.value).partition("ask for ")[2].partition(", or")[0]
    assert mended == (
        "emo-cnn3d:preset=small,network=frames,rate_hz=10,margin=0.3,"
        "interpolation=bilinear,align=eyes"
    )


def test_the_crops_of_training_are_taken(tmp_path: Path) -> None:
    column = "faces:rate_hz=30,size_px=40,margin=0,interpolation=bicubic"
    check("emo-cnn3d:preset=small", EmoCnn3d(EXACT), EXACT, tmp_path, inputs(column))


def test_pictures_that_are_no_crops_are_refused(tmp_path: Path) -> None:
    card = inputs("faces:rate_hz=30,size_px=40,margin=0,interpolation=bicubic")
    card["inputs"]["video"]["spec"]["name"] = "mouths"
    with pytest.raises(InputError, match=r"a column of mouths.*--video faces"):
        check("emo-cnn3d:preset=small", EmoCnn3d(EXACT), EXACT, tmp_path, card)


def test_another_column_than_the_one_read_is_refused(tmp_path: Path) -> None:
    settings = replace(LSTM, inputs=39)
    with pytest.raises(InputError, match="another column than it would read") as error:
        check("emo-lstm", EmoLstm(settings), settings, tmp_path, inputs("emobase2010", "audio"))
    assert "backbone=emobase2010" in str(error.value)
    assert "backbone=compare2016" in str(error.value)
    assert "--backbone compare2016" in str(error.value)


def test_the_column_read_with_other_options_is_refused(tmp_path: Path) -> None:
    card = inputs("mfcc", "audio")
    card["inputs"]["audio"]["spec"]["audio"]["sample_rate_hz"] = 22_050
    with pytest.raises(InputError, match=r"sample_rate_hz=22050; .*sample_rate_hz=44100"):
        check("resnet18:preset=small", AudioResNet18(SMALL), SMALL, tmp_path, card)
    check("resnet18:preset=small", AudioResNet18(SMALL), SMALL, tmp_path, inputs("mfcc", "audio"))


@pytest.mark.parametrize(
    ("asked", "network", "settings"),
    [
        ("emo-lstm", EmoLstm, replace(LSTM, inputs=39)),
        ("resnet18:preset=small", AudioResNet18, replace(SMALL, coefficients=39)),
    ],
)
def test_vectors_of_another_shape_are_refused_where_no_column_is_named(
    asked: str, network: Any, settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="another column than it would read"):
        check(asked, network(settings), settings, tmp_path, {})


def test_a_card_that_does_not_say_it_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check("emo-lstm:rate_hz=100", EmoLstm(LSTM), LSTM, tmp_path, {})
    (record,) = caplog.records
    assert "does not say how the column was made" in record.getMessage()


@pytest.mark.parametrize("broken", [[1], {"audio": 3}, {"audio": {"spec": {}}}])
def test_a_card_that_says_nonsense_of_it_is_refused(broken: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trained on"):
        check("emo-lstm", EmoLstm(LSTM), LSTM, tmp_path, {"inputs": broken})


@pytest.mark.parametrize(
    ("rate_hz", "asked", "said"),
    [
        (100, "emo-lstm", "trained on 100 rows a second and sees 30 (the nearest) here; "),
        (25, "emo-lstm:rate_hz=25", "trained on 25 rows a second (means) and sees 25 (the nearest"),
        (25, "emo-lstm", "emo-lstm:rate_hz=25,rows=mean gives it"),
        (100, "emo-lstm:rate_hz=100", ""),
        (100, "emo-lstm:sample=vectors", ""),
        (25, "emo-lstm:rate_hz=25,rows=mean", ""),
    ],
)
def test_other_rows_than_in_training_are_told_once(
    rate_hz: int, asked: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(LSTM, rate_hz=rate_hz)
    with caplog.at_level(logging.WARNING):
        check(asked, EmoLstm(settings), settings, tmp_path, inputs("compare2016", "audio"))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == bool(said)
    assert said in "".join(told)


@pytest.fixture
def home(extracts: Any, tmp_path: Path) -> Home:
    """A home with a clip that nothing reads."""
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.wav").write_text("no sound")
    indexed: Home = extracts.indexed(tmp_path / "home", tmp_path / "media")
    return indexed


def carrying(path: Path, card: dict[str, Any]) -> Path:
    """A file of a run that was copied without the card beside it."""
    facts = {"name": "emo-lstm", "origin": "trained here", "settings": asdict(LSTM), **card}
    save_file(EmoLstm(LSTM).state_dict(), path, carried(facts))
    return path


def test_no_column_is_made_of_a_network_of_another_one(
    extracts: Any, home: Home, tmp_path: Path
) -> None:
    path = carrying(tmp_path / "emo-lstm.safetensors", inputs("emobase2010", "audio"))
    with pytest.raises(InputError, match="another column than it would read"):
        make_plan(home, "small", {"mine": "emo-lstm"}, weights=[str(path)], device="cpu")
    assert extracts.cache_of(home).snapshot().columns == []


def test_a_copy_of_a_trained_file_alone_brings_its_training_clips(
    extracts: Any, home: Home, tmp_path: Path
) -> None:
    seen = {"training_keys": ["small/a.wav"], "training_media": ["ab" * 32]}
    copy = carrying(tmp_path / "copy.safetensors", {**inputs("compare2016", "audio"), **seen})
    added = weights.add(copy, "emo-lstm", home)
    assert added.origin == "trained here"
    make_plan(home, "small", {"mine": "emo-lstm"}, device="cpu")
    facts = extracts.cache_of(home).snapshot().column("mine").spec_facts
    assert {name: facts[name] for name in seen} == seen
    added.path.with_suffix(".json").unlink()
    found = weights.find("emo-lstm", home)
    assert (found.origin, found.sha256) == ("trained here", added.sha256)
    assert {name: found.card[name] for name in seen} == seen


def test_a_card_that_is_another_files_gives_way_to_the_one_in_the_file(tmp_path: Path) -> None:
    path = carrying(tmp_path / "emo-lstm.safetensors", {"training_keys": ["d/own.wav"]})
    beside = {"training_keys": ["d/other.wav"], "origin": "trained here"}
    for digest, key in ((file_sha256(path), "d/other.wav"), ("ab" * 32, "d/own.wav")):
        card = json.dumps(beside | {"file": {"sha256": digest}})
        path.with_suffix(".json").write_text(card)
        assert read_card(path)["training_keys"] == [key]


def test_weights_that_no_run_made_are_called_so(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "drawn.safetensors"
    save_file(EmoLstm().state_dict(), path)
    added = weights.add(path, "emo-lstm", home)
    assert added.origin == "of no run"
    assert weights.facts("emo-lstm").said_of(added.origin) == (
        "of no run: nothing says that a run of avfd fit made it"
    )
    save_file(AudioResNet18().state_dict(), path)
    assert weights.add(path, "resnet18", home).origin == "unverified"
