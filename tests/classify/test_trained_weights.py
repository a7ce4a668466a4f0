"""Emotion networks of a run: the file and the card that stage 1 takes."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file

from avfd.nets.emo_lstm import EmoLstm
from avfd.nets.settings import EmoLstmSettings
from classify.fit import FitOptions, fit
from classify.model import Model


@pytest.fixture(scope="module")
def report(kit, tmp_path_factory):
    def emotional(clip, rows, rng):
        values = rng.normal(size=(rows, 10, 3))
        values[..., 0] += 3 * ("anger", "joy", "neutral").index(clip.emotion)
        return kit.Content(values)

    column = kit.Column(kit.spec("compare2016"), emotional)
    home = kit.make_home(tmp_path_factory.mktemp("home"), "d", kit.make_clips("d", 30, 3), [column])
    told = FitOptions(
        audio="compare2016", model="emo-lstm", target="emotion", preset="small", replicates=50
    )
    return fit(home, told)


def test_the_network_alone_takes_the_file(report):
    card = json.loads((report.path / "weights" / "emo-lstm.json").read_text())
    settings = EmoLstmSettings(**card["settings"])
    assert (settings.inputs, settings.classes, settings.units) == (3, 3, 16)
    network = EmoLstm(settings)
    state = load_file(report.path / "weights" / "emo-lstm.safetensors")
    network.load_state_dict(state, strict=True)
    assert (network.high > network.low).all()
    assert network.features(torch.zeros(1, 7, 3)).shape == (1, 7, 32)


def test_the_card_says_what_it_was_trained_on(report):
    path = report.path / "weights" / "emo-lstm.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["origin"] == "trained here"
    assert card["file"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert card["classes"] == ["anger", "joy", "neutral"]
    facts = json.loads((report.path / "run.json").read_text())
    assert card["training_keys"] == facts["training_keys"]
    assert card["data"]["d"]["licence"]
    assert card["scores"] == json.loads((report.path / "metrics.json").read_text())


def test_windows_are_those_of_the_thesis_unless_others_are_asked_for(report):
    facts = json.loads((report.path / "run.json").read_text())
    assert facts["model"]["windows"]["window_seconds"] == 3
    assert facts["model"]["windows"]["hop_seconds"] == 1


def test_a_network_that_is_no_column_exports_nothing(kit, av_home):
    done = fit(av_home, FitOptions(audio="compare2016", folds=3, replicates=50))
    assert not (done.path / "weights").exists()


def test_the_network_on_faces_is_trained_under_stage_1s_name(kit, tmp_path):
    def faces(clip, rows, rng):
        return kit.Content(rng.integers(0, 256, size=(rows, 7, 8, 8, 3)))

    column = kit.Column(kit.spec("faces", "video", 7, shape=(8, 8, 3), dtype="uint8"), faces)
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 10, 3), [column])
    ask = "emo-cnn3d:first_sets=1,long_px=32,short_px=28,step_frames=7"
    told = FitOptions(
        video="faces", model=ask, target="emotion", preset="small", epochs=1, replicates=10
    )
    path = fit(home, told).path
    assert json.loads((path / "weights" / "emo-cnn3d.json").read_text())["classes"]
    (member,) = Model.load(path / "model" / "fold-0").members_.values()
    assert member.name == "cnn3d"
    assert member.settings.first_sets == 1
