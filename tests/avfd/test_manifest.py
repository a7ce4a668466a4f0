"""Manifests: every one loads, mistakes in one are named, nothing in them is unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from avfd import manifest
from avfd.errors import InputError, MissingError
from avfd.manifest import RULES, SIDES, Protocol, load, names, parse

BASE = 'title = "T"\nlicence = "L"\nsource = "S"\nlayout = ["a"]\nlabels = ["b"]\n'
PROTOCOL = BASE + '[protocols.p]\nrule = "field"\ntext = "t"\ncolumn = "part"\n'


@pytest.mark.parametrize("name", names())
def test_every_manifest_loads_and_can_be_split(name):
    found = load(name)
    assert found.name == name
    assert found.protocol().name == found.default_protocol
    assert found.protocol("hash").fractions == {"train": 0.7, "val": 0.15, "test": 0.15}
    for protocol in found.protocols.values():
        assert protocol.rule in RULES
        assert protocol.text


def test_every_data_set_of_the_project_has_one():
    assert set(names()) >= {
        "avdeepfake1m", "deepfaketimit", "dfdc", "faceforensics", "fakeavceleb", "folder",
        "iemocap", "lavdf", "ravdess", "table", "voxceleb2",
    }  # fmt: skip


@pytest.mark.parametrize("name", names())
def test_a_paper_that_names_no_clips_is_said_to(name):
    """A drawn selection says who drew it, unless the paper itself gave the numbers."""
    for protocol in load(name).protocols.values():
        drawn = protocol.rule in ("group-hash", "by-speaker", "clip-hash") or protocol.counts
        assert bool(drawn) <= bool(protocol.chosen), protocol.name


def test_the_thesis_parts():
    thesis = load("dfdc").protocol("thesis")
    assert (thesis.rule, thesis.column, thesis.leaky) == ("field", "part", False)
    assert thesis.values == {"train": ("45", "46", "48"), "val": ("47",), "test": ("49",)}


def test_the_ravdess_actors_cover_all_24_once():
    values = load("ravdess").protocol("actors").values
    assert values["test"] == ("05", "10", "16", "19")
    assert values["val"] == ("11", "13", "18", "22")
    assert sorted(a for side in values.values() for a in side) == [f"{i:02}" for i in range(1, 25)]


@pytest.mark.parametrize(
    ("name", "train"),
    [("thesis-audio", "1234"), ("thesis-video-3", "12"), ("thesis-video-4", "123")],
)
@pytest.mark.parametrize(("suffix", "agreement"), [("", 2), ("-any", 0)])
def test_the_thesis_sessions_and_recipe(name, train, suffix, agreement):
    protocol = load("iemocap").protocol(name + suffix)
    assert protocol.values == {"train": tuple(train), "test": ("5",)}
    assert protocol.cluster_seconds == 10.0
    filters = protocol.filters
    assert (filters.min_agreement, filters.min_seconds) == (agreement, 1.0)
    assert filters.where == {"act": ("improvised",)}
    assert filters.emotions["exc" if "exc" in filters.emotions else "*"] == "other"
    assert len(set(filters.emotions.values())) == 5


def test_the_numbers_of_the_papers():
    astrid = load("dfdc").protocol("astrid")
    assert astrid.counts == {"train": 15300, "test": 2700}
    assert (astrid.balance, astrid.balance_sides) == (("label",), ("train",))
    assert load("fakeavceleb").protocol("astrid").counts == {"test": 140}
    assert load("fakeavceleb").protocol("avt2-dwf").reals_from == {"voxceleb2": 19000}
    assert load("fakeavceleb").protocol("avt2-dwf").fractions == {
        "train": 0.7, "val": 0.1, "test": 0.2
    }  # fmt: skip


def test_joint_training_names_the_same_five_sets_everywhere():
    joint = {name: load(name).protocols.get("2d3mf") for name in names()}
    sets = {name: protocol.datasets for name, protocol in joint.items() if protocol}
    assert {frozenset(listed) for listed in sets.values()} == {frozenset(sets)}
    assert len(sets) == 5


def test_what_tears_groups_apart_is_leaky():
    leaky = load("dfdc").protocol("2d3mf-leaky")
    assert leaky.leaky
    assert leaky.overlap
    assert not load("dfdc").protocol("2d3mf").leaky
    with pytest.raises(InputError, match="leaky = true"):
        Protocol("p", "clip-hash", "t", fractions={"train": 1.0})
    with pytest.raises(InputError, match="leaky = true"):
        Protocol("p", "shipped", "t", overlap=True)


def test_an_unknown_data_set_or_protocol_lists_the_known_ones():
    with pytest.raises(MissingError, match=r"celebdf.*dfdc, faceforensics"):
        load("celebdf")
    with pytest.raises(MissingError, match=r"no such protocol.*accepted: hash"):
        load("folder").protocol("thesis")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "not a TOML file"),
        ('title = "T"\n', "a key is missing.*licence"),
        (BASE + 'colour = "red"\n', r"unknown key.*colour.*licence"),
        (PROTOCOL + 'values = {train = ["1"]}\nsplit = 1\n', "protocol p: unknown key.*split"),
        (PROTOCOL, "needs `column` and `values`"),
        (PROTOCOL + 'values = {dev = ["1"]}\n', "a side is not one of ours"),
        (PROTOCOL.replace('"field"', '"magic"'), "not a rule.*magic.*shipped"),
        (PROTOCOL.replace('"field"', '"group-hash"') + "fractions = {train = 0.5}\n", "sum to 1"),
        (PROTOCOL + "values = {}\n[protocols.p.filters]\nyear = 1\n", "unknown key.*year"),
        ('default_protocol = "q"\n' + BASE, "no such protocol.*hash"),
    ],
)
def test_mistakes_in_a_manifest_are_named(text, message):
    with pytest.raises((InputError, MissingError), match=message):
        parse(text, "x")


def test_manifests_are_read_from_the_package_first(tmp_path: Path, monkeypatch):
    shipped = tmp_path / "manifests"
    shipped.mkdir()
    (shipped / "mine.toml").write_text(BASE)
    monkeypatch.setattr(manifest.resources, "files", lambda package: tmp_path)
    assert names() == ["mine"]
    assert load("mine").title == "T"


def test_no_address_stands_in_a_manifest():
    for name in names():
        text = (manifest.folder() / f"{name}.toml").read_text(encoding="utf-8")
        assert not re.search(r"https?://|www\.", text), name


def test_sides_are_in_order():
    assert SIDES == ("train", "val", "test")
