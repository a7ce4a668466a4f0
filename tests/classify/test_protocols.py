"""Every rule on small made-up clip lists, near misses included."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avfd import manifest
from avfd.clips import Clip, grouped
from avfd.errors import InputError, MissingError
from avfd.manifest import HASH, SIDES, Filters, Protocol
from classify.protocols import as_test, assign, folds
from classify.protocols.split import leak_mark

THIRDS = {"train": 0.4, "val": 0.3, "test": 0.3}


def clip(name, label="real", **facts):
    return Clip(key=name if "/" in name else f"d/{name}", label=label, seconds=10.0, **facts)


def protocol(rule="group-hash", **facts):
    if rule in ("group-hash", "by-speaker", "clip-hash"):
        facts = {"fractions": THIRDS} | facts
    return Protocol(name="p", rule=rule, text="As the test says.", **facts)


def speakers(count, clips_each, dataset="d", **facts):
    """Half real, half fake clips of `count` people."""
    return grouped(
        [
            clip(f"{dataset}/s{s:02}/{i}.mp4", ("real", "fake")[i % 2], subject=f"s{s:02}", **facts)
            for s in range(count)
            for i in range(clips_each)
        ]
    )


# Field, shipped, pairs file


def dfdc_clips(parts):
    return [
        clip(f"dfdc/dfdc_train_part_{part}/{i}.mp4", ("real", "fake")[i % 2], extra={"part": part})
        for part in parts
        for i in range(4)
    ]


def test_thesis_parts_of_dfdc():
    split = assign(
        dfdc_clips(["44", "45", "46", "47", "48", "49", "4"]),
        manifest.load("dfdc").protocol("thesis"),
    )
    part = {key: key.split("_")[-1].split("/")[0] for key in split.labels}
    assert {part[k] for k in split.train} == {"45", "46", "48"}
    assert {part[k] for k in split.val} == {"47"}
    assert {part[k] for k in split.test} == {"49"}
    assert split.excluded_counts == {"part is 44: on no side": 4, "part is 4: on no side": 4}
    assert not split.leaky


def test_an_original_in_another_part_is_refused_with_its_clips():
    clips = dfdc_clips(["45", "49"])
    fake = clip("dfdc/dfdc_train_part_49/x.mp4", "fake", source=clips[0].key, extra={"part": "49"})
    with pytest.raises(InputError) as caught:
        assign(grouped([*clips, fake]), manifest.load("dfdc").protocol("thesis"))
    assert "1 groups stand on two sides" in str(caught.value)
    assert f"{clips[0].key} (train), {fake.key} (test)" in str(caught.value)


def test_held_back_test_clips_leave_the_validation_side_and_a_note():
    values = {"train": ("45",), "val": ("47",), "test": ("49",)}
    split = assign(dfdc_clips(["45", "47"]), protocol("field", column="part", values=values))
    assert (len(split.test), bool(split.val)) == (0, True)
    assert any("no test clip" in note for note in split.notes)


def test_a_missing_part_says_where_the_clips_went():
    rule = protocol("field", column="part", values={"train": ("45",), "test": ("49",)})
    with pytest.raises(InputError, match=r"no clip is left for test; found: 4 clips: part is 4:"):
        assign(dfdc_clips(["45", "4"]), rule)


def test_ravdess_actors():
    clips = grouped(
        [
            clip(
                f"ravdess/Actor_{a:02}/{channel}-{i}.mp4",
                emotion=("happy", "sad")[i],
                subject=f"{a:02}",
                extra={"channel": channel},
            )
            for a in range(1, 25)
            for channel in ("speech", "song")
            for i in range(2)
        ]
    )
    split = assign(clips, manifest.load("ravdess").protocol("actors"), target="emotion")
    actors = {
        side: {split.groups[k].split("Actor_")[1][:2] for k in split.keys(side)} for side in SIDES
    }
    assert actors["test"] == {"05", "10", "16", "19"}
    assert actors["val"] == {"11", "13", "18", "22"}
    assert len(actors["train"]) == 16
    assert split.excluded_counts == {"channel is song": 48}
    assert set(split.labels.values()) == {"happy", "sad"}


def test_shipped_sides_and_a_side_that_is_none_of_ours():
    clips = [clip(f"{i}", split=s) for i, s in enumerate(["train", "val", "test", "dev", None])]
    split = assign(clips, protocol("shipped"))
    assert (split.train, split.val, split.test) == (("d/0",), ("d/1",), ("d/2",))
    assert split.excluded == {
        "d/3": "split is dev: on no side",
        "d/4": "split is not stated: on no side",
    }


def test_pairs_file_sides():
    clips = [clip(str(i), extra={"official_split": s}) for i, s in enumerate(SIDES)]
    split = assign([*clips, clip("odd", split="train")], protocol("pairs-file"))
    assert (split.train, split.val, split.test) == (("d/0",), ("d/1",), ("d/2",))
    assert split.excluded == {"d/odd": "official_split is not stated: on no side"}


# Hashes


def test_group_hash_cuts_at_the_fractions():
    split = assign(speakers(3000, 1), HASH)
    shares = [len(split.keys(side)) / 3000 for side in SIDES]
    assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.025)


def test_group_hash_is_sha256_of_seed_and_name():
    """Spelled out anew: a split must not change with the version of avfd."""
    split = assign([clip(f"{i}") for i in range(50)], protocol(), 7)
    for key in split.labels:
        place = int(hashlib.sha256(f"7\0{key}".encode()).hexdigest()[:16], 16) / 2**64
        expected = "train" if place < 0.4 else "val" if place < 0.7 else "test"
        assert split.side_of(key) == expected


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 200)), min_size=30, unique=True),
    st.randoms(use_true_random=False),
    st.integers(0, 5),
)
def test_group_hash_is_stable_when_files_are_added(names, shuffler, seed):
    """Half of the files, then all of them in another order: nobody moves."""
    everything = [clip(f"s{s}/{i}.mp4", subject=f"s{s}") for s, i in names]
    # Every speaker has one clip in the first half; added clips are before and after it by name.
    first = list({c.subject: c for c in everything}.values())
    shuffler.shuffle(everything)
    before = _side_of(grouped(first), seed)
    after = _side_of(grouped(everything), seed)
    assert before.items() <= after.items()


def _side_of(clips, seed):
    ample = [clip(f"ample/{i}") for i in range(100)]  # so that no side is empty
    split = assign([*clips, *ample], protocol(), seed)
    return {key: split.side_of(key) for key in split.labels}


def test_one_more_fake_of_a_known_original_moves_no_group():
    originals = [clip(f"m{i}.mp4") for i in range(60)]
    more = [clip(f"a{i}.mp4", "fake", source=f"d/m{i}.mp4") for i in range(60)]
    before = assign(grouped(originals), HASH)
    after = assign(grouped([*originals, *more]), HASH)
    assert {k: before.side_of(k) for k in before.labels}.items() <= {
        k: after.side_of(k) for k in after.labels
    }.items()


def test_the_seed_decides_and_the_order_does_not():
    clips = speakers(40, 4)
    shuffled = random.Random(0).sample(clips, len(clips))
    assert assign(clips, HASH) == assign(shuffled, HASH)
    assert assign(clips, HASH).train != assign(clips, HASH, seed=1).train
    assert assign(clips, HASH, seed=1).seed == 1


def test_clip_hash_tears_groups_apart_and_says_so():
    split = assign(speakers(6, 20), protocol("clip-hash", leaky=True))
    assert split.leaky
    assert len(split.leaking) == 6
    assert "Leaky: 6 groups stand on two sides." in split.notes


def test_the_mark_of_a_leak_counts_the_groups_where_there_are_any():
    assert leak_mark(False, ()) == ""
    assert leak_mark(True, ["g"] * 3) == "LEAKY: 3 groups stand on two sides"
    assert leak_mark(True, ["g"]) == "LEAKY: 1 group stands on two sides"
    assert leak_mark(True, ()) == "LEAKY by its protocol: groups may stand on two sides"


def test_overlap_keeps_the_test_clips_in_train_and_val():
    overlapping = protocol(
        "group-hash", overlap=True, leaky=True, fractions={"train": 0.8, "val": 0.1, "test": 0.1}
    )
    split = assign([clip(str(i)) for i in range(400)], overlapping)
    assert set(split.test) <= {*split.train, *split.val}
    assert not set(split.train) & set(split.val)
    assert len(split.train) + len(split.val) == 400
    assert len(split.val) == pytest.approx(400 / 9, abs=15)
    assert split.side_of(split.test[0]) == "test"


# By speaker


def test_by_speaker_cuts_whole_speakers_at_7_1_2():
    rule = protocol("by-speaker", fractions={"train": 0.7, "val": 0.1, "test": 0.2})
    split = assign(speakers(20, 6), rule)
    people = [{split.groups[k] for k in split.keys(side)} for side in SIDES]
    assert [len(p) for p in people] == [14, 2, 4]
    assert len(set.union(*people)) == 20


def swapped():
    """16 pairs of people, each wearing the other's face once: DeepfakeTIMIT's shape."""
    return grouped(
        [
            clip(f"{a}-{b}.avi", "fake", subject=f"p{a:02}", donor=f"p{b:02}")
            for i in range(16)
            for a, b in ((2 * i, 2 * i + 1), (2 * i + 1, 2 * i))
        ]
    )


def test_by_speaker_keeps_swapped_pairs_together():
    split = assign(swapped(), protocol("by-speaker"))
    assert not split.leaking
    assert len(split.train) + len(split.val) + len(split.test) == 32


def test_a_known_second_donor_in_a_clip_of_its_own_moves_no_group():
    """Its name, the least of the group, was in the group's name all along."""
    known = [
        clip(f"{i}.avi", "fake", subject=f"s{i}", donor=f"r{i}", more_donors=(f"a{i}",))
        for i in range(60)
    ]
    added = [clip(f"new{i}.avi", subject=f"a{i}") for i in range(60)]
    before, after = (assign(grouped(clips), protocol()) for clips in (known, known + added))
    assert not after.leaking
    sides = [before.side_of(c.key) for c in known]
    assert [after.side_of(c.key) for c in known] == sides
    assert [after.side_of(c.key) for c in added] == sides


