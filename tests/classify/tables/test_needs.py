"""What a plan says of columns whose weights are not here."""

from __future__ import annotations

import pytest

from avfd.cache import Reader
from avfd.home import Home
from classify.tables import load, names
from classify.tables import stock as stock_module
from classify.tables.jobs import Asked
from classify.tables.making import jobs_of
from classify.tables.needs import needs_of
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
        jobs = list(jobs_of(stock, load("thesis-5.5"), asked))
        needs = {n.name: n for n in needs_of(stock, jobs, asked)}
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
    return {(n.kind, n.name): n for n in needs_of(stock, jobs_of(stock, load(name), asked), asked)}


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
