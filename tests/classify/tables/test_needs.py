"""What a plan says of columns whose weights are not here."""

from __future__ import annotations

import pytest

from classify.tables import load
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
        jobs = list(jobs_of(home, load("thesis-5.5"), asked))
        needs = {n.name: n for n in needs_of(Stock(home, Bare(kit)), jobs, asked)}
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