def test_by_speaker_alone_where_the_protocol_may_leak():
    split = assign(swapped(), protocol("by-speaker", leaky=True))
    assert split.leaking


# Labels, filters


def test_unlabelled_clips_stand_on_no_side():
    clips = [*speakers(10, 2), clip("u/1.mp4", None), clip("u/2.mp4", None)]
    assert assign(clips, protocol()).excluded_counts == {"unlabelled": 2}
    with pytest.raises(InputError, match=r"no clip is left for train.*22 clips: no emotion label"):
        assign(clips, protocol(), target="emotion")


def test_filters_each_with_a_near_miss():
    good = {"extra": {"act": "improvised", "agreement": "2"}, "emotion": "ang"}
    clips = [clip(f"good{i}", **good) for i in range(30)]
    clips += [
        clip("scripted", **good | {"extra": {"act": "scripted", "agreement": "3"}}),
        clip("no act", **good | {"extra": {"agreement": "3"}}),
        clip("one of three", **good | {"extra": {"act": "improvised", "agreement": "1"}}),
        clip("nobody said", **good | {"extra": {"act": "improvised"}}),
        replace(clip("short", **good), seconds=0.999),
        replace(clip("just long", **good), seconds=1.0),
        replace(clip("by its cut", **good), seconds=0.0, start_seconds=3.0, end_seconds=4.5),
        clip("other emotion", **good | {"emotion": "fru"}),
        clip("two faces", **good),
    ]
    filters = Filters(
        where={"act": ("improvised",)},
        emotions={"ang": "anger"},
        min_agreement=2,
        min_seconds=1.0,
        one_face=True,
    )
    split = assign(
        clips,
        protocol(filters=filters),
        target="emotion",
        several_faces=lambda keys: {"d/two faces"}.intersection(keys),
    )
    assert split.excluded == {
        "d/scripted": "act is scripted",
        "d/no act": "act is not stated",
        "d/one of three": "fewer than 2 evaluators agree",
        "d/nobody said": "fewer than 2 evaluators agree",
        "d/short": "shorter than 1 s",
        "d/other emotion": "emotion is fru",
        "d/two faces": "more than one face",
    }
    assert set(split.labels.values()) == {"anger"}


