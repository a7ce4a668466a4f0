"""Clips that trained a column's network are known again by key and by content."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import classify
from avfd.errors import InputError
from classify.data import Opened
from classify.fit import FitOptions
from classify.sides import plan_of
from classify.taught import Taught, media_of
from classify.twins import without_twins

SHA = "ab" * 32
OTHER = "cd" * 32


def home_with(kit, path, taught, media):
    """Data set "d" whose column's network was trained on `taught`."""
    column = kit.Column(kit.spec("lstm1"), kit.noise, facts=taught)
    return kit.make_home(path, "d", kit.make_clips("d", 30, 2), [column], media)


def sides(report) -> dict[str, list[str]]:
    frame = pd.read_parquet(report.path / "scores.parquet")
    return frame.groupby("split")["key"].agg(list).to_dict()


@pytest.fixture(scope="module")
def split(kit, tmp_path_factory) -> dict[str, list[str]]:
    """Side → keys of the protocol "hash", which all homes here share."""
    home = home_with(kit, tmp_path_factory.mktemp("home"), {}, {})
    return sides(classify.fit(home, FitOptions(audio="lstm1", replicates=50)))


def test_the_same_media_under_another_name_count_as_trained_on(kit, tmp_path, split):
    tested = split["test"][0]
    taught = {"training_keys": ["elsewhere/a.mp4"], "training_media": [SHA]}
    home = home_with(kit, tmp_path, taught, {tested: SHA})
    with pytest.raises(InputError, match=r"1 of the clips .*same media under other names") as error:
        classify.fit(home, FitOptions(audio="lstm1", replicates=50))
    assert tested in str(error.value)


def test_a_run_is_not_tested_on_another_data_set_with_the_media_of_its_column(kit, tmp_path):
    taught = {"training_keys": ["d/a.mp4"], "training_media": [SHA]}
    for name in ("d", "e"):
        clips = kit.make_clips(name, 12, 4)
        column = kit.Column(kit.spec("lstm1"), kit.noise, "1" * 64, taught)
        media = {clips[0].key: SHA} if name == "e" else {}
        home = kit.make_home(tmp_path, name, clips, [column], media)
    run = classify.fit(home, FitOptions(datasets=("d",), audio="lstm1", replicates=50)).run
    with pytest.raises(InputError, match="trained on 1 of the clips"):
        classify.evaluate(home, run, dataset="e")


def test_other_media_are_not_refused(kit, tmp_path, split):
    taught = {"training_keys": ["elsewhere/a.mp4"], "training_media": [SHA]}
    home = home_with(kit, tmp_path, taught, {split["test"][0]: OTHER})
    report = classify.fit(home, FitOptions(audio="lstm1", replicates=50))
    assert not any("trained the network" in note for note in report.notes)


@pytest.mark.parametrize("how", ["key", "media"])
def test_validation_clips_that_trained_the_network_are_said(kit, tmp_path, split, how):
    key = split["val"][0]
    taught = {
        "key": {"training_keys": [key]},
        "media": {"training_keys": ["elsewhere/a.mp4"], "training_media": [SHA]},
    }[how]
    home = home_with(kit, tmp_path, taught, {key: SHA})
    report = classify.fit(home, FitOptions(audio="lstm1", replicates=50))
    (note,) = [n for n in report.notes if "trained the network" in n]
    assert note.startswith(
        f"1 of {len(split['val'])} validation clips trained the network of lstm1"
    )
    assert note in json.loads((report.path / "run.json").read_text())["notes"]


def test_a_run_and_the_card_of_its_weights_name_the_media_that_trained_it(kit, tmp_path):
    media = {clip.key: f"{i:064x}" for i, clip in enumerate(kit.make_clips("d", 30, 3), start=1)}
    column = kit.Column(kit.spec("compare2016"), kit.noise)
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 30, 3), [column], media)
    told = FitOptions(
        audio="compare2016",
        model="emo-lstm",
        target="emotion",
        preset="small",
        epochs=1,
        replicates=50,
    )
    path = classify.fit(home, told).path
    card = json.loads((path / "weights" / "emo-lstm.json").read_text())
    assert card["training_media"] == sorted(media[key] for key in card["training_keys"])
    assert card["training_media"] == json.loads((path / "run.json").read_text())["training_media"]


