"""`avfd forge`: truth to the sample, twins of one chain, nothing of the user's touched."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avfd.cache import Cache, ClipResult
from avfd.cli import run
from avfd.clips import Clip, read_table
from avfd.errors import InputError, MissingError, Stopped
from avfd.home import Home
from avfd.specs import ABSENT, DONE
from extract.backbones import build, load_all
from extract.forge import (
    ForgeOptions,
    folder,
    forge,
    forging,
    manipulations,
    plans,
    vocoders,
    writing,
)
from extract.forge.material import FPS, FRAME_PX, SAMPLE_RATE_HZ, Material, whole_frames

SECONDS = 3.0
AT = (1.0, 2.0)
STILL = sorted(set(plans.KINDS) - {plans.OFFSET})
"""Kinds that move nothing in time."""


def voice(seed: int, seconds: float = SECONDS) -> np.ndarray:
    """Syllables of a wavering harmonic tone in a little breath."""
    drawn = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch = drawn.uniform(90, 220)
    phase = 2 * np.pi * (pitch * t + 4 * np.sin(2 * np.pi * drawn.uniform(1, 2) * t))
    tone = sum(np.sin(k * phase) / k**1.3 for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * drawn.uniform(2, 4) * t) + 0.4, 0, None)
    breath = drawn.normal(size=len(t)) * 0.05
    return (drawn.uniform(0.05, 0.3) * (tone + breath) * syllables).astype(np.float32)


def material(seed: int, seconds: float = SECONDS) -> Material:
    frames = round(seconds * FPS)
    drawn = np.random.default_rng(seed)
    still = drawn.integers(60, 200, (FRAME_PX // 16, FRAME_PX // 16, 3), dtype=np.uint8)
    picture = np.kron(still, np.ones((16, 16, 1), np.uint8))
    pictures = np.stack([np.roll(picture, i, axis=1) for i in range(frames)])
    boxes = np.tile([64.0, 64.0, 128.0, 128.0], (frames, 1))
    return Material(pictures, boxes, voice(seed, seconds))


@pytest.fixture(scope="module")
def silent_home(tmp_path_factory, media_makers):
    """Two people's films in `root`, indexed, without a face track; and the root."""
    from extract.index import index_dataset

    root = tmp_path_factory.mktemp("films")
    for person in "ab":
        film = root / f"{person}.mp4"
        media_makers.make_video(film, 3.0, audio=voice(ord(person))[None], audio_codec="aac")
    table = root / "films.csv"
    table.write_text(
        "path,label,subject,official_split,part\na.mp4,real,a,train,1\nb.mp4,real,b,test,\n"
    )
    home = Home(tmp_path_factory.mktemp("home"))
    index_dataset(
        home, "talk", root, table=table, label_column="label", subject_column="subject", workers=1
    )
    return home, root


@pytest.fixture(scope="module")
def talking_home(silent_home, tmp_path_factory):
    """The same with a face in the middle of every picture, as a face pass would leave it."""
    home = with_faces(silent_home[0], tmp_path_factory.mktemp("talking") / "home", "ab")
    return home, silent_home[1]


@pytest.fixture(scope="module")
def half_seen_home(silent_home, tmp_path_factory):
    """The same, but no face was found in b's film."""
    return with_faces(silent_home[0], tmp_path_factory.mktemp("half") / "home", "a")


def with_faces(bare: Home, path, seen: str) -> Home:
    """A copy of a home in which the faces of these people were followed, and no others found."""
    home = Home(path)
    shutil.copytree(bare.path, path)
    load_all()
    spec = build("face_track").spec
    cache = Cache.open(home.cache_url("talk"), dataset="talk", lock_path=home.lock_path("talk"))
    cache.ensure_column("face_track", spec, "0" * 64, {})
    reader = cache.snapshot()
    results = []
    for key in reader.keys:
        if key[len("talk/")] not in seen:
            results.append(ClipResult(reader.entry(key), key, ABSENT, "no face found"))
            continue
        rows = reader.rows(key)
        values = np.zeros((rows, 30, *spec.shape), np.float32)
        values[..., :4] = 0.25, 0.2, 0.4, 0.6
        valid = np.ones((rows, 30), bool)
        results.append(ClipResult(reader.entry(key), key, DONE, "", values, valid))
    cache.write({"face_track": results})
    return home


