"""`fit` on real caches: what it takes, refuses, writes, and that it repeats itself."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import classify
from avfd import runs
from avfd.cache import Cache
from avfd.errors import FingerprintError, InputError, MissingError
from avfd.home import Home
from classify import FitOptions

OPTIONS = FitOptions(folds=3, replicates=50, preset="small", model="logreg")


def fit(home: Home, **changed: object):
    return classify.fit(home, replace(OPTIONS, **changed))


def auc(report) -> float:
    return report.metrics["test"]["all"]["metrics"]["auc"]["value"]


def scores(report) -> pd.DataFrame:
    return pd.read_parquet(report.path / "scores.parquet")


def cache_of(home: Home, dataset: str = "d") -> Cache:
    url, lock = home.cache_url(dataset), home.lock_path(dataset)
    return Cache.open(url, dataset=dataset, lock_path=lock)


@pytest.mark.parametrize("model", ["lightgbm", "logreg", "svm"])
def test_folds_score_every_clip_once_by_a_model_that_never_met_its_group(av_home, model):
    report = fit(av_home, audio="compare2016", model=model)
    table = scores(report)
    assert len(table) == 48
    assert table["key"].is_unique
    assert (table.groupby("group")["fold"].nunique() == 1).all()
    assert auc(report) > 0.95


@pytest.mark.parametrize("options", [{"model": "lightgbm"}, {"model": "lstm2"}])
def test_the_same_seed_gives_the_same_numbers_to_the_bit(av_home, options):
    tables = [
        scores(fit(av_home, audio="compare2016", folds=2, window_seconds=2, seed=7, **options))
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.mark.parametrize("fusion", ["feature", "decision"])
def test_fusion_takes_the_preferred_columns_and_says_so(av_home, fusion):
    report = fit(av_home, fusion=fusion)
    assert report.columns == {"audio": "compare2016", "video": "face_track"}
    assert "audio column taken: compare2016." in report.notes
    assert "video column taken: face_track." in report.notes
    assert auc(report) > 0.95


def test_an_option_that_no_model_takes_is_told(av_home):
    said = "--epochs: no model here trains by epochs, so nothing took them."
    assert said in fit(av_home, audio="compare2016", model="logreg", epochs=1).notes
    assert said not in fit(av_home, audio="compare2016", model="logreg").notes
    told = {"model": "lstm2", "preset": "small", "epochs": 1}
    assert said not in fit(av_home, audio="compare2016", **told).notes


@pytest.mark.parametrize("rule", ["stack", "weighted"])
def test_learning_rules_learn_from_the_next_fold(av_home, rule):
    report = fit(av_home, fusion="decision", rule=rule)
    table = scores(report)
    assert set(table["split"]) == {"val", "test"}
    by_fold = table.groupby(["fold", "split"])["group"].agg(set).unstack()
    assert all(not (row.val & row.test) for row in by_fold.itertuples())
    assert auc(report) > 0.95


def test_a_protocol_scores_all_sides(kit, tmp_path):
    column = kit.Column(kit.spec("compare2016"), kit.mean_signal)
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 30, 2), [column])
    report = fit(home, folds=None, audio="compare2016")
    table = scores(report)
    assert set(table["split"]) == {"train", "val", "test"}
    assert table.groupby("group")["split"].nunique().max() == 1
    assert table["split"].value_counts().to_dict() == report.clips
    assert report.protocol == "hash"


def test_a_run_tells_what_it_rests_on(av_home):
    report = fit(av_home, audio="compare2016")
    facts = json.loads((report.path / "run.json").read_text())
    assert facts["format_version"] == runs.FORMAT_VERSION
    column = facts["columns"]["audio"]
    assert column["name"] == "compare2016"
    assert len(column["fingerprint"]) == 64
    assert column["research_only"]
    assert any("research only" in note for note in report.notes)
    assert facts["classes"] == ["real", "fake"]
    assert facts["options"]["seed"] == 0
    assert len(facts["training_keys"]) == 48
    assert {"python", "numpy", "scikit-learn", "avfd"} <= set(facts["versions"])
    assert cache_of(av_home).tags()[facts["tag"]] == facts["snapshots"]["d"]


def test_emotions_are_told_apart(kit, tmp_path):
    def emotional(clip, rows, rng):
        values = rng.normal(size=(rows, 10, 3))
        values[..., ("anger", "joy", "neutral").index(clip.emotion)] += 2
        return kit.Content(values)

    clips = kit.make_clips("d", 12, 6)
    home = kit.make_home(tmp_path, "d", clips, [kit.Column(kit.spec("mel"), emotional)])
    report = fit(home, audio="mel", target="emotion")
    assert report.classes == ("anger", "joy", "neutral")
    measured = report.metrics["test"]["all"]["metrics"]
    assert measured["accuracy"]["value"] > 0.9
    assert measured["macro_auc"]["value"] > 0.95


def test_a_clip_level_column_is_fitted_as_it_is(kit, tmp_path):
    def vector(clip, rows, rng):
        return kit.Content(rng.normal(size=3) + 3 * (clip.label == "fake"))

    column = kit.Column(kit.spec("compare2016-functionals", rate_hz=0), vector)
    home = kit.make_home(tmp_path, "d", kit.make_clips("d"), [column])
    assert auc(fit(home, audio="compare2016-functionals")) > 0.95
    with pytest.raises(InputError, match="windows"):
        fit(home, audio="compare2016-functionals", window_seconds=1)


def without(kit, ending: str):
    """Signal, but absent for keys with this ending."""

    def fill(clip, rows, rng):
        return None if clip.key.endswith(ending) else kit.mean_signal(clip, rows, rng)

    return fill


@pytest.fixture(scope="module")
def patchy_home(kit, tmp_path_factory):
    """Every fourth clip lacks audio, another fourth video, and s00_1 both."""
    columns = [
        kit.Column(kit.spec("compare2016"), without(kit, "_1.mp4")),
        kit.Column(kit.spec("face_track", "video"), without(kit, ("_2.mp4", "s00_1.mp4"))),
        kit.Column(kit.spec("mel"), lambda *_: None),
    ]
    path = tmp_path_factory.mktemp("patchy")
    return kit.make_home(path, "d", kit.make_clips("d"), columns)


@pytest.mark.parametrize("fusion", ["feature", "decision"])
@pytest.mark.parametrize("model", ["lightgbm", "logreg", "svm"])
def test_fusion_is_safe_where_a_modality_is_missing(patchy_home, fusion, model):
    report = fit(patchy_home, fusion=fusion, model=model)
    table = scores(report).set_index("key")
    assert table.index[~table["covered"]].tolist() == ["d/s00_1.mp4"]
    assert (~table["covered_audio"]).sum() == 12
    assert (~table["covered_video"]).sum() == 13
    assert report.coverage["audio"] == {"done": 36, "absent": 12}
    assert auc(report) > 0.9


def test_an_uncovered_clip_is_scored_at_the_training_base_rate_and_marked(patchy_home):
    table = scores(fit(patchy_home, audio="compare2016"))
    uncovered = table[~table["covered"]]
    assert len(uncovered) == 12
    assert np.allclose(uncovered["score_fake"], 0.5)
    assert uncovered["key"].str.endswith("_1.mp4").all()


def test_a_column_without_any_value_is_refused(patchy_home):
    with pytest.raises(MissingError, match="no clip has values"):
        fit(patchy_home, audio="mel")


def test_windowed_models_score_seconds(av_home):
    report = fit(av_home, audio="compare2016", window_seconds=2, hop_seconds=1)
    seconds = pd.read_parquet(report.path / "seconds.parquet")
    reader = cache_of(av_home).snapshot()
    counts = seconds.groupby("key")["second"].agg(list)
    assert len(counts) == 48
    assert all(found == list(range(reader.rows(key))) for key, found in counts.items())
    assert not (fit(av_home, audio="compare2016").path / "seconds.parquet").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "which column"),
        ({"audio": "compare2016", "video": "face_track"}, "need a fusion"),
        ({"audio": "face_track"}, "no audio column"),
        ({"audio": "compare2016", "protocol": "hash"}, "exclude each other"),
        ({"fusion": "feature", "audio_model": "svm"}, "one model"),
        ({"audio": "compare2016", "folds": 99}, "folds"),
        ({"audio": "compare2016", "aggregate": "median"}, "mean, max"),
    ],
)
def test_options_that_contradict_each_other_are_refused(av_home, changed, message):
    with pytest.raises(InputError, match=message):
        fit(av_home, **changed)


def test_a_missing_column_comes_with_the_command_to_run(av_home):
    with pytest.raises(MissingError, match="avfd extract --dataset d --backbone emotion2vec"):
        fit(av_home, audio="emotion2vec")


def test_an_unknown_model_lists_the_known_ones(av_home):
    with pytest.raises(MissingError, match="lightgbm"):
        fit(av_home, audio="compare2016", model="oracle")


def test_an_unknown_model_is_refused_before_columns_are_looked_for(av_home):
    with pytest.raises(MissingError, match=r"emo-cnn4d.*did you mean emo-cnn3d"):
        fit(av_home, audio="no-such-column", model="emo-cnn4d")
    with pytest.raises(MissingError, match="no such model"):
        fit(av_home, fusion="decision", video="no-such-column", video_model="oracle")


def test_one_class_is_refused(kit, tmp_path):
    clips = [c for c in kit.make_clips("d") if c.label == "real"]
    home = kit.make_home(tmp_path, "d", clips, [kit.Column(kit.spec("mel"), kit.noise)])
    with pytest.raises(InputError, match="one class"):
        fit(home, audio="mel")
    assert not home.runs_dir.exists()


def test_a_backbone_is_not_tested_on_clips_it_was_trained_on(kit, tmp_path):
    facts = {"training_keys": ["d/s03_1.mp4"]}
    column = kit.Column(kit.spec("lstm1"), kit.noise, facts=facts)
    home = kit.make_home(tmp_path, "d", kit.make_clips("d"), [column])
    with pytest.raises(InputError, match=r"d/s03_1\.mp4"):
        fit(home, audio="lstm1")


@pytest.mark.parametrize(("origin", "warned"), [("unverified", True), ("published", False)])
def test_weights_that_are_not_known_to_be_published_are_named(kit, tmp_path, origin, warned):
    weights = {"net": {"sha256": "ab" * 32, "origin": origin}}
    column = kit.Column(kit.spec("compare2016"), kit.mean_signal, facts={"weights": weights})
    home = kit.make_home(tmp_path, "d", kit.make_clips("d"), [column])
    report = fit(home, audio="compare2016")
    assert any("weights net of sha256 abababababab" in note for note in report.notes) == warned


def two_datasets(kit, path, fingerprints=("1" * 64, "1" * 64)) -> Home:
    for name, fingerprint in zip(("d", "e"), fingerprints, strict=True):
        column = kit.Column(kit.spec("mel"), kit.mean_signal, fingerprint)
        home = kit.make_home(path, name, kit.make_clips(name, 6), [column])
    return home


def test_several_data_sets_are_pooled(kit, tmp_path):
    home = two_datasets(kit, tmp_path)
    report = fit(home, datasets=("d", "e"), audio="mel")
    assert scores(report)["dataset"].value_counts().to_dict() == {"d": 24, "e": 24}


def test_data_sets_with_unlike_columns_are_not_pooled(kit, tmp_path):
    home = two_datasets(kit, tmp_path, ("1" * 64, "2" * 64))
    with pytest.raises(FingerprintError, match=r"e's column was written with other .* than d's"):
        fit(home, datasets=("d", "e"), audio="mel")


def test_finished_runs_are_fused_by_their_scores(av_home):
    members = [fit(av_home, audio="compare2016"), fit(av_home, video="face_track")]
    names = tuple(m.run for m in members)
    fused = classify.fit(av_home, FitOptions(runs=names, fusion="decision", replicates=50))
    wanted = sum(scores(m).set_index("key")["score_fake"] for m in members) / 2
    found = scores(fused).set_index("key")["score_fake"]
    pd.testing.assert_series_equal(found.sort_index(), wanted.sort_index())


def test_a_fusion_of_runs_counts_clips_without_a_modality_as_a_joint_fit_does(patchy_home):
    joint = fit(patchy_home, fusion="decision", audio="compare2016", video="face_track")
    members = (fit(patchy_home, audio="compare2016"), fit(patchy_home, video="face_track"))
    told = FitOptions(runs=tuple(m.run for m in members), fusion="decision", replicates=0)
    fused = classify.fit(patchy_home, told)
    counted = [note for note in fused.notes if "are scored by their" in note]
    assert counted == [
        "11 clips without audio are scored by their video alone.",
        "12 clips without video are scored by their audio alone.",
    ]
    assert counted == [note for note in joint.notes if "are scored by their" in note]


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"datasets": ("d",), "folds": 7, "preset": "small"}, "--dataset, --folds, --preset"),
        ({"audio": "mel", "test_datasets": ("e",)}, "--test-dataset, --audio"),
        ({"audio": ("mel", "mfcc"), "video": "faces"}, "--audio, --video"),
        ({"model": "svm", "validate": True, "picture_px": 8}, "--model, --validate, --picture-px"),
    ],
)
def test_options_that_finished_runs_cannot_follow_are_refused_by_name(av_home, told, named):
    options = FitOptions(runs=("a", "b"), fusion="decision", **told)
    with pytest.raises(InputError, match=f"^{named}: finished runs are fused as they are"):
        classify.fit(av_home, options)


def test_a_rule_and_a_seed_go_with_finished_runs():
    from classify.fuse import check_fusing

    told = {"rule": "or", "seed": 3, "replicates": 9}
    check_fusing(FitOptions(runs=("a", "b"), fusion="decision", **told))


def test_runs_on_other_folds_are_not_fused(av_home):
    names = (
        fit(av_home, audio="compare2016").run,
        fit(av_home, video="face_track", split_seed=5).run,
    )
    with pytest.raises(InputError, match="folds"):
        classify.fit(av_home, FitOptions(runs=names, fusion="decision"))


def test_the_package_keeps_its_functions_whoever_imports_its_modules():
    import classify.evaluate
    import classify.fit

    assert callable(classify.fit)
    assert callable(classify.evaluate)
    assert callable(classify.compare)


def test_a_model_of_a_modality_that_is_not_there_is_refused():
    from classify.choice import FitOptions, check_options

    with pytest.raises(InputError, match="no video column to model"):
        check_options(FitOptions(audio="mel", video_model="svm"))


def test_weights_that_training_began_with_bring_their_clips_to_the_run(kit, tmp_path, monkeypatch):
    from classify.estimators.network import NetworkEstimator

    column = kit.Column(kit.spec("compare2016"), kit.mean_signal)
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 30, 2), [column])
    monkeypatch.setattr(NetworkEstimator, "started_keys", lambda _: frozenset({"elsewhere/a.mp4"}))
    report = fit(home, audio="compare2016", model="lstm2", preset="small", folds=None)
    facts = json.loads((report.path / "run.json").read_text())
    assert "elsewhere/a.mp4" in facts["training_keys"]


def test_a_modality_without_any_training_clip_is_named(kit, tmp_path):
    def of_one_person(clip, rows, rng):
        return kit.noise(clip, rows, rng) if clip.subject == "s00" else None

    columns = [
        kit.Column(kit.spec("compare2016"), kit.noise),
        kit.Column(kit.spec("face_track", "video"), of_one_person),
    ]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d"), columns)
    with pytest.raises(InputError, match=r"^video: .*none covered"):
        fit(home, audio="compare2016", video="face_track", fusion="decision")