def test_a_one_face_filter_that_cannot_be_applied_is_said():
    split = assign(speakers(20, 2), protocol(filters=Filters(one_face=True)))
    assert "The protocol's one-face filter was not applied: no face was counted." in split.notes


def test_the_emotion_map_leaves_real_and_fake_alone():
    clips = [replace(c, emotion="ang") for c in speakers(20, 2)]
    split = assign(clips, protocol(filters=Filters(emotions={"*": "other"})))
    assert set(split.labels.values()) == {"real", "fake"}


# IEMOCAP


def utterances(lengths=(4.0, 4.0, 4.0, 9.0, 2.0)):
    """Two speakers a session; anger in a row of the given lengths, then one frustration."""
    return grouped(
        [
            Clip(
                key=f"iemocap/Ses{s}/x.avi@{100 * i:.3f}-{100 * i + length:.3f}",
                video_path=f"Ses{s}/x.avi",
                start_seconds=100.0 * i,
                seconds=length,
                label="real",
                emotion="ang" if i < len(lengths) else "fru",
                subject=f"Ses{s}{sex}",
                source=f"Ses{s}",
                extra={"session": str(s), "act": "improvised", "agreement": "2", "speaker": sex},
            )
            for s in range(1, 6)
            for sex, first in (("F", 0), ("M", 50))
            for i, length in [(first + j, w) for j, w in enumerate([*lengths, 1.0])]
        ]
    )


