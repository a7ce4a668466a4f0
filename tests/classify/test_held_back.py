"""Clips that came to a run's own data set after the fit: scored now, or said to be left out."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pandas as pd
import pytest

import classify
from avfd import runs
from avfd.clips import Clip, grouped, read_table, write_table
from avfd.errors import InputError, MissingError
from avfd.home import DatasetFacts
from classify import FitOptions

TEST_ACTORS = (5, 10, 16, 19)
OPTIONS = FitOptions(audio="mel", model="logreg", target="emotion", replicates=20)


def actors(numbers, emotions=("happy", "sad")):
    """Two speeches of each emotion and a song by each of these actors."""
    return grouped(
        [
            Clip(
                key=f"ravdess/{a:02}/{channel}-{i}.mp4",
                audio_path=f"{a:02}/{channel}-{i}.mp4",
                label="real",
                emotion=emotions[i % 2],
                subject=f"{a:02}",
                seconds=2.0,
                extra={"channel": channel},
            )
            for a in numbers
            for channel, count in (("speech", 4), ("song", 1))
            for i in range(count)
        ]
    )


@pytest.fixture
def made(kit, tmp_path):
    """What indexes and extracts clips of ravdess in one home."""

    def fill(clip, rows, rng):
        values = rng.normal(size=(rows, 10, 3))
        values[..., 0] += 3.0 * (clip.emotion == "happy")
        return kit.Content(values)

    def make(clips, name="ravdess"):
        column = kit.Column(kit.spec("mel"), fill, "1" * 64)
        home = kit.make_home(tmp_path, name, clips, [column])
        home.write_facts(DatasetFacts(name, layout=name.partition("-")[0], root="/nowhere"))
        return home

    return make


@pytest.fixture
def fitted(made):
    """A home whose run was fitted without the test actors, who are there now."""
    home = made(actors(a for a in range(1, 25) if a not in TEST_ACTORS))
    run = classify.fit(home, OPTIONS).run
    made(actors(range(1, 25)))
    return home, run


@pytest.mark.parametrize("dataset", [None, "ravdess"])
def test_a_test_that_was_held_back_is_scored_when_it_is_there(fitted, dataset):
    home, run = fitted
    assert "test" not in runs.load(home, run).metrics
    report = classify.evaluate(home, run, dataset, "test", replicates=20)
    assert (report.clips, report.labelled, report.dataset) == (16, 16, dataset)
    table = pd.read_parquet(report.scores_path)
    assert {key.split("/")[1] for key in table["key"]} == {"05", "10", "16", "19"}
    assert report.metrics["all"]["metrics"]["accuracy"]["value"] == 1.0
    assert report.notes[0] == (
        "Side test of the run's own protocol actors, by the clips that are indexed now: "
        "the run had none of it."
    )


def test_the_note_of_a_fit_without_a_test_says_what_works(fitted):
    home, run = fitted
    notes = runs.load(home, run).facts["notes"]
    assert any("`avfd evaluate RUN --split test`" in note for note in notes)


def test_the_run_s_own_protocol_holds_whatever_the_default_is_now(fitted):
    home, run = fitted
    home.write_facts(DatasetFacts("ravdess", layout="ravdess", root="/", protocol="hash"))
    assert classify.evaluate(home, run, split="test", replicates=20).clips == 16


def test_a_fused_run_scores_its_held_back_test(fitted):
    home, run = fitted
    other = runs.load(home, run)
    shutil.copytree(other.path, other.path.with_name("twin"))
    both = classify.fit(home, FitOptions(runs=(run, "twin"), fusion="decision", replicates=20))
    report = classify.evaluate(home, both.run, split="test", replicates=20)
    alone = classify.evaluate(home, run, split="test", replicates=20)
    assert report.metrics["all"]["metrics"] == alone.metrics["all"]["metrics"]


def test_clips_that_trained_do_not_become_the_test(fitted):
    home, run = fitted
    clips = read_table(home.clip_table("ravdess"))
    swap = {"01": "05", "05": "01"}
    moved = [replace(c, subject=swap.get(c.subject, c.subject), group=None) for c in clips]
    write_table(grouped(moved), home.clip_table("ravdess"))
    with pytest.raises(InputError, match="the run was trained on 4 of the clips that would test"):
        classify.evaluate(home, run, split="test")


def test_a_side_that_nobody_stands_on_is_still_missing(made):
    home = made(actors(a for a in range(1, 25) if a not in TEST_ACTORS))
    run = classify.fit(home, OPTIONS).run
    with pytest.raises(MissingError, match="the run has no scores of this side; found: test"):
        classify.evaluate(home, run, "ravdess", "test")


def test_all_says_how_many_clips_came_since(fitted):
    home, run = fitted
    report = classify.evaluate(home, run, "ravdess", "all", replicates=20)
    assert report.clips == 80
    said = "16 clips indexed since are not in it: ravdess/05/speech-0.mp4, "
    assert any(note.startswith(said) for note in report.notes)


def test_a_side_that_grew_says_so_and_stays_as_it_was(made):
    home = made(actors(range(1, 19)))
    run = classify.fit(home, OPTIONS).run
    made(actors(range(1, 25)))
    for split, clips in (("test", 12), ("val", 12)):
        report = classify.evaluate(home, run, split=split, replicates=20)
        assert report.clips == clips
        assert any(n.startswith("4 clips indexed since are not in it") for n in report.notes)


def test_nothing_is_said_where_nothing_came(made):
    home = made(actors(range(1, 25)))
    for options in (OPTIONS, replace(OPTIONS, folds=3)):
        run = classify.fit(home, options).run
        for split in ("test", "all"):
            notes = classify.evaluate(home, run, split=split, replicates=20).notes
            assert not any("since" in note for note in notes)


def test_all_without_the_data_set_says_that_it_cannot_know(fitted):
    home, run = fitted
    shutil.rmtree(home.clip_table("ravdess").parent)
    report = classify.evaluate(home, run, split="all", replicates=20)
    assert any(n.startswith("Whether clips were indexed since is not known") for n in report.notes)


@pytest.mark.parametrize("split", ["all", "test"])
def test_clips_of_unknown_classes_alone_are_refused_with_the_classes(made, fitted, split):
    home, run = fitted
    other = [replace(c, key=c.key.replace("ravdess", "folder")) for c in actors(range(1, 25))]
    made([replace(c, emotion=c.emotion[:3] + "x") for c in other], "folder")
    with pytest.raises(MissingError) as caught:
        classify.evaluate(home, run, "folder", split)
    said = str(caught.value)
    assert "clips are of classes that the run does not know: hapx, sadx" in said
    assert "accepted: happy, sad" in said


def test_a_fused_run_keeps_its_stored_scores_when_a_run_below_it_is_gone(made):
    home = made(actors(range(1, 25)))
    run = runs.load(home, classify.fit(home, OPTIONS).run)
    shutil.copytree(run.path, run.path.with_name("twin"))
    fused = FitOptions(runs=(run.name, "twin"), fusion="decision", replicates=20)
    name = classify.fit(home, fused).run
    shutil.rmtree(run.path)
    report = classify.evaluate(home, name, split="test", replicates=20)
    assert report.clips == 16
    assert any(n.startswith("Whether clips were indexed since is not known") for n in report.notes)
