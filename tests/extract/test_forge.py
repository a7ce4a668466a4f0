"""`avfd forge`: truth to the sample, twins of one chain, nothing of the user's touched."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
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
from avfd.clips import Clip
from avfd.errors import InputError, MissingError
from avfd.home import Home
from avfd.specs import DONE
from extract.backbones import build, load_all
from extract.forge import manipulations, plans, vocoders, writing
from extract.forge.material import FPS, FRAME_PX, SAMPLE_RATE_HZ, Material

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
    table.write_text("path,label,subject\na.mp4,real,a\nb.mp4,real,b\n")
    home = Home(tmp_path_factory.mktemp("home"))
    index_dataset(
        home, "talk", root, table=table, label_column="label", subject_column="subject", workers=1
    )
    return home, root


@pytest.fixture(scope="module")
def talking_home(silent_home, tmp_path_factory):
    """The same with a face in the middle of every picture, as a face pass would leave it."""
    home = Home(tmp_path_factory.mktemp("talking") / "home")
    shutil.copytree(silent_home[0].path, home.path)
    load_all()
    spec = build("face_track").spec
    cache = Cache.open(home.cache_url("talk"), dataset="talk", lock_path=home.lock_path("talk"))
    cache.ensure_column("face_track", spec, "0" * 64, {})
    reader = cache.snapshot()
    results = []
    for key in reader.keys:
        rows = reader.rows(key)
        values = np.zeros((rows, 30, *spec.shape), np.float32)
        values[..., :4] = 0.25, 0.2, 0.4, 0.6
        valid = np.ones((rows, 30), bool)
        results.append(ClipResult(reader.entry(key), key, DONE, "", values, valid))
    cache.write({"face_track": results})
    return home, silent_home[1]


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


def test_a_plan_takes_donors_from_other_groups_and_repeats_itself() -> None:
    made = plans.plan(clips(), tuple(plans.KINDS), "both", 10.0, 7)
    assert len(made) == 6 * len(plans.KINDS)
    assert made == plans.plan(clips(), tuple(plans.KINDS), "both", 10.0, 7)
    assert all(f.donor is None or f.donor.group != f.clip.group for f in made)
    assert {f.kind for f in made if f.donor} == set(plans.NEED_DONOR)
    for f in made:
        length = f.segment[1] - f.segment[0]
        assert 0 <= f.segment[0] < f.segment[1] <= f.seconds <= f.read_seconds <= f.clip.seconds
        assert length == pytest.approx(f.seconds, abs=1e-3) or 0.29 < length / f.seconds < 0.61
    assert all(f.segment[0] > 0 for f in made if f.kind == plans.BOTH_SWAP)


def test_donors_come_from_small_pools_so_that_groups_stay_apart() -> None:
    people = [replace(c, subject=c.key, group=c.key) for c in clips(30)]
    made = plans.plan(people, plans.NEED_DONOR, "both", 10.0, 0)
    joined = {c.key: {c.key} for c in people}
    for f in made:
        both = joined[f.clip.key] | joined[f.donor.key]
        for key in both:
            joined[key] = both
    sizes = [len(group) for group in {id(g): g for g in joined.values()}.values()]
    assert len(sizes) >= 10
    assert max(sizes) <= 4


def test_variants_add_to_the_first_and_keep_its_pools() -> None:
    first = plans.plan(clips(), tuple(plans.KINDS), "both", 10.0, 7)
    made = plans.plan(clips(), tuple(plans.KINDS), "both", 10.0, 7, variants=3)
    assert [f for f in made if f.variant == 0] == first
    assert len({f.stem for f in made}) == len(made) == 3 * len(first)
    assert [f.clip.key for f in made] == sorted(f.clip.key for f in made)
    of_one = [f for f in made if (f.clip.key, f.kind) == ("d/0.mp4", plans.VIDEO_SWAP)]
    assert len({f.segment for f in of_one}) > 1
    assert len({f.seed for f in made}) == len(made)
    with pytest.raises(InputError, match="no variant"):
        plans.plan(clips(), (plans.VOCODER,), "whole", 10.0, 0, variants=0)


def test_a_forgery_is_the_same_whatever_else_is_forged() -> None:
    every = plans.plan(clips(), tuple(plans.KINDS), "both", 10.0, 7, variants=2)
    few = plans.plan(clips(), (plans.OFFSET, plans.VIDEO_SWAP), "both", 10.0, 7, limit=3)
    assert few
    assert all(one in every for one in few)
    elsewhere = [replace(c, key=c.key.replace("d/", "other/")) for c in clips()]
    again = plans.plan(elsewhere, tuple(plans.KINDS), "both", 10.0, 7, variants=2)
    assert [f.seed for f in again] == [f.seed for f in every]
    assert not {f.seed for f in every} & {
        f.seed for f in plans.plan(clips(), tuple(plans.KINDS), "both", 10.0, 8)
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
        plans.plan(clips(), **{**asked, option: value})


def test_the_shortest_length_holds_every_kind() -> None:
    for seed in range(20):
        made = plans.plan(clips(), tuple(plans.KINDS), "local", plans.MIN_SECONDS, seed)
        assert len(made) == 6 * len(plans.KINDS)
        assert all(0 < f.segment[0] < f.segment[1] < f.seconds for f in made)


def test_fakes_and_the_silent_are_never_forged_from() -> None:
    usable = clips(4)
    others = [replace(usable[0], label="fake"), replace(usable[1], has_audio=False)]
    made = plans.plan([*others, *usable[2:]], (plans.VOCODER,), "whole", 10.0, 0)
    assert [f.clip.key for f in made] == ["d/2.mp4", "d/3.mp4"]
    with pytest.raises(InputError, match="no real clip"):
        plans.plan(others, (plans.VOCODER,), "whole", 10.0, 0)


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
    from extract.forge import ForgeOptions, forge

    before = sha256s(root)
    told = ForgeOptions(kinds=("vocoder", "audio-swap"), extent="local", longest_seconds=2.5)
    report = forge(home, "talk", tmp_path / "made", told, workers=1)
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
    again = forge(home, "talk", tmp_path / "again", told, workers=1)
    assert sha256s(again.table.parent) == sha256s(report.table.parent)
    with pytest.raises(InputError, match="not empty"):
        forge(home, "talk", tmp_path / "made", told)
    with pytest.raises(InputError, match="among the data set's own"):
        forge(home, "talk", root / "made", told)


def test_without_a_face_track_the_command_to_run_is_named(tmp_path, silent_home) -> None:
    from extract.forge import forge

    with pytest.raises(MissingError, match="--backbone face_track"):
        forge(silent_home[0], "talk", tmp_path / "made")