@pytest.mark.parametrize(
    ("name", "sessions"),
    [("thesis-audio", "1234"), ("thesis-video-3", "12"), ("thesis-video-4", "123")],
)
def test_iemocap_sessions(name, sessions):
    split = assign(utterances(), manifest.load("iemocap").protocol(name), target="emotion")
    assert {key[11] for key in split.train} == set(sessions)
    assert {key[11] for key in split.test} == {"5"}
    assert split.val == ()
    assert "There is no validation side: no network stops early." in split.notes


def test_utterances_of_one_actor_and_label_are_joined_to_ten_seconds():
    split = assign(
        utterances(), manifest.load("iemocap").protocol("thesis-audio"), target="emotion"
    )
    starts = sorted(
        [float(k.split("@")[1].split("-")[0]) / 100 for k in u] for u in split.units["test"]
    )
    # 4 + 4 + 4 s make one sample, 9 + 2 the next; the woman's other emotion stands alone.
    assert starts[:3] == [[0, 1, 2], [3, 4], [5]]
    assert sorted(k for unit in split.units["test"] for k in unit) == list(split.test)
    for unit in split.units["train"]:
        assert len({split.labels[k] for k in unit}) == 1


def test_a_short_rest_goes_to_the_sample_before_it():
    clips = [
        replace(c, subject="ann") for c in (clip("1"), clip("2"), replace(clip("3"), seconds=3.0))
    ]
    rule = protocol("shipped", cluster_seconds=10.0)
    split = assign([*(replace(c, split="test") for c in clips), clip("t", split="train")], rule)
    assert split.units["test"] == (("d/1",), ("d/2", "d/3"))


# Balance and sizes


def four_ways(counts):
    """Clips of the four combinations of real and fake picture and sound, each its own person."""
    return [
        clip(
            f"{video}-{audio}/{i}.mp4".replace("/", "-"),
            "fake" if "fake" in (video, audio) else "real",
            video_label=video,
            audio_label=audio,
        )
        for (video, audio), count in counts.items()
        for i in range(count)
    ]


def test_zhou_lim_balances_the_test_over_the_four_combinations():
    counts = {
        ("real", "real"): 60,
        ("real", "fake"): 90,
        ("fake", "real"): 200,
        ("fake", "fake"): 300,
    }
    clips = four_ways(counts)
    by_key = {c.key: c for c in clips}
    rule = manifest.load("fakeavceleb").protocol("zhou-lim")
    natural = assign(clips, replace(rule, balance=()))
    split = assign(clips, rule)
    ways = Counter((by_key[k].video_label, by_key[k].audio_label) for k in split.test)
    rarest = min(
        Counter((by_key[k].video_label, by_key[k].audio_label) for k in natural.test).values()
    )
    assert set(ways.values()) == {rarest}
    assert len(ways) == 4
    assert split.train == natural.train