def test_a_part_of_a_file_is_in_the_whole_and_in_no_other_part():
    part = f"{SHA}@0.000-2.000"
    assert Taught(media=frozenset({SHA})).has("e/x@0.000-2.000", part)
    assert Taught(media=frozenset({part})).has("e/x", SHA)
    assert Taught(media=frozenset({part})).has("e/x@0.000-2.000", part)
    assert not Taught(media=frozenset({part})).has("e/x@2.000-4.000", f"{SHA}@2.000-4.000")
    assert not Taught(media=frozenset({part})).has("e/x", "")


def test_weights_that_training_began_with_bring_their_media(tmp_path):
    import torch
    from safetensors.torch import save_file

    from classify.estimators.starting import read_start

    save_file({"w": torch.zeros(1)}, tmp_path / "net.safetensors")
    card = {"training_keys": ["e/a.mp4"], "training_media": [SHA]}
    (tmp_path / "net.json").write_text(json.dumps(card))
    assert read_start(str(tmp_path), ("net",)).card["training_media"] == [SHA]


def test_training_clips_that_are_test_clips_under_other_names_do_not_train(kit, tmp_path, split):
    twin = split["train"][0]
    media = {twin: SHA, split["test"][0]: SHA, split["test"][1]: OTHER}
    home = home_with(kit, tmp_path, {}, media)
    report = classify.fit(home, FitOptions(audio="lstm1", replicates=50))
    (note,) = [n for n in report.notes if "same media" in n]
    assert note == (
        f"1 clips are the same media as test clips under other names and do not train: {twin}."
    )
    now = sides(report)
    assert set(split["train"]) - set(now["train"]) == {twin}
    assert now["test"] == split["test"]


def test_a_fold_does_not_train_on_another_name_of_what_it_tests(kit, tmp_path):
    clips = {name: kit.make_clips(name, 6, 2) for name in ("d", "e")}
    for name in ("d", "e"):  # the same twelve files, indexed under two names
        media = {clip.key: f"{i:064x}" for i, clip in enumerate(clips[name], start=1)}
        column = kit.Column(kit.spec("mel"), kit.noise, "1" * 64)
        home = kit.make_home(tmp_path, name, clips[name], [column], media)
    opened = Opened.at(home, ["d", "e"])
    options = FitOptions(datasets=("d", "e"), folds=3)
    plan = without_twins(plan_of(home, opened.readers, options, validate=True), opened)
    known = media_of(plan.units, opened)
    for fold in plan.folds:
        learnt, tested = (
            {known[key] for side in sides for i in fold.sides[side] for key in plan.units[i].keys}
            for sides in (("train", "val"), ("test",))
        )
        assert learnt
        assert tested
        assert not learnt & tested
    assert sum(len(fold.sides["test"]) for fold in plan.folds) == 24


def test_media_that_are_real_and_fake_are_named(kit, tmp_path):
    clips = kit.make_clips("d", 6, 2)
    real, fake = (next(c.key for c in clips if c.label == label) for label in ("real", "fake"))
    column = kit.Column(kit.spec("mel"), kit.noise)
    home = kit.make_home(tmp_path, "d", clips, [column], {real: SHA, fake: SHA})
    report = classify.fit(home, FitOptions(audio="mel", folds=3, replicates=50))
    assert f"1 media files are labelled both real and fake: {real} and {fake}." in report.notes


def test_another_data_set_with_clips_that_trained_the_run_is_said(kit, tmp_path):
    clips = {name: kit.make_clips(name, 12, 4) for name in ("d", "e")}
    known = {clip.key: f"{i:064x}" for i, clip in enumerate(clips["d"])}
    media = {"d": known, "e": {clips["e"][5].key: f"{5:064x}"}}
    for name in ("d", "e"):
        column = kit.Column(kit.spec("mel"), kit.noise, "1" * 64)
        home = kit.make_home(tmp_path, name, clips[name], [column], media[name])
    run = classify.fit(home, FitOptions(datasets=("d",), audio="mel", folds=3, replicates=50)).run
    report = classify.evaluate(home, run, dataset="e", replicates=50)
    assert (
        f"1 of these clips trained the run itself or chose it: {clips['e'][5].key}." in report.notes
    )
