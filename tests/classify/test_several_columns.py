"""Several columns of one modality: side by side in one model, or a model each."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kurtosis

import classify
from avfd import runs
from avfd.errors import InputError
from classify import FitOptions, estimators
from classify.apply import columns_of
from classify.choice import check_options

FIT = FitOptions(datasets=("d",), folds=3, replicates=50, model="logreg")
AUDIO = ("compare2016", "emotion2vec")
THREE = {"audio": AUDIO, "video": "face_track"}
KEYS = ["audio", "audio_emotion2vec", "video"]
LACKING = ("_1.mp4", "_2.mp4")


def shifted(kit, rate_hz: int, ending: str | None = None, dim: int = 3):
    """A little signal at a rate of its own; absent where the key has this ending."""

    def fill(clip, rows, rng):
        if ending and clip.key.endswith(ending):
            return None
        shape = (dim,) if rate_hz == 0 else (rows, rate_hz, dim)
        return kit.Content(rng.normal(size=shape) + 0.8 * (clip.label == "fake"))

    return fill


def columns_in(kit, *endings: str | None):
    """Audio at 10 Hz, audio at 50 Hz with 5 numbers, audio of the clip, video at 4 Hz."""
    first, second, third = (*endings, None, None, None)[:3]
    return [
        kit.Column(kit.spec("compare2016"), shifted(kit, 10, first)),
        kit.Column(kit.spec("emotion2vec", rate_hz=50, shape=(5,)), shifted(kit, 50, second, 5)),
        kit.Column(kit.spec("functionals", rate_hz=0), shifted(kit, 0)),
        kit.Column(kit.spec("face_track", "video", 4), shifted(kit, 4, third)),
    ]


@pytest.fixture(scope="module")
def home(kit, tmp_path_factory):
    """ "d" to train on and "e" with the same columns."""
    path = tmp_path_factory.mktemp("home")
    for name in ("d", "e"):
        clips = kit.make_clips(name, 8, 4)
        made = kit.make_home(path, name, clips, columns_in(kit))
    return made


@pytest.fixture(scope="module")
def patchy(kit, tmp_path_factory):
    """Of twelve people a clip lacks the first audio column and another one the second."""
    columns = columns_in(kit, *LACKING)
    return kit.make_home(tmp_path_factory.mktemp("patchy"), "d", kit.make_clips("d"), columns)


def fit(home, **changed):
    return classify.fit(home, replace(FIT, **changed))


def scores(report) -> pd.DataFrame:
    path = report.path / "scores.parquet" if hasattr(report, "path") else report.scores_path
    return pd.read_parquet(path)


def reader_of(home, dataset="d"):
    from classify.data import Opened

    return Opened.at(home, [dataset]).readers[dataset]


def by_hand(home, names) -> np.ndarray:
    """Each clip's moments of these columns side by side, then what it lacks, [clips, numbers]."""
    reader, rows = reader_of(home), []
    for clip in pd.read_parquet(home.clip_table("d"))["key"].sort_values():
        row, lacks = [], []
        for name in names:
            column = reader.column(name)
            width = int(np.prod(column.shape)) * (3 if column.rate_hz else 1)
            lacks.append(column.statuses([clip])[0] != 1)
            if lacks[-1]:
                row.append(np.full(width, np.nan))
                continue
            found = column.read(clip)
            if column.rate_hz:
                flat = np.asarray(found.values).reshape(-1, width // 3)
                seen = flat[found.valid.reshape(-1)].astype(np.float64)
                row += [seen.mean(axis=0), seen.var(axis=0), kurtosis(seen, axis=0)]
            else:
                row.append(np.asarray(found.values).reshape(-1))
        rows.append(np.concatenate([*row, np.array(lacks, float)]))
    return np.array(rows, dtype=np.float32).astype(np.float64)


def sklearn_says(x, table) -> np.ndarray:
    """P(fake) of every clip by scikit-learn on the other folds' clips."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    y, folds, out = (
        (table["label"] == "fake").to_numpy(),
        table["fold"].to_numpy(),
        np.zeros(len(x)),
    )
    for fold in np.unique(folds):
        train = folds != fold
        weights = 1 / np.bincount(y[train])[y[train].astype(int)]
        model = make_pipeline(
            SimpleImputer(keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(C=0.1, max_iter=2000),
        )
        weights *= len(weights) / weights.sum()
        model.fit(x[train], y[train], logisticregression__sample_weight=weights)
        out[~train] = model.predict_proba(x[~train])[:, 1]
    return out


@pytest.mark.parametrize(
    "names",
    [AUDIO, ("emotion2vec", "compare2016", "functionals"), ("functionals", "compare2016")],
)
def test_two_columns_of_sound_are_scikit_learn_on_both_side_by_side(home, names):
    report = fit(home, audio=names, fusion="feature")
    assert list(report.columns.values()) == list(names)
    table = scores(report).sort_values("key")
    wanted = sklearn_says(by_hand(home, names), table)
    np.testing.assert_allclose(table["score_fake"], wanted, atol=1e-6)


def test_a_column_that_a_clip_lacks_is_filled_and_counted_under_its_own_name(patchy):
    report = fit(patchy, fusion="feature", **THREE)
    assert report.columns == dict(zip(KEYS, (*AUDIO, "face_track"), strict=True))
    table = scores(report).sort_values("key")
    assert table["covered"].all()
    wanted = sklearn_says(by_hand(patchy, report.columns.values()), table)
    np.testing.assert_allclose(table["score_fake"], wanted, atol=1e-6)
    assert {key: report.coverage[key].get("absent", 0) for key in KEYS} == dict(
        zip(KEYS, (12, 12, 0), strict=True)
    )
    for name, ending in zip(KEYS, LACKING, strict=False):
        assert table.loc[~table[f"covered_{name}"], "key"].str.endswith(ending).all()
        assert (~table[f"covered_{name}"]).sum() == 12
    assert "emotion2vec does not cover 12 clips: 12 absent." in report.notes
    rest = "12 clips without emotion2vec are scored by what they have of compare2016, video."
    assert rest in report.notes


def test_a_model_a_column_is_fused_to_the_mean_of_all(home):
    told = {"split_seed": 0}
    report = fit(home, fusion="decision", **THREE, **told)
    assert list(report.models) == KEYS
    alone = [
        fit(home, audio="compare2016", **told),
        fit(home, audio="emotion2vec", **told),
        fit(home, video="face_track", **told),
    ]
    wanted = sum(scores(one).set_index("key")["score_fake"] for one in alone) / 3
    found = scores(report).set_index("key")["score_fake"]
    pd.testing.assert_series_equal(found.sort_index(), wanted.sort_index())


def test_a_missing_member_never_decides(patchy):
    report = fit(patchy, fusion="decision", **THREE)
    first = scores(fit(patchy, audio="compare2016")).set_index("key")
    third = scores(fit(patchy, video="face_track")).set_index("key")
    found = scores(report).set_index("key")
    lacks = found.index[~found["covered_audio_emotion2vec"]]
    wanted = (first["score_fake"] + third["score_fake"])[lacks] / 2
    np.testing.assert_allclose(found["score_fake"][lacks], wanted)
    assert found["covered"].all()


@pytest.mark.parametrize("rule", ["weighted", "stack", "or", "noisy-or"])
def test_every_rule_joins_more_than_two(home, rule):
    report = fit(home, fusion="decision", rule=rule, **THREE)
    assert report.metrics["test"]["all"]["metrics"]["auc"]["value"] > 0.9


def test_members_have_the_model_of_their_modality(home):
    report = fit(home, fusion="decision", audio_model="svm", video_model="lightgbm", **THREE)
    assert report.models == dict(zip(KEYS, ("svm", "svm", "lightgbm"), strict=True))


@pytest.mark.parametrize("fusion", ["feature", "decision"])
def test_the_named_columns_are_all_where_there_are_two_or_more(home, fusion):
    report = fit(home, audio=AUDIO, fusion=fusion)
    assert report.columns == dict(zip(KEYS[:2], AUDIO, strict=True))
    assert not any("taken" in note for note in report.notes)
    assert fit(home, audio=AUDIO[:1], fusion=fusion).columns == {
        "audio": "compare2016",
        "video": "face_track",
    }


def test_a_network_sees_a_further_column_as_the_only_one_where_decisions_are_fused(home):
    told = {"model": "cnn1d", "preset": "small", "epochs": 1, "folds": 2}
    report = fit(home, audio=AUDIO, fusion="decision", **told)
    alone = scores(fit(home, audio="emotion2vec", **told)).set_index("key")["score_fake"]
    first = scores(fit(home, audio="compare2016", **told)).set_index("key")["score_fake"]
    found = scores(report).set_index("key")["score_fake"]
    pd.testing.assert_series_equal(found, (first + alone) / 2)
    other = classify.evaluate(home, report.run, dataset="e")
    assert scores(other)["covered_audio_emotion2vec"].all()


@pytest.mark.parametrize("model", ["lightgbm", "svm", "sweep:models=GaussianNB,limit_seconds=0"])
def test_models_on_vectors_take_several(home, model):
    report = fit(home, fusion="feature", model=model, **THREE)
    assert report.metrics["test"]["all"]["metrics"]["auc"]["value"] > 0.8


@pytest.mark.parametrize("fusion", ["feature", "decision"])
def test_the_same_seed_gives_the_same_numbers_to_the_bit(home, fusion):
    told = {"model": "lightgbm", "fusion": fusion, "seed": 5, **THREE}
    tables = [scores(fit(home, **told)) for _ in range(2)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_windows_are_cut_from_every_column_at_its_own_rate(home):
    told = {"window_seconds": 1, "model": "logreg:vectors=shifts", "fusion": "feature"}
    report = fit(home, **THREE, **told)
    seconds = pd.read_parquet(report.path / "seconds.parquet")
    counts = seconds.groupby("key")["second"].agg(list)
    assert len(counts) == 32
    assert all(found == list(range(reader_of(home).rows(key))) for key, found in counts.items())
    with pytest.raises(InputError, match=r"functionals: .*no windows|no windows.*functionals"):
        fit(home, audio=("compare2016", "functionals"), **told)


def test_emotions_are_told_from_several_columns(kit, tmp_path):
    def emotional(clip, rows, rng):
        values = rng.normal(size=(rows, 10, 3))
        values[..., ("anger", "joy", "neutral").index(clip.emotion)] += 1
        return kit.Content(values)

    columns = [kit.Column(kit.spec(name), emotional) for name in ("mel", "mfcc")]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 12, 6), columns)
    for fusion in ("feature", "decision"):
        told = {"target": "emotion", "fusion": fusion, "validate": True}
        report = fit(home, audio=("mel", "mfcc"), **told)
        assert report.metrics["test"]["all"]["metrics"]["accuracy"]["value"] > 0.9
        assert set(scores(report)["split"]) == {"val", "test"}


@pytest.mark.parametrize("fusion", ["feature", "decision"])
def test_another_data_set_is_scored_by_all_columns(home, fusion):
    report = fit(home, fusion=fusion, folds=None, **THREE)
    other = classify.evaluate(home, report.run, dataset="e")
    assert list(other.coverage) == KEYS
    assert other.metrics["all"]["metrics"]["auc"]["value"] > 0.9
    assert {f"covered_{key}" for key in KEYS} <= set(scores(other))
    model = classify.apply.Model.load(report.path / "model" / "fold-0")
    members = {"feature": ["audio+video"], "decision": KEYS}
    assert list(model.members_) == members[fusion]


def test_such_a_run_is_compared_and_fused_with_others(home):
    joined = fit(home, fusion="feature", audio=AUDIO)
    both = fit(home, fusion="decision", audio=AUDIO)
    alone = fit(home, audio="functionals")
    assert len(classify.compare(home, [joined.run, alone.run], replicates=20).rows) > 0
    told = FitOptions(runs=(alone.run, joined.run, both.run), fusion="decision", replicates=50)
    fused = classify.fit(home, told)
    wanted = [scores(one).set_index("key")["score_fake"] for one in (alone, joined, both)]
    found = scores(fused).set_index("key")["score_fake"]
    pd.testing.assert_series_equal(found.sort_index(), (sum(wanted) / 3).sort_index())
    read = columns_of(home, runs.load(home, fused.run))
    assert {key: facts["name"] for key, facts in read.items()} == {
        "audio": "functionals",
        "audio_compare2016": "compare2016",
        "audio_emotion2vec": "emotion2vec",
    }
    other = classify.evaluate(home, fused.run, dataset="e")
    parts = [scores(classify.evaluate(home, one.run, dataset="e")) for one in (alone, joined, both)]
    np.testing.assert_allclose(
        scores(other)["score_fake"], sum(part["score_fake"] for part in parts) / 3
    )
    assert fused.metrics["test"]["all"]["metrics"]["auc"]["value"] > 0.9


def counted(report) -> dict[str, int]:
    """Key of each column → clips that lack it."""
    table = scores(report)
    own = [name for name in table if name.startswith("covered_")]
    return {name.removeprefix("covered_"): int((~table[name]).sum()) for name in own}


def test_a_fusion_of_such_runs_counts_every_column_as_a_joint_fit_does(patchy):
    joint = fit(patchy, fusion="decision", **THREE)
    sound = fit(patchy, fusion="feature", audio=AUDIO)
    told = FitOptions(fusion="decision", replicates=0)
    both = (sound.run, fit(patchy, video="face_track").run)
    fused = classify.fit(patchy, replace(told, runs=both))
    assert counted(fused) == counted(joint) == dict(zip(KEYS, (12, 12, 0), strict=True))
    lacking = [note for note in joint.notes if "are scored by" in note]
    assert len(lacking) == 2
    assert list(fused.notes[:2]) == lacking
    other = (fit(patchy, audio="functionals").run, sound.run)
    wanted = {"audio": 0, "audio_compare2016": 12, "audio_emotion2vec": 12}
    assert counted(classify.fit(patchy, replace(told, runs=other))) == wanted


def test_figures_of_such_a_run(home, tmp_path):
    from classify.run_pictures import draw

    paths = draw(home, [fit(home, fusion="feature", **THREE).run], tmp_path)
    assert any(path.name.startswith("roc") for path in paths)


def test_trials_search_over_all_columns(home):
    report = fit(home, fusion="feature", folds=3, trials=2, **THREE)
    assert any("the best of 2 trials" in note for note in report.notes)


def test_the_run_tells_every_column_and_is_found_again(home):
    from classify.data import Opened
    from classify.fit import prepare
    from classify.same_run import same_fit

    options = replace(FIT, fusion="feature", **THREE)
    report = classify.fit(home, options)
    facts = json.loads((report.path / "run.json").read_text())
    assert {key: column["name"] for key, column in facts["columns"].items()} == report.columns
    assert facts["options"]["audio"] == list(AUDIO)
    assert facts["options"]["video"] == "face_track"
    assert (
        Opened.at(home, ["d"]).column("emotion2vec").fingerprint
        == (facts["columns"]["audio_emotion2vec"]["fingerprint"])
    )
    assert same_fit(home, options, prepare(home, options)).name == report.run


def test_one_column_is_told_as_before_whichever_way_it_is_named(home):
    for named in ("compare2016", ("compare2016",), ["compare2016"]):
        options = replace(FIT, audio=named)
        assert options == replace(FIT, audio="compare2016")
        facts = json.loads((classify.fit(home, options).path / "run.json").read_text())
        assert facts["options"]["audio"] == "compare2016"
        assert list(facts["columns"]) == ["audio"]
        assert facts["model"]["members"]["audio"]["modalities"] == ["audio"]
    assert replace(FIT, audio=()) == FIT


def test_the_clips_and_the_licence_of_a_further_column_s_network_count(kit, tmp_path):
    told = {"training_keys": ["d/s03_1.mp4"]}
    columns = [
        kit.Column(kit.spec("mel"), kit.noise),
        kit.Column(kit.spec("eat", licence="CC BY-NC 4.0"), kit.noise),
        kit.Column(kit.spec("lstm1"), kit.noise, facts=told),
    ]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d"), columns)
    with pytest.raises(InputError, match=r"^lstm1: .*trained on 1 .*d/s03_1\.mp4"):
        fit(home, audio=("mel", "lstm1"), fusion="feature")
    report = fit(home, audio=("mel", "eat"), fusion="feature")
    assert "eat is for research only: CC BY-NC 4.0." in report.notes


NETWORKS = [n for n in estimators.names() if not estimators.kind_of(n).several]


def test_these_take_several_columns_of_a_modality():
    several = set(estimators.names()) - set(NETWORKS)
    assert several == {"lightgbm", "logreg", "svm", "svm-rbf", "sweep"}


@pytest.mark.parametrize("model", NETWORKS)
def test_networks_refuse_a_second_column_of_a_modality_by_name(model):
    told = replace(FIT, model=model, fusion="feature", audio=("mel", "mfcc"), video="faces")
    said = rf"{model}.*found: mel, mfcc.*lightgbm, logreg, svm, svm-rbf, sweep.*--fusion decision"
    with pytest.raises(InputError, match=said):
        check_options(told)
    with pytest.raises(InputError, match=r"found: audio, audio_mfcc.*one column of each"):
        estimators.kind_of(model).check_modalities(("audio", "audio_mfcc"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"audio": ("mel", "mfcc")}, r"need a fusion.*found: none.*feature, decision"),
        ({"video": ("a", "b")}, r"need a fusion"),
        (
            {"audio": ("mel", "mel"), "fusion": "feature"},
            r"^--audio: .*named twice.*found: mel, mel",
        ),
        ({"video": ("a", "b", "a"), "fusion": "decision"}, r"^--video: .*named twice.*a, b, a"),
        (
            {"audio": ("a", "b"), "fusion": "decision", "video_model": "svm"},
            "no video column to model",
        ),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(changed, message):
    with pytest.raises(InputError, match=message):
        check_options(replace(FIT, **changed))


def test_a_further_column_of_the_other_modality_is_refused(home):
    with pytest.raises(InputError, match=r"--audio face_track.*found: video"):
        fit(home, audio=("compare2016", "face_track"), fusion="feature")