def test_a_missing_combination_is_said():
    clips = four_ways({("real", "real"): 60, ("fake", "real"): 90})
    split = assign(clips, protocol(balance=("video_label", "audio_label")))
    assert split.notes == (
        "test has not all four combinations of real and fake picture and sound, only: "
        "fake picture, real sound; real picture, real sound.",
    )


def test_sound_without_labels_is_balanced_by_the_picture():
    clips = [
        replace(c, audio_label=None)
        for c in four_ways({("real", "real"): 60, ("fake", "real"): 90})
    ]
    split = assign(clips, manifest.load("fakeavceleb").protocol("zhou-lim"))
    labels = Counter(split.labels[k] for k in split.test)
    assert labels["real"] == labels["fake"] > 0
    assert "not stated sound" in split.notes[0]


def test_astrid_sizes_scaled():
    """Balanced training of 153, natural test of 27, by original."""
    rule = replace(manifest.load("dfdc").protocol("astrid"), counts={"train": 153, "test": 27})
    originals = [clip(f"o{i}") for i in range(120)]
    fakes = [clip(f"f{i}", "fake", source=f"d/o{i % 120}") for i in range(600)]
    split = assign(grouped([*originals, *fakes]), rule)
    train = Counter(split.labels[k] for k in split.train)
    assert train == {"real": 76, "fake": 76}  # 153 is odd
    assert len(split.test) == 27
    assert split.notes[0] == "train has 152 clips; the protocol asks for 153."
    assert Counter(split.labels[k] for k in split.test)["fake"] > 15


def test_a_protocol_that_only_tests_needs_no_training_side():
    rule = manifest.load("fakeavceleb").protocol("astrid")
    clips = four_ways({("real", "real"): 100, ("fake", "fake"): 300})
    split = assign(clips, rule)
    assert split.train == ()
    assert Counter(split.labels.values()) == {"real": 70, "fake": 70}


def test_drawing_is_stable_when_clips_are_added():
    rule = protocol(counts={"train": 20})
    few = assign([clip(str(i)) for i in range(100)], rule)
    more = assign([clip(str(i)) for i in range(110)], rule)
    assert len(set(few.train) & set(more.train)) >= 15


# Several data sets


def test_avt2_dwf_takes_7_1_2_a_balanced_test_and_foreign_reals():
    rule = replace(manifest.load("fakeavceleb").protocol("avt2-dwf"), reals_from={"voxceleb2": 50})
    own = [replace(c, key="fakeavceleb" + c.key[1:]) for c in speakers(40, 5)]
    foreign = [clip(f"vox/{i}") for i in range(80)] + [clip("vox/odd", "fake")]
    split = assign([*own, *foreign], rule, layouts={"vox": "voxceleb2"})
    added = [k for k in split.labels if k.startswith("vox/")]
    assert len(added) == 50
    assert set(added) <= set(split.train)
    assert split.excluded["vox/odd"] == "only real clips are added"
    test = Counter(split.labels[k] for k in split.test)
    assert test["real"] == test["fake"] > 0
    assert "voxceleb2" not in " ".join(split.notes)


def celebrities(count):
    """People of FakeAVCeleb by VoxCeleb's ids, each fake with the next one's face."""
    own = [
        replace(c, key="fakeavceleb" + c.key[1:], subject=f"id{int(c.subject[1:]):05}")
        for c in speakers(count, 4)
    ]
    return [
        replace(c, donor=f"id{(int(c.subject[2:]) + 1) % count:05}" if c.label == "fake" else None)
        for c in own
    ]


