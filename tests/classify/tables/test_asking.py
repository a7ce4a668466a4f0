"""What `avfd table` refuses at once, whether it plans or runs."""

from __future__ import annotations

import pytest

from avfd.errors import InputError
from classify.tables import load
from classify.tables.asking import check_asked
from classify.tables.jobs import Asked


@pytest.fixture
def home(kit, tmp_path):
    kit.make_home(tmp_path, "d", kit.make_clips("d", 2, 2), [])
    return kit.make_home(tmp_path, "e", kit.make_clips("e", 2, 2), [])


def refused(home, said, table="thesis-5.5", **asked):
    with pytest.raises(InputError, match=said):
        check_asked(home, [load(table)], Asked(**asked))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"test_datasets": ("e",)}, "--test-dataset e alone; next: name them with --dataset"),
        ({"datasets": ("d",), "test_datasets": ("e",)}, "no setting of the table tests"),
        ({"datasets": ("d", "d")}, "--dataset: a data set is named twice"),
        ({"folds": 1}, "--folds: too few folds; found: 1; accepted: 2 or more"),
        ({"folds": 0}, "--folds: too few folds; found: 0"),
        ({"folds": 2, "protocol": "hash"}, "exclude each other"),
        ({"epochs": 0}, "--epochs.*found: 0.*accepted: more than 0"),
        ({"minutes": 0.0}, "--minutes.*accepted: more than 0"),
        ({"device": "tpu"}, "--device.*accepted: auto, cpu, cuda"),
        ({"preset": "nosuch"}, "--preset.*nosuch; accepted: paper, small"),
        ({"protocol": "nosuch"}, "--protocol.*nosuch; accepted: .*hash.*leave-one-dataset-out"),
        ({"protocol": "nosuch"}, "accepted: .*thesis"),
    ],
)
def test_what_cannot_be_meant_is_refused(home, asked, said):
    refused(home, said, **asked)


def test_a_data_set_cannot_train_and_be_the_unseen_one(home):
    sets = {"datasets": ("d",), "test_datasets": ("d",)}
    refused(home, "cannot train and be the unseen one", "finegrained-2", **sets)
    check_asked(home, [load("finegrained-2")], Asked(datasets=("d",), test_datasets=("e",)))


def test_a_protocol_is_one_of_the_data_that_are_asked_for(home):
    for name in ("thesis", "hash", "leave-one-manipulation-out"):
        check_asked(home, [load("thesis-5.5")], Asked(protocol=name))
    refused(home, "--protocol", datasets=("d",), protocol="thesis")  # no protocol of d's layout
    check_asked(home, [load("thesis-5.5")], Asked(datasets=("d",), protocol="hash"))


def test_presets_are_those_of_the_models(home):
    check_asked(home, [load("avt2dwf-5")], Asked(preset="code"))
    refused(home, "--preset", preset="code")


@pytest.mark.parametrize("plan", [(), ("--plan",)])
@pytest.mark.parametrize(
    "call",
    [
        ("--test-dataset", "d"),
        ("--folds", "1"),
        ("--epochs", "0"),
        ("--protocol", "nosuch"),
        ("--preset", "nosuch"),
        ("--dataset", "d", "--dataset", "d"),
    ],
)
def test_the_command_refuses_before_anything_is_extracted(home, monkeypatch, plan, call):
    import avfd.cli.tables
    from avfd.cli import app

    monkeypatch.setattr(avfd.cli.tables, "ByExtract", None)
    line = ["table", "thesis-5.5", *call, *plan, "--home", str(home.path)]
    with pytest.raises(InputError, match=call[0]) as refusal:
        app(line, standalone_mode=False)
    assert refusal.value.exit_status == 2
