"""Forgeries in a data set of their own stay with what they were made from."""

from __future__ import annotations

from dataclasses import replace

import pytest

import classify
from avfd import runs
from avfd.clips import Clip, grouped
from avfd.errors import InputError
from avfd.manifest import Protocol
from classify import FitOptions
from classify.protocols import as_test, assign, folds, group_of, joined
from classify.protocols.crossing import crossed
from classify.protocols.lineage import kin_of

HASHED = Protocol(
    name="p",
    rule="group-hash",
    text="By group.",
    fractions={"train": 0.5, "val": 0.2, "test": 0.3},
)


def real(person: int, dataset: str = "d") -> Clip:
    return Clip(key=f"{dataset}/r{person:02}.mp4", label="real", subject=f"s{person:02}")


def forged(source: Clip, lender: Clip | None = None, dataset: str = "d-voices") -> list[Clip]:
    """A fake and its twin, as `avfd forge` lists them and `avfd index` reads them."""
    stem = source.key.partition("/")[2].removesuffix(".mp4")
    name = f"{stem}-{lender.subject if lender else 'vocoder'}.mp4"
    twin = Clip(
        key=f"{dataset}/real/{name}",
        label="real",
        subject=source.subject,
        extra={"made_from": source.key},
    )
    lent = {"lent_by": lender.key} if lender else {}
    fake = replace(
        twin,
        key=f"{dataset}/fake/{name}",
        label="fake",
        source=twin.key,
        donor=lender.subject if lender else None,
        extra={**twin.extra, **lent},
    )
    return [twin, fake]


@pytest.fixture
def originals() -> list[Clip]:
    return grouped([real(i) for i in range(30)])


@pytest.fixture
def voices(originals) -> list[Clip]:
    return grouped([clip for source in originals for clip in forged(source)])


def test_a_forgery_is_of_its_source_s_group(originals, voices):
    groups = {clip.key: group_of(clip) for clip in joined([*originals, *voices])}
    assert all(groups[clip.key] == groups[clip.extra["made_from"]] for clip in voices)
    assert len(set(groups.values())) == len(originals)


def test_what_is_forged_of_a_clip_does_not_move_it(originals, voices):
    alone = assign(originals, HASHED)
    pooled = assign(joined([*originals, *voices]), HASHED)
    assert {k: pooled.side_of(k) for k in alone.groups} == {
        k: alone.side_of(k) for k in alone.groups
    }
    sides = {clip.key: pooled.side_of(clip.extra["made_from"]) for clip in voices}
    assert sides == {clip.key: pooled.side_of(clip.key) for clip in voices}
    assert set(sides.values()) == {"train", "val", "test"}
    assert not pooled.leaking


def test_folds_over_both_sets_keep_them_together(originals, voices):
    for split in folds(joined([*originals, *voices]), 3):
        tested = set(split.test)
        assert all((c.key in tested) == (c.extra["made_from"] in tested) for c in voices)


def test_who_lends_a_voice_is_of_the_group_too(originals):
    swap = grouped(forged(originals[0], originals[1]))
    groups = {clip.key: group_of(clip) for clip in joined([*originals, *swap])}
    assert len({groups[c.key] for c in (*originals[:2], *swap)}) == 1
    assert groups[originals[2].key] == group_of(originals[2])


def test_of_forgeries_alone_nothing_changes(voices):
    assert joined(voices) == voices


def test_what_is_forged_from_a_tested_clip_does_not_train(originals, voices):
    originals, voices = originals[:10], voices
    clips = joined([*originals, *voices])
    held = [clip for clip in clips if clip.key.startswith("d/")]
    made = assign([clip for clip in clips if clip.key.startswith("d-voices/")], HASHED)
    split = crossed(made, [as_test(held)])
    tested = {clip.extra["made_from"] for clip in voices if clip.key in {*split.train, *split.val}}
    assert tested
    assert tested.isdisjoint(split.test)
    assert list(split.excluded.values()).count(
        "made from a clip that is tested, or the other way round"
    ) == sum(
        made.side_of(c.key) in ("train", "val")
        for c in voices
        if c.extra["made_from"] in split.test
    )
    assert not split.leaking


def test_where_all_is_forged_from_tested_clips_nothing_is_left_to_train(originals, voices):
    clips = joined([*originals, *voices])
    made = assign([clip for clip in clips if clip.key.startswith("d-voices/")], HASHED)
    with pytest.raises(InputError, match="no clip is left for train"):
        crossed(made, [as_test([clip for clip in clips if clip.key.startswith("d/")])])


def test_kin_are_found_whichever_was_forged_from_the_other(originals, voices):
    clips = [*originals, *voices]
    assert kin_of([voices[0].key, voices[2].key], [originals[0].key], clips) == [voices[0].key]
    assert kin_of([originals[0].key, "x/unknown"], [voices[1].key], clips) == [originals[0].key]


def test_a_fit_over_both_sets_and_an_evaluation_know_it(kit, tmp_path):
    column = kit.Column(kit.spec("mel"), kit.mean_signal, "1" * 64)
    own = [replace(c, split=None) for c in kit.make_clips("d", 6, 4)]
    made = [
        replace(c, key=c.key.replace("d/", "v/"), subject=None, extra={"made_from": c.key})
        for c in own
    ]
    home = kit.make_home(tmp_path, "d", own, [column])
    home = kit.make_home(tmp_path, "v", made, [column])
    told = FitOptions(datasets=("d", "v"), audio="mel", folds=3, replicates=50, model="logreg")
    both = classify.fit(home, told)
    fold = runs.load(home, both.run).scores().query("split == 'test'").set_index("key")["fold"]
    assert all(fold[c.key] == fold[c.extra["made_from"]] for c in made)
    alone = classify.fit(home, replace(told, datasets=("d",))).run
    notes = classify.evaluate(home, alone, dataset="v").notes
    assert any(f"{len(made)} of these clips are of people who trained" in note for note in notes)