def test_nobody_who_is_validated_or_tested_trains_by_an_added_real():
    own = celebrities(40)
    vox = [clip(f"vox/id{s:05}/{i}", subject=f"id{s:05}") for s in range(60) for i in range(2)]
    layouts = {"vox": "voxceleb2"}
    rule = replace(manifest.load("fakeavceleb").protocol("avt2-dwf"), reals_from={"voxceleb2": 30})
    split = assign(grouped([*own, *vox]), rule, layouts=layouts)
    by_key = {c.key: c for c in own}
    held = {p for key in (*split.val, *split.test) for p in by_key[key].people}
    out = [c.key for c in vox if c.subject in held]
    assert len(held) >= 12
    assert not set(out) & set(split.train)
    assert {split.excluded[key] for key in out} == {"of a person in validation or test"}
    assert len([k for k in split.train if k.startswith("vox/")]) == 30
    note = f"{len(out)} real clips of voxceleb2 are of people in validation or test: none trains."
    assert note in split.notes


def test_people_of_data_sets_with_other_names_are_not_compared():
    own = celebrities(40)
    other = [clip(f"films/{s}", subject=f"id{s:05}") for s in range(40)]
    rule = replace(manifest.load("fakeavceleb").protocol("avt2-dwf"), reals_from={"folder": 40})
    split = assign(grouped([*own, *other]), rule, layouts={"films": "folder"})
    assert {c.key for c in other} <= set(split.train)


def test_missing_foreign_reals_are_said():
    own = [replace(c, key="fakeavceleb" + c.key[1:]) for c in speakers(40, 5)]
    split = assign(own, manifest.load("fakeavceleb").protocol("avt2-dwf"))
    assert "The protocol also takes voxceleb2, which were not given." in split.notes


def test_joint_training_runs_each_set_through_its_own_protocol():
    actors = grouped(
        [
            clip(f"ravdess/{a:02}.mp4", subject=f"{a:02}", extra={"channel": "speech"})
            for a in range(1, 25)
        ]
    )
    celebrities = [replace(c, key="fakeavceleb" + c.key[1:]) for c in speakers(30, 4)]
    rule = manifest.load("ravdess").protocol("2d3mf")
    split = assign([*actors, *celebrities], rule)
    assert not any(k.startswith("ravdess") for k in split.test)  # the paper only trains on it
    assert [k for k in split.val if k.startswith("ravdess")] == [
        f"ravdess/{a}.mp4" for a in ("11", "13", "18", "22")
    ]
    assert sum(k.startswith("ravdess") for k in split.train) == 20
    assert sum(k.startswith("fakeavceleb") for k in split.train) == 96
    assert split.leaky  # FakeAVCeleb's part of it is
    assert any(
        note.startswith("The protocol also takes deepfaketimit, dfdc") for note in split.notes
    )
    with pytest.raises(MissingError, match="folder, protocol 2d3mf: the data set has no part"):
        assign([*actors, clip("folder/x.mp4")], rule)


def test_same_names_in_two_data_sets_are_two_groups():
    clips = [*speakers(9, 2, "one"), *speakers(9, 2, "two")]
    split = assign(clips, protocol())
    assert len(set(split.groups.values())) == 18


def shipped_protocols():
    return [
        pytest.param(name, rule, id=f"{name}-{rule.name}")
        for name in manifest.names()
        for rule in manifest.load(name).protocols.values()
    ]


@pytest.mark.parametrize(("name", "rule"), shipped_protocols())
def test_every_shipped_protocol_finds_its_sides(name, rule):
    """Clips that have whatever the protocol asks for."""
    wanted = {column: values[0] for column, values in rule.filters.where.items()}
    places = [v for s in SIDES for v in rule.values.get(s, ())] or list(SIDES)
    emotion = next(iter(rule.filters.emotions), "happy")
    clips = grouped(
        [
            _with(
                clip(f"{name}/{i:04}.mp4", ("real", "fake")[i % 2], emotion=emotion),
                {"agreement": "3", **wanted, (rule.column or "split"): places[i % len(places)]},
            )
            for i in range(200)
        ]
    )
    if name == "voxceleb2" and rule.name == "avt2-dwf":
        with pytest.raises(InputError, match="no clip is left for test"):
            assign(clips, rule)  # it only gives reals to another set's training
    elif name in ("deepfaketimit", "ravdess") and rule.name == "2d3mf":
        split = assign(clips, rule)  # of one class each: training and validation alone
        assert (bool(split.train), bool(split.val), split.test) == (True, True, ())
    else:
        assert assign(clips, rule).test


