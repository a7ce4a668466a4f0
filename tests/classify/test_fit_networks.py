"""Networks through `fit` and `evaluate`: asks with options, parts, missing modalities, pixels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import classify
from avfd.clips import Clip
from avfd.errors import InputError
from classify import FitOptions
from classify.columns import PictureOptions
from classify.data import Opened, samples_of
from classify.sides import part_labels, plan_of

OPTIONS = FitOptions(
    folds=3,
    replicates=20,
    preset="small",
    model="td3mf:epochs=12",
    fusion="feature",
    audio="compare2016",
    video="face_track",
)


def fit(home, **changed):
    return classify.fit(home, replace(OPTIONS, **changed))


def facts(report):
    return json.loads((report.path / "run.json").read_text())


def auc(report):
    return report.metrics["test"]["all"]["metrics"]["auc"]["value"]


@pytest.mark.parametrize("ask", ["td3mf:epochs=12", "td3mf:epochs=12,fusion=multi", "iat:epochs=6"])
def test_middle_fusion_learns_from_both_columns(av_home, ask):
    report = fit(av_home, model=ask)
    assert auc(report) > 0.9
    assert report.models == {"audio+video": ask}
    assert ":" not in report.run


def test_a_run_keeps_the_full_settings(av_home):
    report = fit(av_home, model="td3mf:epochs=2,hidden=12", folds=2, epochs=1)
    settings = facts(report)["settings"]["audio+video"]
    assert settings["hidden"] == 12
    assert settings["fusion"] == "default"
    assert settings["learning_rate"] == 1e-2
    folder = report.path / "model" / "fold-0" / "audio+video"
    saved = json.loads((folder / "estimator.json").read_text())
    assert saved["settings"] == settings
    card = json.loads((folder / "card.json").read_text())
    assert card["estimator"] == "td3mf"
    assert card["epochs"] == 1
    assert card["parameters"] > 0


def test_a_run_with_settings_scores_other_clips(kit, tmp_path):
    columns = [
        kit.Column(kit.spec("compare2016"), kit.mean_signal),
        kit.Column(kit.spec("face_track", "video"), kit.mean_signal),
    ]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d"), columns)
    report = fit(home, folds=2, model="td3mf:epochs=12,fusion=self")
    kit.make_home(tmp_path, "other", kit.make_clips("other", 4), columns)
    said = classify.evaluate(home, report.run, dataset="other")
    assert said.metrics["all"]["metrics"]["auc"]["value"] > 0.9


def test_clips_without_a_modality_are_scored_and_counted(kit, tmp_path):
    def without(ending):
        def fill(clip, rows, rng):
            return None if clip.key.endswith(ending) else kit.mean_signal(clip, rows, rng)

        return fill

    columns = [
        kit.Column(kit.spec("compare2016"), without("_1.mp4")),
        kit.Column(kit.spec("face_track", "video"), without("_2.mp4")),
    ]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d"), columns)
    report = fit(home)
    assert "12 clips without audio are scored by their video alone." in report.notes
    assert "12 clips without video are scored by their audio alone." in report.notes
    table = pd.read_parquet(report.path / "scores.parquet")
    assert table["covered"].all()
    assert (~table["covered_audio"]).sum() == (~table["covered_video"]).sum()
    assert auc(report) > 0.85


@pytest.mark.parametrize("exceptions", [0, 1])
def test_a_modality_whose_presence_tells_the_label_is_noted(kit, tmp_path, exceptions):
    clips = kit.make_clips("d")
    reals = [clip.key for clip in clips if clip.label == "real"]

    def faces(clip, rows, rng):
        return None if clip.key in reals[exceptions:] else kit.mean_signal(clip, rows, rng)

    columns = [
        kit.Column(kit.spec("compare2016"), kit.mean_signal),
        kit.Column(kit.spec("face_track", "video"), faces),
    ]
    report = fit(kit.make_home(tmp_path, "d", clips, columns), model="td3mf:epochs=1")
    note = "Whether a clip has video tells its label: fake always has it, real never."
    assert (note in report.notes) == (not exceptions)


def test_a_model_is_refused_on_modalities_that_it_does_not_take(av_home, monkeypatch):
    from classify.estimators.td3mf import TD3MF

    monkeypatch.setattr(TD3MF, "needs", ("audio", "video"))
    with pytest.raises(InputError, match="never without audio, video"):
        fit(av_home, fusion="none", video=None)


@pytest.mark.parametrize(
    ("model", "asked", "holds"),
    [
        ("td3mf:epochs=1", {}, True),
        ("td3mf:epochs=1,patience=0,monitor=last", {}, False),
        ("td3mf:epochs=1,monitor=train-loss", {}, False),
        ("td3mf:epochs=1,monitor=last", {"validate": True}, True),
    ],
)
def test_a_fold_is_held_out_of_training_only_where_validation_decides(av_home, model, asked, holds):
    report = fit(av_home, model=model, folds=3, **asked)
    sides = set(pd.read_parquet(report.path / "scores.parquet")["split"])
    assert ("val" in sides) == holds
    assert any("validated on the next" in note for note in report.notes) == holds


def test_unknown_options_and_presets_are_refused_before_anything_is_read(av_home):
    with pytest.raises(InputError, match="no such option"):
        fit(av_home, model="td3mf:colour=red")
    with pytest.raises(InputError, match="paper, code, small"):
        fit(av_home, preset="huge")
    with pytest.raises(InputError, match="no budget"):
        fit(av_home, minutes=0.0)
    with pytest.raises(InputError, match="balance"):
        fit(av_home, balance="loudness")


@pytest.mark.parametrize("balance", ["repeat", "sample"])
@pytest.mark.parametrize("model", ["logreg", "td3mf:epochs=12"])
def test_every_balance_trains(av_home, balance, model):
    assert auc(fit(av_home, balance=balance, model=model)) > 0.9


def test_networks_see_pixels_as_they_are(kit, tmp_path):
    """The small pictures of the classical models stay what they were."""

    def faces(clip, rows, rng):
        values = rng.integers(0, 200, size=(rows, 2, 24, 24, 3)) + 50 * (clip.label == "fake")
        return kit.Content(values)

    spec = kit.spec("faces", "video", 2, shape=(24, 24, 3), dtype="uint8")
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 3, 2), [kit.Column(spec, faces)])
    opened = Opened.at(home, ["d"])
    plan = plan_of(home, opened.readers, FitOptions(folds=2), validate=False)
    pictures = PictureOptions()
    samples = samples_of(plan.units, plan.classes, opened, {"video": "faces"}, pictures)
    video = samples.features["video"]
    assert (video.dim, video.shape) == (256, (24, 24, 3))
    raw = opened.readers["d"].column("faces").read(samples.keys[0]).values
    native = video.native(0)
    assert native.values.dtype == np.uint8
    np.testing.assert_array_equal(native.values, raw)
    assert video.read(0).values.shape == (len(raw), 2, 256)


@pytest.mark.parametrize(
    ("whole", "audio", "video", "wanted"),
    [
        ("real", None, None, ("real", "real")),
        ("fake", "real", None, ("real", "fake")),
        ("fake", None, "real", ("fake", "real")),
        ("fake", None, None, (None, None)),
        ("fake", "fake", None, ("fake", None)),
        ("fake", "fake", "fake", ("fake", "fake")),
        (None, "fake", None, ("fake", None)),
    ],
)
def test_what_the_labels_of_the_parts_follow_from(whole, audio, video, wanted):
    clip = Clip(key="d/a.mp4", label=whole, audio_label=audio, video_label=video)
    assert part_labels(clip) == wanted


def test_the_labels_of_the_parts_reach_the_samples(kit, tmp_path):
    clips = [
        replace(c, audio_label="real") if c.label == "fake" and i % 4 == 1 else c
        for i, c in enumerate(kit.make_clips("d", 3, 4))
    ]
    column = kit.Column(kit.spec("compare2016"), kit.mean_signal)
    home = kit.make_home(tmp_path, "d", clips, [column])
    opened = Opened.at(home, ["d"])
    plan = plan_of(home, opened.readers, FitOptions(folds=3), validate=False)
    samples = samples_of(
        plan.units, plan.classes, opened, {"audio": "compare2016"}, PictureOptions()
    )
    by_key = {clip.key: clip for clip in clips}
    for key, whole, audio, video in zip(
        samples.keys,
        samples.y,
        samples.part_labels["audio"],
        samples.part_labels["video"],
        strict=True,
    ):
        clip = by_key[key]
        if clip.label == "real":
            assert (whole, audio, video) == (0, 0, 0)
        elif clip.audio_label == "real":
            assert (whole, audio, video) == (1, 0, 1)
        else:
            assert (whole, audio, video) == (1, -1, -1)
    half = samples.take(np.arange(4))
    np.testing.assert_array_equal(half.part_labels["audio"], samples.part_labels["audio"][:4])
