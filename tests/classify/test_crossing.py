"""Tests on data sets and manipulations that training never met."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import classify
from avfd import runs
from avfd.clips import Clip, grouped, read_table, write_table
from avfd.errors import InputError
from avfd.manifest import Protocol
from classify import FitOptions
from classify.protocols import as_test, assign
from classify.protocols.crossing import crossed, left_out, manipulation_folds, manipulations

THIRDS = Protocol(
    name="p",
    rule="group-hash",
    text="As the test says.",
    fractions={"train": 0.4, "val": 0.3, "test": 0.3},
)


def people(dataset, count=20, each=4, methods=("swap", "puppet"), **facts):
    """Half real, half fake clips of `count` people; of the fakes methods take turns."""
    return grouped(
        [
            Clip(
                key=f"{dataset}/s{s:02}/{i}.mp4",
                label=("real", "fake")[i % 2],
                subject=f"{dataset}{s:02}",
                method=methods[(i // 2 + s) % len(methods)] if i % 2 else None,
                seconds=4.0,
                **facts,
            )
            for s in range(count)
            for i in range(each)
        ]
    )


def sides(split):
    return {side: set(split.keys(side)) for side in ("train", "val", "test")}


@pytest.fixture
def training():
    return assign(people("a"), THIRDS)


@pytest.fixture
def unseen():
    return assign(people("b"), THIRDS)


def test_by_default_the_training_sets_test_side_stands_nowhere(training, unseen):
    split = crossed(training, [unseen])
    before = sides(training)
    assert sides(split) == {
        "train": before["train"],
        "val": before["val"],
        "test": set(unseen.labels),
    }
    assert set(split.excluded) == before["test"]
    assert not split.leaky
    assert "No label of the tested data sets is read before the test." in split.notes


def test_2d3mf_s_sets_that_only_train_give_their_test_side_to_training(training, unseen):
    split = crossed(training, [unseen], "whole")
    before = sides(training)
    assert sides(split)["train"] == before["train"] | before["test"]
    assert sides(split)["val"] == before["val"]
    assert not split.leaky


def test_2d3mf_s_code_validates_on_the_tested_set_and_is_leaky(training, unseen):
    split = crossed(training, [unseen], "2d3mf")
    assert sides(split)["val"] == set(training.val) | set(unseen.val)
    assert sides(split)["test"] == set(unseen.labels)
    assert split.leaky
    assert {g.partition("/")[0] for g in split.leaking} == {"b"}


def test_a_data_set_on_both_ends_is_refused(training):
    with pytest.raises(InputError, match="cannot train and be the unseen one"):
        crossed(training, [as_test(people("a"))])


def test_emotions_that_do_not_train_are_not_tested():
    known = people("a", emotion="anger")
    other = [
        replace(clip, emotion="joy" if i % 2 else "anger") for i, clip in enumerate(people("b"))
    ]
    training = assign(known, THIRDS, target="emotion")
    split = crossed(training, [as_test(other, target="emotion")])
    assert set(split.labels.values()) == {"anger"}
    assert len(split.test) == 40
    assert "emotion joy does not train" in split.excluded_counts


def test_a_test_of_unknown_classes_alone_names_the_data_set_and_the_classes():
    training = assign(people("a", emotion="anger"), THIRDS, target="emotion")
    unseen = as_test(people("b", emotion="ang"), target="emotion")
    with pytest.raises(InputError) as caught:
        crossed(training, [unseen])
    said = "no tested clip is of a class that trains"
    assert str(caught.value).startswith(f"b: {said}; found: ang; accepted: anger")


def test_a_manipulation_left_out_is_tested_alone(training):
    clips = {clip.key: clip for clip in people("a")}
    split = left_out(training, clips, ["swap"])
    for side in ("train", "val"):
        assert all(clips[k].method != "swap" for k in split.keys(side))
        assert {k for k in training.keys(side) if clips[k].method != "swap"} == sides(split)[side]
    assert {clips[k].method for k in split.test} == {None, "swap"}
    assert set(split.test) <= set(training.test)
    gone = set(training.labels) - set().union(*sides(split).values())
    assert set(split.excluded) == gone


def test_of_a_clip_of_several_manipulations_each_counts(training):
    clips = {
        c.key: replace(c, method="swap+voice") if c.method == "swap" else c for c in people("a")
    }
    assert manipulations(clips["a/s00/1.mp4"]) == {"swap", "voice"}
    both = left_out(training, clips, ["swap", "voice"])
    assert any(clips[k].method == "swap+voice" for k in both.test)
    with pytest.raises(InputError, match="no clip is left for test"):
        left_out(training, clips, ["voice"])  # no fake of voice alone
    with pytest.raises(InputError, match="accepted: puppet, swap, voice"):
        left_out(training, clips, ["morph"])


def test_each_manipulation_in_turn_tests_every_clip_once(training):
    clips = {clip.key: clip for clip in people("a")}
    split_of = manipulation_folds(training, clips)
    assert len(split_of) == 2
    tested = [key for split in split_of for key in split.test]
    assert sorted(tested) == sorted(training.test)
    for split in split_of:
        methods = {clips[k].method for k in split.test} - {None}
        assert len(methods) == 1
        assert not methods & {clips[k].method for k in (*split.train, *split.val)}
        assert any(clips[k].method is None for k in split.test)


def test_one_manipulation_alone_cannot_be_left_out_in_turn():
    clips = people("a", methods=("swap",))
    with pytest.raises(InputError, match="takes two or more"):
        manipulation_folds(assign(clips, THIRDS), {c.key: c for c in clips})


# Through fit


@pytest.fixture
def home(kit, tmp_path):
    for name in ("a", "b", "c"):
        column = kit.Column(kit.spec("mel"), kit.mean_signal, "1" * 64)
        home = kit.make_home(tmp_path, name, people(name, 24), [column])
    return home


OPTIONS = FitOptions(datasets=("a", "b"), audio="mel", model="logreg", replicates=20)


def table(report):
    return pd.read_parquet(report.path / "scores.parquet")


def test_fit_tests_on_the_unseen_data_set(home):
    report = classify.fit(home, replace(OPTIONS, test_datasets=("c",)))
    frame = table(report)
    assert set(frame[frame["split"] == "test"]["dataset"]) == {"c"}
    assert set(frame[frame["split"] != "test"]["dataset"]) == {"a", "b"}
    assert len(frame[frame["split"] == "test"]) == 96  # all 24 people
    facts = runs.load(home, report.run).facts
    assert not any(key.startswith("c/") for key in facts["training_keys"])
    assert facts["datasets"] == ["a", "b", "c"]


def test_no_label_of_the_tested_set_changes_anything_before_the_test(home):
    options = replace(OPTIONS, test_datasets=("c",))
    first = classify.fit(home, options)
    turn = {"real": "fake", "fake": "real"}
    clips = read_table(home.clip_table("c"))
    write_table([replace(c, label=turn[c.label]) for c in clips], home.clip_table("c"))
    second = classify.fit(home, options)
    one, two = table(first), table(second)
    assert (one[one["split"] == "test"]["label"] != two[two["split"] == "test"]["label"]).all()
    np.testing.assert_array_equal(one["score_fake"], two["score_fake"])


def test_each_data_set_in_turn_is_tested_once(home):
    options = replace(OPTIONS, datasets=("a", "b", "c"), protocol="leave-one-dataset-out")
    frame = table(classify.fit(home, options))
    tested = frame[frame["split"] == "test"]
    assert tested["key"].is_unique
    assert len(tested) == 288
    assert tested.groupby("fold")["dataset"].agg(set).tolist() == [{"a"}, {"b"}, {"c"}]


def test_each_manipulation_in_turn_through_fit(home):
    options = replace(OPTIONS, protocol="leave-one-manipulation-out")
    report = classify.fit(home, options)
    tested = table(report).query("split == 'test'")
    methods = {c.key: c.method for d in ("a", "b") for c in read_table(home.clip_table(d))}
    by_fold = tested.groupby("fold")["key"].agg(lambda keys: {methods[k] for k in keys} - {None})
    assert by_fold.tolist() == [{"puppet"}, {"swap"}]


def test_a_left_out_manipulation_through_fit(home):
    report = classify.fit(home, replace(OPTIONS, leave_out=("swap",)))
    assert report.protocol == "hash, swap left out"
    methods = {c.key: c.method for d in ("a", "b") for c in read_table(home.clip_table(d))}
    frame = table(report)
    assert {methods[k] for k in frame[frame["split"] == "train"]["key"]} == {None, "puppet"}
    assert {methods[k] for k in frame[frame["split"] == "test"]["key"]} == {None, "swap"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test_datasets": ("c",), "folds": 2}, "there is one training"),
        ({"test_datasets": ("c",), "protocol": "leave-one-dataset-out"}, "there is one training"),
        ({"cross": "whole"}, "no data set to be tested alone"),
        ({"datasets": ("a",), "protocol": "leave-one-dataset-out"}, "takes two or more"),
        ({"test_datasets": ("a",)}, "cannot train and be the unseen one"),
    ],
)
def test_what_contradicts_itself_is_refused(home, options, said):
    with pytest.raises(InputError, match=said):
        classify.fit(home, replace(OPTIONS, **options))


def test_a_run_on_another_data_set_by_its_protocol_is_scored_once(home):
    run = classify.fit(home, replace(OPTIONS, datasets=("a",), folds=2)).run
    first = classify.evaluate(home, run, "c", "test", protocol="hash", replicates=20)
    stamp = first.scores_path.stat().st_mtime_ns
    again = classify.evaluate(home, run, "c", "test", protocol="hash", replicates=20)
    assert (again.clips, again.metrics) == (first.clips, first.metrics)
    assert again.scores_path.stat().st_mtime_ns == stamp
    clips = read_table(home.clip_table("c"))
    write_table([replace(c, label="fake") for c in clips], home.clip_table("c"))
    changed = classify.evaluate(home, run, "c", "test", protocol="hash", replicates=20)
    assert changed.scores_path.stat().st_mtime_ns > stamp