def _with(subject, values):
    """The clip with those values in its fields, or in `extra` where it has no such field."""
    fields = {k: v == "True" if k.startswith("has_") else v for k, v in values.items()}
    own = {k: v for k, v in fields.items() if hasattr(subject, k)}
    return replace(subject, **own, extra={k: v for k, v in values.items() if k not in own})


# Refusals


def test_at_most_ten_clips_are_named():
    clips = grouped(
        [clip(f"{side}{i:02}", subject=f"s{i}", split=side) for side in SIDES for i in range(30)]
    )
    with pytest.raises(InputError, match="30 groups stand on two sides") as caught:
        assign(clips, protocol("shipped"))
    named = str(caught.value.found).split(", ")
    assert len(named) == 10
    assert {n.split(" ")[1] for n in named} == {"(train)", "(test)"}


def test_a_leak_between_train_and_val_is_refused_too():
    clips = grouped([clip("a", subject="x", split="train"), clip("b", subject="x", split="val")])
    with pytest.raises(InputError, match=r"d/a \(train\), d/b \(val\)"):
        assign([*clips, clip("t", split="test")], protocol("shipped"))


def test_a_leak_among_excluded_clips_is_none():
    clips = grouped(
        [clip("a", subject="x", split="train"), clip("b", None, subject="x", split="test")]
    )
    assert assign([*clips, clip("t", split="test")], protocol("shipped")).test == ("d/t",)


def test_no_clip_at_all_is_refused():
    with pytest.raises(InputError, match="there is no clip to split"):
        assign([], HASH)


# Folds and whole sets


@pytest.mark.parametrize("k", [2, 3, 5])
def test_folds_test_every_clip_once_and_tear_no_group(k):
    clips = speakers(11, 6)
    splits = folds(clips, k)
    tested = sorted(key for split in splits for key in split.test)
    assert tested == sorted(c.key for c in clips)
    for split in splits:
        assert not {split.groups[x] for x in split.train} & {split.groups[x] for x in split.test}
        assert sorted([*split.train, *split.test]) == tested
        assert split.val == ()
    assert splits[0].protocol == f"fold 1 of {k}"


def test_folds_spread_the_labels():
    """10 people with fakes only, 10 with reals only: each of 5 folds gets two of each."""
    clips = grouped(
        [
            clip(f"{s}/{i}", "fake" if s < 10 else "real", subject=f"s{s}")
            for s in range(20)
            for i in range(3)
        ]
    )
    for split in folds(clips, 5):
        assert Counter(split.labels[k] for k in split.test) == {"fake": 6, "real": 6}


def test_folds_are_the_same_for_any_order_and_differ_by_seed():
    clips = speakers(12, 3)
    shuffled = random.Random(1).sample(clips, len(clips))
    assert folds(clips, 4) == folds(shuffled, 4)
    assert folds(clips, 4)[0].test != folds(clips, 4, seed=1)[0].test


def test_a_fold_without_a_class_says_so():
    clips = grouped([clip(str(i), "fake" if i == 0 else "real") for i in range(4)])
    notes = [note for split in folds(clips, 2) for note in split.notes]
    assert notes.count("Its test has no fake clip.") == 1


@pytest.mark.parametrize(("k", "accepted"), [(1, "2 … 3"), (4, "2 … 3")])
def test_folds_that_do_not_fit_are_refused(k, accepted):
    with pytest.raises(InputError, match=f"{k} folds, 3 groups with labels; accepted: {accepted}"):
        folds(speakers(3, 2), k)


def test_as_test_takes_every_labelled_clip():
    split = as_test([clip("a"), clip("b", "fake"), clip("c", None)])
    assert (split.train, split.test) == ((), ("d/a", "d/b"))
    assert split.excluded == {"d/c": "unlabelled"}
    with pytest.raises(InputError, match="no clip is left for test; found: 1 clips: unlabelled"):
        as_test([clip("c", None)])
