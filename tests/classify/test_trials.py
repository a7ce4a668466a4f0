"""`--trials`: judged on validation alone, gone on with, and written into the run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import classify
from avfd.errors import InputError
from classify import FitOptions
from classify.features import MemorySource, Samples, Sequences, Slots
from classify.model import MemberOptions, ModelOptions
from classify.trials import Search, quality_of, searched
from classify.watching import Trial, watched

CLIPS = 60
MODEL = ModelOptions({"audio": MemberOptions("logreg", ("audio",))})


def samples(seed=0, classes=2, shift=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(CLIPS) % classes
    slots = [Slots(rng.normal(size=(2, 4, 3)) + shift * c, np.ones((2, 4), bool)) for c in y]
    names = tuple(f"d/{seed}-{i}" for i in range(CLIPS))
    features = {"audio": Sequences.of(MemorySource("made", slots, 4, 3))}
    return Samples(names, ("d",) * CLIPS, names, y, features)


def search(folder, trials=4, **data):
    return Search(trials, folder, data)


def test_the_best_on_validation_is_taken(tmp_path):
    seen: list[Trial] = []
    with watched(seen.append):
        model, found = searched(MODEL, samples(), samples(1), search(tmp_path))
    best = found["audio"]
    values = [trial.quality for trial in seen]
    assert best.quality == max(values) == seen[-1].best
    assert [t.number for t in seen] == [1, 2, 3, 4]
    assert best.chosen.keys() == {"c"}
    assert model.members["audio"].model == best.model == f"logreg:c={best.chosen['c']}"
    assert (best.tried, best.failed) == (4, 0)


def test_a_search_goes_on_where_it_stopped_and_finds_the_same(tmp_path):
    whole = searched(MODEL, samples(), samples(1), search(tmp_path / "a", trials=6))
    searched(MODEL, samples(), samples(1), search(tmp_path / "b", trials=2))
    seen: list[Trial] = []
    with watched(seen.append):
        rest = searched(MODEL, samples(), samples(1), search(tmp_path / "b", trials=6))
    assert [t.number for t in seen] == [3, 4, 5, 6]
    assert rest == whole


def test_a_finished_search_is_not_done_again(tmp_path):
    first = searched(MODEL, samples(), samples(1), search(tmp_path))
    seen: list[Trial] = []
    with watched(seen.append):
        assert searched(MODEL, samples(), samples(1), search(tmp_path)) == first
    assert seen == []


def test_another_question_is_another_journal(tmp_path):
    searched(MODEL, samples(), samples(1), search(tmp_path, trials=1))
    searched(MODEL, samples(), samples(2), search(tmp_path, trials=1))
    searched(MODEL, samples(), samples(1), search(tmp_path, trials=1, columns="others"))
    other = replace(MODEL, estimator=replace(MODEL.estimator, seed=1))
    searched(other, samples(), samples(1), search(tmp_path, trials=1))
    assert len(list(tmp_path.glob("logreg-*.journal"))) == 4


def test_what_the_user_has_set_is_not_searched(tmp_path):
    told = "lightgbm:rounds=5,leaves=7,min_leaf=5,l2=0.1,feature_share=1.0"
    options = ModelOptions({"audio": MemberOptions(told, ("audio",))})
    _, found = searched(options, samples(), samples(1), search(tmp_path, trials=2))
    assert found["audio"].chosen.keys() == {"learning_rate"}
    assert found["audio"].model.startswith(f"{told},learning_rate=")
    told += ",learning_rate=1"
    whole = replace(options, members={"audio": MemberOptions(told, ("audio",))})
    with pytest.raises(InputError, match="nothing to search"):
        searched(whole, samples(), samples(1), search(tmp_path))


def test_settings_that_do_not_work_are_passed_over(tmp_path, monkeypatch):
    from classify.estimators.linear import LogisticRegression

    def touchy(self, *args):
        if self.settings.c > 0.05:
            raise InputError("too weak a penalty", where="c")
        return plain(self, *args)

    plain = LogisticRegression._fit
    monkeypatch.setattr(LogisticRegression, "_fit", touchy)
    _, found = searched(MODEL, samples(), samples(1), search(tmp_path, trials=8))
    assert 0 < found["audio"].failed < 8
    assert found["audio"].chosen["c"] <= 0.05
    fixed = replace(MODEL, members={"audio": MemberOptions("svm-rbf", ("audio",))})
    monkeypatch.setattr("classify.estimators.linear.RadialSVM._fit", fails)
    with pytest.raises(InputError, match=r"no trial worked.*never"):
        searched(fixed, samples(), samples(1), search(tmp_path, trials=2))


def fails(self, *args):
    raise InputError("never")


@pytest.mark.parametrize("validation", [None, samples(1, classes=1)])
def test_without_validation_of_both_classes_there_is_no_search(validation, tmp_path):
    with pytest.raises(InputError, match="validation clips of every class"):
        searched(MODEL, samples(), validation, search(tmp_path))


def test_quality_is_the_auc_of_what_was_scored():
    y = np.array([0, 1, 0, 1, -1, 1])
    fake = np.array([0.1, 0.9, 0.5, 0.4, 0.3, np.nan])
    p = np.stack([1 - fake, fake], axis=1)
    assert quality_of(p, y) == pytest.approx(0.75)
    assert quality_of(p[:1], y[:1]) == 0.0
    three = np.eye(3)
    assert quality_of(three, np.arange(3)) == 1.0


def test_a_fit_writes_what_each_fold_found(av_home):
    options = FitOptions(folds=3, replicates=20, model="logreg", audio="compare2016", trials=2)
    report = classify.fit(av_home, options)
    facts = json.loads((report.path / "run.json").read_text())
    assert len(facts["trials"]) == 3
    for number, fold in enumerate(facts["trials"]):
        assert fold["audio"]["tried"] == 2
        assert (av_home.trials_dir / fold["audio"]["journal"]).is_file()
        saved = json.loads((report.path / "model" / f"fold-{number}" / "model.json").read_text())
        assert saved["members"]["audio"]["model"] == fold["audio"]["model"]
        assert any(f"audio of fold {number}: logreg:c=" in note for note in report.notes)
    assert set(facts["settings"]) == {"audio"}


def test_a_search_never_looks_at_the_test_side(kit, tmp_path):
    """The same settings are found whatever the test clips hold."""

    def fill(wild):
        def made(clip, rows, rng):
            content = kit.mean_signal(clip, rows, rng)
            tested = wild and clip.key in wild
            return kit.Content(-content.values if tested else content.values, content.valid)

        return made

    clips = kit.make_clips("d", 30, 2)
    found = []
    wild: set[str] = set()
    for name in ("plain", "wild"):
        column = kit.Column(kit.spec("compare2016"), fill(wild))
        home = kit.make_home(tmp_path / name, "d", clips, [column])
        report = classify.fit(
            home, FitOptions(replicates=20, model="logreg", audio="compare2016", trials=2)
        )
        facts = json.loads((report.path / "run.json").read_text())
        found.append(facts["trials"])
        scores = pd.read_parquet(report.path / "scores.parquet")
        wild = set(scores[scores["split"] == "test"]["key"])
    assert wild
    assert found[0] == found[1]
