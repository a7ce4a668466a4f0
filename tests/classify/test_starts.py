"""Weights that training begins with: which home, which fold, and never the test's own clips."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

import classify
from avfd.errors import InputError, MissingError
from avfd.home import Home
from classify import FitOptions, estimators
from classify.estimators.starting import STARTS, found_by_fold
from classify.fit import prepare
from classify.model import Model

ASK = "cnn3d:first_sets=1,long_px=32,short_px=28,step_frames=7"
OPTIONS = FitOptions(video="faces", model=ASK, folds=3, preset="small", epochs=1, replicates=0)


@pytest.fixture(scope="module")
def first(kit, tmp_path_factory):
    """A home, and the name of a run in three folds there."""

    def faces(clip, rows, rng):
        return kit.Content(rng.integers(0, 256, size=(rows, 7, 8, 8, 3)))

    clips = kit.make_clips("d", 9, 2)
    media = {clip.key: f"{i:064x}" for i, clip in enumerate(clips, start=1)}
    column = kit.Column(kit.spec("faces", "video", 7, shape=(8, 8, 3), dtype="uint8"), faces)
    home = kit.make_home(tmp_path_factory.mktemp("home"), "d", clips, [column], media)
    return home, classify.fit(home, OPTIONS).run


def chained(home: Home, start: object, **changed: object):
    return classify.fit(home, replace(OPTIONS, model=f"{ASK},start={start}", **changed))


def begun_with(path: Path) -> list[str]:
    """The file that each fold of a run says that it began with."""
    cards = sorted(path.glob("model/*/video/card.json"))
    return [json.loads(card.read_text())["started_from"]["file"] for card in cards]


def weights(home: Home, run: str, fold: int) -> Path:
    return home.runs_dir / run / "model" / f"fold-{fold}" / "video" / "cnn3d.safetensors"


def without_facts_by_fold(home: Home, run: str, folder: str) -> str:
    """A copy of the run as it was written before folds said what trained them."""
    shutil.copytree(home.runs_dir / run, home.runs_dir / folder)
    for taught in (home.runs_dir / folder).glob("model/*/trained_on.json"):
        taught.unlink()
    return folder


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(Model, "fit", lambda *_: pytest.fail("a model was trained"))


def test_a_run_s_name_is_looked_up_in_the_home_of_the_fit(first, tmp_path, monkeypatch):
    from avfd.cli import app

    home, run = first
    (tmp_path / "runs" / run).mkdir(parents=True)
    shutil.copy(home.runs_dir / run / "run.json", tmp_path / "runs" / run)
    monkeypatch.setenv("AVFD_HOME", str(tmp_path))
    before = set(home.runs_dir.iterdir())
    asked = ["--video", "faces", "--folds", "3", "--model", f"{ASK},start={run}"]
    told = ["--preset", "small", "--epochs", "1", "--home", str(home.path)]
    app(["fit", *asked, *told], standalone_mode=False)
    (made,) = set(home.runs_dir.iterdir()) - before
    assert begun_with(made) == [str(weights(home, run, fold)) for fold in range(3)]


def test_a_fold_says_which_clips_trained_it_and_tests_none_of_them(first):
    home, run = first
    path = home.runs_dir / run
    table = pd.read_parquet(path / "scores.parquet")
    tested = table[table["split"] == "test"].groupby("fold")["key"].agg(set)
    everything = set(json.loads((path / "run.json").read_text())["training_keys"])
    for fold, own in tested.items():
        taught = json.loads((path / "model" / f"fold-{fold}" / "trained_on.json").read_text())
        assert set(taught["training_keys"]) == everything - own
        assert len(taught["training_media"]) == len(everything - own)


def test_a_chain_of_runs_in_the_same_folds_goes_on(first):
    home, run = first
    second = chained(home, run)
    third = chained(home, second.path)
    assert begun_with(third.path) == [str(weights(home, second.run, fold)) for fold in range(3)]


def test_a_run_that_knows_its_clips_of_all_folds_only_serves_the_same_folds(first):
    home, run = first
    old = without_facts_by_fold(home, run, "old")
    second = chained(home, old)
    assert begun_with(second.path) == [str(weights(home, old, fold)) for fold in range(3)]
    prepare(home, replace(OPTIONS, model=f"{ASK},start={second.run}"))
    with pytest.raises(InputError, match="trained in other folds"):
        chained(home, old, split_seed=5)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"split_seed": 5}, "fold 0 there was trained on"),
        ({"folds": 2}, "3 folds there, 2 here"),
        ({"folds": None}, "3 folds there, none here"),
    ],
)
def test_other_folds_are_refused_before_training(first, changed, found):
    home, run = first
    with pytest.raises(InputError, match=rf"(?s)trained in other folds.*{found}"):
        chained(home, run, **changed)


@pytest.mark.usefixtures("no_training")
def test_one_fold_s_file_is_refused_for_the_folds_that_test_its_clips(first):
    home, run = first
    with pytest.raises(InputError, match="weights it began with were trained on 6 of the clips"):
        chained(home, weights(home, run, 1))


@pytest.mark.usefixtures("no_training")
def test_a_start_that_is_nowhere_is_refused_before_training(first):
    home, _ = first
    with pytest.raises(MissingError, match=f"nowhere: no such weights or run.*{home.runs_dir}"):
        chained(home, "nowhere")


def test_trials_begin_with_the_weights_too(first, monkeypatch):
    home, run = first
    seen = []
    fit = Model.fit
    monkeypatch.setattr(
        Model, "fit", lambda model, *sides: seen.append(model.starts) or fit(model, *sides)
    )
    chained(home, run, trials=1, validate=True)
    wanted = [{"video": {"start": weights(home, run, fold)}} for fold in (0, 0, 1, 1, 2, 2)]
    assert seen == wanted


def test_several_files_of_a_fold_are_not_guessed_among(tmp_path):
    for member in ("audio", "video"):
        folder = tmp_path / "run" / "model" / "fold-0" / member
        folder.mkdir(parents=True)
        (folder / "net.safetensors").touch()
    with pytest.raises(InputError, match="several weight files"):
        found_by_fold("run", ("net",), tmp_path, 1)


def test_every_setting_that_names_a_start_is_known():
    kinds = {name: estimators.kind_of(name) for name in estimators.names()}
    modules = {Path(f"{kind.__module__.replace('.', '/')}.py") for kind in kinds.values()}
    root = Path(classify.__file__).parents[1]
    reading = {m for m in modules if "read_start(" in (root / m).read_text()}
    assert reading == {Path(f"{kinds[n].__module__.replace('.', '/')}.py") for n in STARTS}
    for name, settings in STARTS.items():
        assert set(settings) <= {f.name for f in fields(kinds[name].defaults())}
