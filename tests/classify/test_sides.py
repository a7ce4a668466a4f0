"""Plans over several data sets: what their folds say together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avfd.clips import grouped
from avfd.home import DatasetFacts
from classify import FitOptions
from classify.data import Opened
from classify.sides import plan_of


@pytest.fixture
def home(kit, tmp_path):
    """ "open": a ring of people swapped with each other, its protocol leaky; "tight": groups."""
    column = kit.Column(kit.spec("mel"), kit.noise, "1" * 64)
    clips = kit.make_clips("open", 12)
    ring = [
        replace(c, group=None, donor=f"s{(int(c.subject[1:]) + 1) % 12:02}" if i % 2 else None)
        for i, c in enumerate(clips)
    ]
    kit.make_home(tmp_path, "open", grouped(ring), [column])
    home = kit.make_home(tmp_path, "tight", kit.make_clips("tight", 12), [column])
    home.write_facts(DatasetFacts("open", layout="fakeavceleb", root="/", protocol="avt2-dwf"))
    return home


@pytest.mark.parametrize("names", [("open", "tight"), ("tight", "open")])
def test_a_leak_in_any_fold_marks_the_run_whatever_the_order(home, names):
    options = FitOptions(datasets=names, protocol="leave-one-dataset-out")
    plan = plan_of(home, Opened.at(home, names).readers, options, validate=False)
    assert plan.leaky
    assert len(plan.leaking) == 1
    assert plan.leaking[0].startswith("open/")


def with_emotions(kit, home, name, words):
    column = kit.Column(kit.spec("mel"), kit.noise, "1" * 64)
    clips = [
        replace(c, emotion=words[i % len(words)]) for i, c in enumerate(kit.make_clips(name, 12))
    ]
    return kit.make_home(home.path, name, clips, [column])


def test_labels_that_one_of_the_pooled_data_sets_has_alone_are_said(kit, home):
    with_emotions(kit, home, "one", ("anger", "joy", "neutral"))
    with_emotions(kit, home, "two", ("anger", "joy", "neu"))
    for target, said in (("emotion", True), ("deepfake", False)):
        options = FitOptions(datasets=("one", "two"), target=target)
        plan = plan_of(home, Opened.at(home, ("one", "two")).readers, options, validate=False)
        note = "Not all data sets have all labels: one alone has neutral; two alone has neu."
        assert (note in plan.notes) == said


def test_labels_that_all_data_sets_share_need_no_note(kit, home):
    with_emotions(kit, home, "one", ("anger", "joy"))
    with_emotions(kit, home, "two", ("anger", "joy"))
    options = FitOptions(datasets=("one", "two"), target="emotion")
    plan = plan_of(home, Opened.at(home, ("one", "two")).readers, options, validate=False)
    assert not any("alone has" in note for note in plan.notes)