def drawn() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("kind", STILL)
def test_outside_its_segment_a_fake_is_its_clip(kind: str) -> None:
    own, donor = material(1), material(2)
    made = manipulations.faked(kind, own, donor, AT, "griffin-lim", drawn())
    fade = round(manipulations.SOUND_FADE_SECONDS * SAMPLE_RATE_HZ)
    first, stop = (round(s * SAMPLE_RATE_HZ) for s in AT)
    np.testing.assert_array_equal(made.sound[: first - fade], own.sound[: first - fade])
    np.testing.assert_array_equal(made.sound[stop + fade :], own.sound[stop + fade :])
    frames = slice(0, round(AT[0] * FPS) - 2), slice(round(AT[1] * FPS) + 2, None)
    for part in frames:
        np.testing.assert_array_equal(made.pictures[part], own.pictures[part])


@pytest.mark.parametrize("kind", STILL)
def test_inside_its_segment_the_labelled_tracks_and_they_alone_change(kind: str) -> None:
    own, donor = material(1), material(2)
    made = manipulations.faked(kind, own, donor, AT, "griffin-lim", drawn())
    first, stop = (round(s * SAMPLE_RATE_HZ) for s in AT)
    heard = np.abs(made.sound - own.sound)[first:stop].mean() > 1e-3
    frame = round(sum(AT) / 2 * FPS)
    seen = bool((made.pictures[frame] != own.pictures[frame]).any())
    assert heard == (kind in plans.FAKE_SOUND)
    assert seen == (kind in plans.FAKE_PICTURE)


def test_a_swap_puts_the_donor_there_as_loud_as_the_clip() -> None:
    own, donor = material(1), material(2)
    made = manipulations.faked(plans.BOTH_SWAP, own, donor, AT, "griffin-lim", drawn())
    frame = round(1.5 * FPS)
    np.testing.assert_array_equal(made.pictures[frame], donor.pictures[frame])
    part = slice(round(1.1 * SAMPLE_RATE_HZ), round(1.9 * SAMPLE_RATE_HZ))
    scale = np.sqrt(np.mean(own.sound**2) / np.mean(donor.sound**2))
    np.testing.assert_allclose(made.sound[part], scale * donor.sound[part], rtol=1e-5, atol=1e-7)


def test_the_twin_of_a_swap_is_spliced_with_another_moment_of_itself_in_step() -> None:
    own = material(1)
    made = manipulations.twin(plans.AUDIO_SWAP, own, AT, drawn())
    middle = round(1.5 * FPS)
    (source,) = [
        i for i in range(len(own.pictures)) if (own.pictures[i] == made.pictures[middle]).all()
    ][:1]
    assert source != middle
    size = SAMPLE_RATE_HZ // FPS
    np.testing.assert_allclose(
        made.sound[middle * size : (middle + 1) * size],
        own.sound[source * size : (source + 1) * size],
        atol=1e-6,
    )


@pytest.mark.parametrize("at", [(0.5, 1.4), (1.2, 2.75), (0.25, 0.6)])
def test_the_splice_of_a_twin_is_one_moment_without_the_ends_of_the_clip(at) -> None:
    own = material(1)
    frames = np.arange(len(own.pictures), dtype=np.uint8)
    own = replace(own, pictures=np.tile(frames[:, None, None, None], (1, FRAME_PX, FRAME_PX, 3)))
    inside = slice(round(at[0] * FPS) + 1, round(at[1] * FPS) - 1)
    for seed in range(20):
        made = manipulations.twin(plans.VIDEO_SWAP, own, at, np.random.default_rng(seed))
        shown = made.pictures[inside, 0, 0, 0].astype(int)
        assert (np.diff(shown) == 1).all()
        assert abs(shown[0] - inside.start) >= FPS // 2


