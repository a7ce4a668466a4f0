"""What a plan says of columns whose weights are not here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avfd.cache import Reader
from avfd.home import Home
from classify.tables import load, names
from classify.tables import stock as stock_module
from classify.tables.jobs import Asked
from classify.tables.planning import table_needs
from classify.tables.stock import Stock, WeightsState


class Bare:
    """Stage 1 with no weights of the emotion networks."""

    def __init__(self, kit):
        self.kit = kit

    def spec(self, ask):
        return self.kit.spec(ask.partition(":")[0], options={"asked": ask})

    def weights(self, ask):
        return [self.found(ask)] if ask.startswith("emo-") else []

    def found(self, name):
        return WeightsState(name, None, "train it")


@pytest.fixture
def detail(kit, tmp_path):
    """The state and detail of the column that needs weights."""
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 2, 2), [])
    kit.make_home(tmp_path, "acted", kit.make_clips("acted", 2, 2), [])

    def of(**more):
        asked = Asked(datasets=("d",), **more)
        stock = Stock(home, Bare(kit))
        needs = {n.name: n for n in table_needs(stock, load("thesis-5.5"), asked)}
        return needs["emo-lstm of d"].state, needs["emo-lstm of d"].detail

    return of


def test_what_trains_the_weights_is_said_and_not_a_command_that_cannot_work(detail):
    state, said = detail()
    assert state == "missing"
    assert "avfd extract" not in said
    assert said == (
        "emo-lstm is trained first, by table thesis-5.3, row experiment-3b; train it on clips that "
        "are here with --emotions NAME or let compare2016 stand in with --stand-ins"
    )


def test_what_was_asked_for_already_is_not_told_again(detail):
    state, said = detail(stand_ins=True)
    assert state == "missing"
    assert said.endswith("with --emotions NAME; compare2016 stands in")
    assert detail(emotions="acted") == (
        "can be made",
        "emo-lstm is trained first, by table thesis-5.3, row experiment-3b",
    )
    assert "leave --no-extract out" in detail(emotions="acted", extract=False)[1]


def needs(stock, name, asked):
    return {(n.kind, n.name): n for n in table_needs(stock, load(name), asked)}


def test_a_newcomer_sees_every_data_set_column_and_weight(kit, tmp_path):
    found = needs(Stock(Home.at(tmp_path), Bare(kit)), "thesis-5.5", Asked())
    assert found["data set", "dfdc"].state == "missing"
    assert found["data set", "iemocap"].state == "missing"  # it trains the weights
    plain = found["column", "compare2016 of iemocap"]
    assert (plain.state, plain.optional) == ("missing", False)
    assert (
        plain.detail == "first index iemocap; avfd extract --dataset iemocap --backbone compare2016"
    )
    trained = found["column", "emo-lstm of dfdc"]
    assert trained.detail.startswith("first index dfdc; emo-lstm is trained first, by table thesis")
    assert found["weights", "emo-lstm"].state == "missing"
    assert {n.state for n in found.values()} == {"missing"}


def test_columns_of_data_that_training_can_do_without_are_optional(kit, tmp_path):
    home = kit.make_home(tmp_path, "faceforensics", kit.make_clips("faceforensics", 2, 2), [])
    found = needs(Stock(home, Bare(kit)), "syncstream-2", Asked())
    optional = {n.name for n in found.values() if n.optional and n.kind == "column"}
    assert optional
    assert all(name.endswith("-voices") for name in optional)


def test_a_plan_of_all_tables_opens_a_data_set_and_counts_its_groups_once(
    kit, tmp_path, monkeypatch
):
    columns = [kit.Column(kit.spec(name), kit.noise) for name in ("compare2016", "mfcc")]
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 2, 2), columns)
    seen = []

    def spied(owner, name):
        true = getattr(owner, name)

        def spy(*args, **more):
            seen.append(name)
            return true(*args, **more)

        monkeypatch.setattr(owner, name, spy)

    spied(stock_module, "read_table")
    spied(stock_module.Cache, "snapshot")
    spied(Reader, "column")
    stock, asked = Stock(home, Bare(kit)), Asked(datasets=("d",), test_datasets=("d2",))
    for name in names():
        needs(stock, name, asked)
    assert {name: seen.count(name) for name in seen} == {
        "read_table": 1,
        "snapshot": 1,
        "column": 2,
    }


@pytest.fixture
def crossing(kit, tmp_path):
    """Needs of a table on data set d alone, nothing named to be tested."""
    home = kit.make_home(tmp_path, "d", kit.make_clips("d", 2, 2), [])
    return lambda name: needs(Stock(home, Bare(kit)), name, Asked(datasets=("d",)))


def test_a_data_set_to_test_that_was_not_named_is_a_need(crossing):
    found = crossing("finegrained-1")
    tested = found["data set", "to test"]
    assert (tested.state, tested.detail) == ("missing", "name it with --test-dataset, for FAV")
    assert ("data set", "to test") not in crossing("finegrained-3")


def test_columns_of_what_trains_are_said_before_what_is_tested_is_named(crossing):
    found = crossing("avt2dwf-3")
    assert found["data set", "d"].state == "here"
    assert found["column", "mfcc-avt2 of d"].state == "can be made"
    tested = found["data set", "to test"].detail
    assert tested.startswith("name it with --test-dataset, for FakeAVCeleb to DFDC, FakeAVCeleb to")


def test_a_setting_that_the_data_do_not_allow_is_said(crossing):
    found = crossing("syncstream-3")
    said = found["setting", "deepfakes"]
    assert said.state == "missing"
    assert "no manipulation is left to leave out for Deepfakes and griffin-lim" in said.detail


def voices(kit, tmp_path, sides, pictures=True, **asked):
    """What syncstream-2 needs of indexed voices whose clips have these official sides.

    Args:
        pictures: the data set that they belong to is indexed.
    """
    name = "faceforensics-voices"
    clips = kit.make_clips(name, 2, 2, unlabelled=1)
    placed = [
        replace(clip, extra={"official_split": side}) if side else clip
        for clip, side in zip(clips, sides, strict=True)
    ]
    home = kit.make_home(tmp_path, name, placed, [])
    if pictures:
        kit.make_home(tmp_path, "faceforensics", kit.make_clips("faceforensics", 2, 2), [])
        facts = home.read_facts("faceforensics")
        home.write_facts(replace(facts, layout="faceforensics"))
    return needs(Stock(home, Bare(kit)), "syncstream-2", Asked(**asked))["data set", name]


@pytest.mark.parametrize("pictures", [True, False])
def test_a_data_set_of_which_no_clip_stands_on_a_side_says_why(kit, tmp_path, pictures):
    need = voices(kit, tmp_path, [None] * 5, pictures)
    assert (need.state, need.optional) == ("missing", True)
    assert need.detail == (
        "indexed, but no clip of it stands on a side of zhou-lim: official_split is not stated "
        "(4 clips), unlabelled (1 clip)"
    )


def test_a_data_set_of_which_one_clip_stands_on_a_side_is_here(kit, tmp_path):
    need = voices(kit, tmp_path, [None, None, None, "test", None])
    assert (need.state, need.detail) == ("here", "indexed")


@pytest.mark.parametrize("pictures", [True, False])
def test_folds_that_were_asked_for_place_every_clip(kit, tmp_path, pictures):
    assert voices(kit, tmp_path, [None] * 5, pictures, folds=2).state == "here"


def test_what_is_only_tested_needs_a_clip_on_the_test_side(kit, tmp_path):
    home = kit.make_home(tmp_path, "dfdc", kit.make_clips("dfdc", 2, 2), [])
    kit.make_home(tmp_path, "deepfaketimit", kit.make_clips("deepfaketimit", 2, 2), [])
    home.write_facts(replace(home.read_facts("deepfaketimit"), layout="deepfaketimit"))
    need = needs(Stock(home, Bare(kit)), "avt2dwf-3", Asked())["data set", "deepfaketimit"]
    assert need.state == "missing"
    assert "no clip of it stands on the test side of avt2-dwf-lq: " in need.detail
    assert "; no clip of it stands on the test side of avt2-dwf-hq: " in need.detail