def test_the_twin_of_a_swap_of_the_whole_clip_has_no_join() -> None:
    own = material(1)
    made = manipulations.twin(plans.AUDIO_SWAP, own, (0.0, SECONDS), drawn())
    np.testing.assert_array_equal(made.sound, own.sound)
    np.testing.assert_array_equal(made.pictures, own.pictures)


@pytest.mark.parametrize("at", [(0.0, SECONDS - 0.6), (0.8, 1.6)])
def test_an_offset_has_the_sound_of_its_twin_and_other_pictures_with_the_same_joins(at) -> None:
    own = material(1)
    size = SAMPLE_RATE_HZ // FPS
    numbers = np.arange(len(own.pictures), dtype=np.uint8)
    own = replace(
        own,
        pictures=np.tile(numbers[:, None, None, None], (1, FRAME_PX, FRAME_PX, 3)),
        sound=np.repeat(numbers, size).astype(np.float32),
    )
    for seed in range(20):
        fake, twin = (
            make(seed)
            for make in (
                lambda s: manipulations.faked(
                    plans.OFFSET, own, None, at, "griffin-lim", np.random.default_rng(s)
                ),
                lambda s: manipulations.twin(plans.OFFSET, own, at, np.random.default_rng(s)),
            )
        )
        np.testing.assert_array_equal(fake.sound, twin.sound)
        assert len(fake.pictures) == len(twin.pictures) == round((SECONDS - 0.6) * FPS)
        middle = round(sum(at) / 2 * FPS)
        heard = fake.sound[middle * size + size // 2]
        assert twin.pictures[middle, 0, 0, 0] == heard
        assert 7 <= abs(int(fake.pictures[middle, 0, 0, 0]) - heard) <= 15
        if at[0] > 0:
            for made in (fake, twin):  # before and after the segment all is in step
                assert made.pictures[0, 0, 0, 0] == made.sound[size // 2]
                assert made.pictures[-1, 0, 0, 0] == made.sound[-size // 2]
                assert made.pictures[0, 0, 0, 0] != made.pictures[middle, 0, 0, 0] - middle


def test_the_twin_of_a_blend_wears_its_own_face_through_the_same_sizes() -> None:
    own = material(1)
    made = manipulations.twin(plans.FACE_BLEND, own, (0.0, SECONDS), drawn())
    assert (made.pictures != own.pictures).any()
    assert np.abs(made.pictures.astype(int) - own.pictures).mean() < 4


@pytest.mark.parametrize("name", ["griffin-lim", "griffin-lim-blurred"])
def test_a_vocoder_keeps_length_loudness_and_pitch(name: str) -> None:
    sound = voice(5)
    made = vocoders.resynthesise(name, sound, SAMPLE_RATE_HZ, drawn())
    assert made.shape == sound.shape
    assert np.sqrt(np.mean(made**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=1e-4)
    assert np.abs(np.corrcoef(made, sound)[0, 1]) < 0.9
    peaks = [np.abs(np.fft.rfft(s)).argmax() for s in (sound, made)]
    assert abs(peaks[0] - peaks[1]) < 40


def test_world_resynthesises_a_voice() -> None:
    pytest.importorskip("pyworld", reason="pyworld is built from source, an extra")
    sound = voice(5)
    made = vocoders.resynthesise("world", sound, SAMPLE_RATE_HZ, drawn())
    assert made.shape == sound.shape


def test_an_unknown_vocoder_lists_the_known() -> None:
    with pytest.raises(InputError, match="griffin-lim"):
        vocoders.vocoder("wavenet")


def clips(count: int = 6) -> list[Clip]:
    return [
        Clip(
            key=f"d/{i}.mp4",
            video_path=f"{i}.mp4",
            audio_path=f"{i}.mp4",
            label="real",
            subject=f"p{i // 2}",
            group=f"p{i // 2}",
            seconds=4.0 + i,
            has_audio=True,
            has_video=True,
        )
        for i in range(count)
    ]


def planned(*args, **options) -> list[plans.Forgery]:
    return plans.plan(*args, **options).forgeries


def test_a_plan_takes_donors_from_other_groups_and_repeats_itself() -> None:
    made = planned(clips(), tuple(plans.KINDS), "both", 10.0, 7)
    assert len(made) == 6 * len(plans.KINDS)
    assert made == planned(clips(), tuple(plans.KINDS), "both", 10.0, 7)
    assert all(f.donor is None or f.donor.group != f.clip.group for f in made)
    assert {f.kind for f in made if f.donor} == set(plans.NEED_DONOR)
    for f in made:
        length = f.segment[1] - f.segment[0]
        assert 0 <= f.segment[0] < f.segment[1] <= f.seconds <= f.read_seconds <= f.clip.seconds
        assert length == pytest.approx(f.seconds, abs=1e-3) or 0.29 < length / f.seconds < 0.61
    assert all(f.segment[0] > 0 for f in made if f.kind == plans.BOTH_SWAP)


def test_donors_come_from_small_pools_so_that_groups_stay_apart() -> None:
    people = [replace(c, subject=c.key, group=c.key) for c in clips(30)]
    made = planned(people, plans.NEED_DONOR, "both", 10.0, 0)
    joined = {c.key: {c.key} for c in people}
    for f in made:
        both = joined[f.clip.key] | joined[f.donor.key]
        for key in both:
            joined[key] = both
    sizes = [len(group) for group in {id(g): g for g in joined.values()}.values()]
    assert len(sizes) >= 10
    assert max(sizes) <= 4


def test_variants_add_to_the_first_and_keep_its_pools() -> None:
    first = planned(clips(), tuple(plans.KINDS), "both", 10.0, 7)
    made = planned(clips(), tuple(plans.KINDS), "both", 10.0, 7, variants=3)
    assert [f for f in made if f.variant == 0] == first
    assert len({f.stem for f in made}) == len(made) == 3 * len(first)
    assert [f.clip.key for f in made] == sorted(f.clip.key for f in made)
    of_one = [f for f in made if (f.clip.key, f.kind) == ("d/0.mp4", plans.VIDEO_SWAP)]
    assert len({f.segment for f in of_one}) > 1
    assert len({f.seed for f in made}) == len(made)
    with pytest.raises(InputError, match="no variant"):
        planned(clips(), (plans.VOCODER,), "whole", 10.0, 0, variants=0)


def test_a_forgery_is_the_same_whatever_else_is_forged() -> None:
    every = planned(clips(), tuple(plans.KINDS), "both", 10.0, 7, variants=2)
    few = planned(clips(), (plans.OFFSET, plans.VIDEO_SWAP), "both", 10.0, 7, limit=3)
    assert few
    assert all(one in every for one in few)
    elsewhere = [replace(c, key=c.key.replace("d/", "other/")) for c in clips()]
    again = planned(elsewhere, tuple(plans.KINDS), "both", 10.0, 7, variants=2)
    assert [f.seed for f in again] == [f.seed for f in every]
    assert not {f.seed for f in every} & {
        f.seed for f in planned(clips(), tuple(plans.KINDS), "both", 10.0, 8)
    }


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("longest_seconds", 0.4, "--longest: .*found: 0.4; accepted: 2 s or more"),
        ("longest_seconds", float("nan"), "--longest: .*found: nan; accepted: 2 s or more"),
        ("limit", 0, "--limit: .*found: 0; accepted: 1 or more"),
        ("limit", -3, "--limit: .*found: -3; accepted: 1 or more"),
        ("seed", -1, "--seed: .*found: -1; accepted: 0 or more"),
    ],
)
def test_what_leaves_nothing_to_forge_is_refused(option, value, said) -> None:
    asked = {"kinds": tuple(plans.KINDS), "extent": "local", "longest_seconds": 10.0, "seed": 0}
    with pytest.raises(InputError, match=said):
        planned(clips(), **{**asked, option: value})


def test_the_shortest_length_holds_every_kind() -> None:
    for seed in range(20):
        made = planned(clips(), tuple(plans.KINDS), "local", plans.MIN_SECONDS, seed)
        assert len(made) == 6 * len(plans.KINDS)
        assert all(0 < f.segment[0] < f.segment[1] < f.seconds for f in made)


def test_fakes_and_the_silent_are_never_forged_from() -> None:
    usable = clips(4)
    others = [replace(usable[0], label="fake"), replace(usable[1], has_audio=False)]
    made = planned([*others, *usable[2:]], (plans.VOCODER,), "whole", 10.0, 0)
    assert [f.clip.key for f in made] == ["d/2.mp4", "d/3.mp4"]
    assert planned(others, (plans.VOCODER,), "whole", 10.0, 0) == []


def features(path) -> list[float]:
    """Level, constant offset, bandwidth, duration and size: what must tell nothing."""
    with av.open(str(path)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    power = np.abs(np.fft.rfft(sound)) ** 2
    total = np.cumsum(power) / power.sum()
    rolloff = [np.searchsorted(total, share) / len(total) for share in (0.5, 0.95, 0.99)]
    level = 20 * np.log10(np.sqrt(np.mean(sound**2)))
    return [level, sound.mean(), *rolloff, len(sound), path.stat().st_size]


def test_level_bandwidth_offset_duration_and_size_do_not_tell_fakes_from_twins(tmp_path) -> None:
    kinds = (plans.AUDIO_SWAP, plans.VOCODER, plans.OFFSET)
    x, y, people = [], [], []
    for person in range(10):
        own = material(person, 2.0)
        donor = material(100 + person, 2.0)
        for number, kind in enumerate(kinds):
            at = (0.5, 1.5)
            twin = manipulations.twin(kind, own, at, drawn())
            base = twin if kind in plans.SPLICED else own
            fake = manipulations.faked(kind, base, donor, at, "griffin-lim", drawn())
            pair = (twin, fake)
            for label, made in enumerate(pair):
                path = tmp_path / f"{person}-{number}-{label}.mp4"
                writing.write(path, made, drawn())
                x.append(features(path))
                y.append(label)
                people.append(person)
    probe = make_pipeline(StandardScaler(), LogisticRegression())
    said = cross_val_predict(
        probe, np.array(x), y, groups=people, cv=GroupKFold(5), method="predict_proba"
    )
    assert roc_auc_score(y, said[:, 1]) < 0.6


def sha256s(folder) -> dict[str, str]:
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*.mp4"))
    }


def test_the_road_from_the_command(tmp_path, talking_home) -> None:
    home, root = talking_home
    before = sha256s(root)
    report = forge(home, "talk", tmp_path / "made", told(), workers=1)
    assert (report.fakes, report.reals, report.skipped) == (4, 4, {})
    assert sha256s(root) == before
    with report.table.open() as stream:
        rows = list(csv.DictReader(stream))
    fakes = [row for row in rows if row["label"] == "fake"]
    assert {row["audio_label"] for row in fakes} == {"fake"}
    assert report.kinds == {"audio-swap": 2, "vocoder": 2}
    assert {(row["kind"], row["method"]) for row in rows} == {
        ("vocoder", "griffin-lim"),
        ("audio-swap", "audio-swap"),
    }
    for row in fakes:
        ((start, end),) = json.loads(row["fake_segments"])
        assert 0 < start < end < 2.5
        assert row["original"] in {r["path"] for r in rows}
    again = forge(home, "talk", tmp_path / "again", told(), workers=1)
    assert sha256s(again.table.parent) == sha256s(report.table.parent)
    with pytest.raises(InputError, match="among the data set's own"):
        forge(home, "talk", root / "made", told())


def test_without_a_face_track_the_command_to_run_is_named(tmp_path, silent_home) -> None:
    with pytest.raises(MissingError, match="--backbone face_track"):
        forge(silent_home[0], "talk", tmp_path / "made")


VOICES = ("vocoder", "audio-swap")


def told(**options) -> ForgeOptions:
    return ForgeOptions(**{"kinds": VOICES, "extent": "local", "longest_seconds": 2.5, **options})


def table_of(folder) -> list[dict[str, str]]:
    with (folder / "clips.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_lengths_are_whole_pictures_and_no_segment_ends_behind_the_last() -> None:
    odd = [replace(c, seconds=c.seconds + 1.016) for c in clips()]
    whole = planned(odd, tuple(set(plans.KINDS) - {plans.BOTH_SWAP}), "whole", 10.0, 3)
    for f in whole:
        assert f.segment == (0.0, f.seconds)
        assert f.seconds == whole_frames(f.seconds) / FPS
        assert 0 <= min(f.clip.seconds, 10.0) - f.read_seconds < 6  # the donor's may be shorter
    of_one = {f.kind: f for f in whole if f.clip.key == "d/0.mp4"}
    assert of_one[plans.VOCODER].segment == (0.0, 5.0)
    assert of_one[plans.OFFSET].seconds == 4.4
    assert of_one[plans.OFFSET].read_seconds == 5.0


def test_whole_frames_lose_none_to_rounding() -> None:
    assert [n for n in range(20_000) if whole_frames(n / FPS) != n] == []
    assert whole_frames(5.016) == 125


def test_a_local_segment_is_drawn_from_the_clips_own_length() -> None:
    (odd,) = planned([replace(clips()[0], seconds=5.016)], (plans.VOCODER,), "local", 10.0, 3)
    drawn = np.random.default_rng([*odd.seed, plans.PLAN])
    length = drawn.uniform(0.3, 0.6) * 5.016
    assert odd.segment[1] - odd.segment[0] == pytest.approx(length, abs=2e-3)


def test_what_is_left_out_of_a_plan_is_listed_with_its_reason() -> None:
    first, second, third, fourth, fifth, sixth = clips()
    made = plans.plan(
        [
            first,
            replace(second, has_audio=False),
            replace(third, has_video=False),
            replace(fourth, seconds=1.9),
            replace(fifth, problem="no media"),
            replace(sixth, label="fake", seconds=1.0),
        ],
        (plans.VOCODER, plans.AUDIO_SWAP, plans.FACE_BLEND),
        "both",
        10.0,
        0,
        variants=2,
    )
    assert [(f.kind, f.variant) for f in made.forgeries] == [("vocoder", 0), ("vocoder", 1)]
    assert made.skipped == {
        "d/1.mp4": "without sound",
        "d/2.mp4": "without picture",
        "d/3.mp4": "shorter than 2 s",
        "d/4.mp4": "cannot be read: no media",
        "d/0.mp4 [audio-swap]": "nobody else to lend a voice",
        "d/0.mp4 [face-blend]": "nobody else to lend a face",
    }


def test_the_table_says_what_a_pair_was_made_from_and_the_index_keeps_it(
    tmp_path, talking_home
) -> None:
    from extract.index import index_dataset

    report = forge(talking_home[0], "talk", tmp_path / "made", told(), workers=1)
    home = Home(tmp_path / "home")
    index_dataset(home, "forged", tmp_path / "made", table=report.table, workers=1)
    made = {clip.key: clip for clip in read_table(home.clip_table("forged"))}
    swap = "talk/b.mp4"
    assert made["forged/fake/a.mp4-audio-swap.mp4"].extra == {
        "kind": "audio-swap",
        "made_from": "talk/a.mp4",
        "lent_by": swap,
        "official_split": "train",
        "part": "1",
    }
    twin = made["forged/real/a.mp4-audio-swap.mp4"].extra
    assert (twin["made_from"], twin["official_split"]) == ("talk/a.mp4", "train")
    assert "lent_by" not in twin
    assert "lent_by" not in made["forged/fake/b.mp4-vocoder.mp4"].extra
    assert "part" not in made["forged/fake/b.mp4-vocoder.mp4"].extra


def test_extra_entries_become_sorted_columns_unless_their_name_is_taken() -> None:
    one, other = clips()[0], clips()[2]
    made = planned(
        [
            replace(one, extra={"part": "7", "label": "x", "start": "9", "made_from": "y"}),
            replace(other, extra={"official_split": "test", "split": "z"}),
        ],
        (plans.VOCODER,),
        "whole",
        10.0,
        0,
    )
    assert forging._told_besides(made) == ["official_split", "part"]
    rows = forging._all_rows(made, "griffin-lim")["0.mp4-vocoder"]
    assert [(r["official_split"], r["part"], r["made_from"]) for r in rows] == [
        ("", "7", "d/0.mp4")
    ] * 2
    assert rows[0]["label"] == "fake"


def test_two_clips_never_share_a_file() -> None:
    one = clips()[0]
    same = [replace(one, key="d/a/b.mp4"), replace(one, key="d/a__b.mp4")]
    with pytest.raises(InputError, match="files of one name"):
        forging._all_rows(planned(same, (plans.VOCODER,), "whole", 10.0, 0), "griffin-lim")


class Ending(BaseException):
    """Like KeyboardInterrupt and SystemExit, but pytest does not stop for it."""


def ends(after: int, how):
    """A progress that ends the command after so many pairs."""

    def update(done: int, total: int, note: str) -> None:
        if done == after:
            how()

    return update


def raise_ending() -> None:
    raise Ending


@pytest.mark.parametrize(
    ("how", "seen"),
    [(raise_ending, Ending), (lambda: os.kill(os.getpid(), signal.SIGTERM), Stopped)],
)
def test_stopped_it_keeps_the_table_and_goes_on_with_the_same_command(
    tmp_path, talking_home, how, seen
) -> None:
    home, into = talking_home[0], tmp_path / "made"
    with pytest.raises(seen):
        forge(home, "talk", into, told(kinds=("vocoder",)), ends(1, how), workers=1)
    rows = table_of(into)
    assert len(rows) in (2, 4)  # the second pair may have come with the first
    assert all((into / row["path"]).is_file() for row in rows)
    assert list(into.rglob("*.partial")) == []
    before = {row["path"]: (into / row["path"]).stat().st_mtime_ns for row in rows}
    report = forge(home, "talk", into, told(kinds=("vocoder",)), workers=1)
    assert (report.fakes, report.reals, report.skipped) == (2, 2, {})
    assert len(table_of(into)) == 4
    assert before == {path: (into / path).stat().st_mtime_ns for path in before}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory, talking_home):
    """A finished folder; tests copy it."""
    into = tmp_path_factory.mktemp("once") / "made"
    forge(talking_home[0], "talk", into, told(kinds=("vocoder",)), workers=1)
    return into


@pytest.fixture
def made(tmp_path, made_once):
    return shutil.copytree(made_once, tmp_path / "made")


def test_a_pair_of_which_a_file_is_gone_is_made_again_and_no_other(made, talking_home) -> None:
    before = sha256s(made)
    gone, kept = made / "real/a.mp4-vocoder.mp4", made / "real/b.mp4-vocoder.mp4"
    gone.unlink()
    age = kept.stat().st_mtime_ns
    (made / "real/.a.mp4-vocoder.mp4.partial").write_bytes(b"half")
    forge(talking_home[0], "talk", made, told(kinds=("vocoder",)), workers=1)
    assert sha256s(made) == before
    assert kept.stat().st_mtime_ns == age
    assert list(made.rglob("*.partial")) == []


def test_a_finished_folder_is_reported_again_without_work(made, talking_home, monkeypatch) -> None:
    monkeypatch.setattr(forging, "build_forging", str.upper)
    report = forge(talking_home[0], "talk", made, told(kinds=("vocoder",)), workers=1)
    assert (report.fakes, report.reals) == (2, 2)


def test_other_options_are_refused_and_what_differs_is_named(made, talking_home) -> None:
    before = sha256s(made)
    with pytest.raises(InputError, match=r"other options; found: seed 1; accepted: seed 0;"):
        forge(talking_home[0], "talk", made, told(kinds=("vocoder",), seed=1))
    with pytest.raises(InputError, match=r'found: extent "whole", limit 1; accepted: extent "loc'):
        forge(talking_home[0], "talk", made, told(kinds=("vocoder",), extent="whole", limit=1))
    assert sha256s(made) == before


def test_other_clips_of_the_data_set_are_refused(made, talking_home) -> None:
    record = made / "forge.json"
    noted = json.loads(record.read_text())
    record.write_text(json.dumps({**noted, folder.PLANNED: "another"}))
    with pytest.raises(InputError, match="found: other clips, faces and people of the data set"):
        forge(talking_home[0], "talk", made, told(kinds=("vocoder",)))


@pytest.mark.parametrize("text", ["path,label\nmine.mp4,real\n", ""])
def test_a_table_that_was_changed_is_not_written_over(made, talking_home, text) -> None:
    table = made / "clips.csv"
    table.write_text(text or table.read_text().replace("griffin-lim", "mine"))
    before = table.read_bytes()
    with pytest.raises(InputError, match="not as it was written here"):
        forge(talking_home[0], "talk", made, told(kinds=("vocoder",)))
    assert table.read_bytes() == before


@pytest.mark.parametrize("record", [None, "[]", "{}", "no JSON"])
def test_a_folder_without_its_own_record_is_refused_unless_empty(
    tmp_path, talking_home, record
) -> None:
    name = "forge.json" if record is not None else "mine.txt"
    (tmp_path / name).write_text(record or "mine")
    with pytest.raises(InputError, match="not empty"):
        forge(talking_home[0], "talk", tmp_path, told())
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("options", "workers", "said"),
    [
        ({}, 0, "--workers: .*found: 0; accepted: 1 or more"),
        ({"kinds": ("audio-swap",), "vocoder": "griffin-lim-blurred"}, 1, "--vocoder: no voice"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    tmp_path, talking_home, options, workers, said
) -> None:
    into = tmp_path / "made"
    with pytest.raises(InputError, match=said):
        forge(talking_home[0], "talk", into, told(**options), workers=workers)
    assert not into.exists()


def test_clips_without_a_followed_face_are_listed_with_the_status(
    tmp_path, half_seen_home, capsys
) -> None:
    report = forge(half_seen_home, "talk", tmp_path / "made", told(), workers=1)
    assert report.skipped == {
        "talk/a.mp4 [audio-swap]": "nobody else to lend a voice",
        "talk/b.mp4": "no followed face: face_track is absent (no face found)",
    }
    assert (report.fakes, report.kinds) == (1, {"vocoder": 1})


def test_where_no_pair_can_be_made_the_command_says_why(
    tmp_path, half_seen_home, monkeypatch, capsys
) -> None:
    into = tmp_path / "made"
    call = ["avfd", "forge", "--home", str(half_seen_home.path), "--into", str(into)]
    monkeypatch.setattr(sys, "argv", [*call, "--kind", "audio-swap"])
    assert run() == 2
    said = capsys.readouterr().err
    assert "1 times no followed face: face_track is absent (no face found)" in said
    assert "1 times nobody else to lend a voice" in said
    assert "avfd index" not in said
    assert not into.exists()


def test_where_every_pair_fails_the_reasons_are_the_error(tmp_path, talking_home) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(talking_home[0].path, home.path)
    home.write_facts(replace(home.read_facts("talk"), root=str(tmp_path / "moved")))
    with pytest.raises(InputError, match=r"1 times .*a\.mp4"):
        forge(home, "talk", tmp_path / "made", told(kinds=("vocoder",)), workers=1)
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["forge.json"]


def test_the_table_is_saved_while_work_goes_on(tmp_path, monkeypatch) -> None:
    row = {"path": "fake/a.mp4"}
    begun = folder.Folder(tmp_path, {}, ["path"], {"a": [row]})
    begun.save_if_due()
    monkeypatch.setattr(folder, "SAVE_SECONDS", -1.0)
    begun.save_if_due()
    assert not (tmp_path / "clips.csv").exists()
    begun.add("a")
    begun.save_if_due()
    assert table_of(tmp_path) == [row]
