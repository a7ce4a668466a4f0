"""Protocols with a one-face filter count faces in the cached face track."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import classify
from avfd import manifest
from avfd.cache import Cache, Entry
from avfd.clips import grouped, read_table, write_table
from avfd.errors import InputError
from classify import FitOptions
from classify.crowds import several_faces

OPTIONS = FitOptions(audio="mel", protocol="one", model="logreg", replicates=0)
CROWDED = {"d/s00_0.mp4", "d/s07_3.mp4"}


def counted(clip, rows, kit):
    """One face, but for the two clips; what stands in invalid slots counts for nothing."""
    values = np.zeros((rows, 10, 18))
    values[..., -1] = 1
    if clip.key in CROWDED:
        values[-1, 3, -1] = 2
    valid = np.ones((rows, 10), dtype=bool)
    valid[0, 0], values[0, 0, -1] = False, 9
    return kit.Content(values, valid)


@pytest.fixture
def home(kit, tmp_path, monkeypatch):
    """A maker of homes whose manifest has a protocol "one" that takes one face only."""
    loaded = manifest.load("folder")
    one = manifest.Protocol(
        name="one",
        rule="group-hash",
        text="",
        fractions={"train": 0.5, "test": 0.5},
        filters=manifest.Filters(one_face=True),
    )
    known = replace(loaded, protocols={**loaded.protocols, "one": one})
    monkeypatch.setattr(manifest, "load", lambda name: known)

    def make(*, shape=(18,), absent=(), name="face_track"):
        def track(clip, rows, rng):
            return None if clip.key in absent else counted(clip, rows, kit)

        def old(clip, rows, rng):
            return kit.Content(np.full((rows, 10, *shape), 7.0))

        spec = replace(kit.spec(name, "video"), name="face_track", shape=shape)
        columns = [kit.Column(kit.spec("mel"), kit.mean_signal)]
        columns += [kit.Column(spec, track if shape == (18,) else old)] if name else []
        return kit.make_home(tmp_path, "d", kit.make_clips("d"), columns)

    return make


def test_clips_with_several_faces_stand_on_no_side(home):
    report = classify.fit(home(absent={"d/s03_1.mp4"}), OPTIONS)
    assert "2 clips stand on no side: more than one face." in report.notes
    assert sum(report.clips.values()) == 48 - len(CROWDED)


def test_only_the_clips_asked_for_are_looked_at(home):
    made = home()
    cache = Cache.open(made.cache_url("d"), dataset="d", lock_path=made.lock_path("d"))
    readers = {"d": cache.snapshot()}
    assert several_faces(readers, ["d/s00_0.mp4", "d/s00_1.mp4"]) == {"d/s00_0.mp4"}
    assert several_faces(readers, []) == set()


@pytest.mark.parametrize(
    ("made", "command"),
    [
        ({"name": ""}, "avfd extract --dataset d --backbone face_track`"),
        ({"shape": (17,)}, "avfd extract --dataset d --backbone face_track --as face_track-2`"),
    ],
)
def test_where_no_face_was_counted_the_command_is_said(home, made, command):
    with pytest.raises(InputError, match="one face") as caught:
        classify.fit(home(**made), OPTIONS)
    assert command in str(caught.value)


def test_clips_not_looked_at_yet_are_refused(home, kit):
    made = home()
    clips = [*read_table(made.clip_table("d")), *kit.make_clips("d", 13)[-4:]]
    write_table(grouped(clips), made.clip_table("d"))
    cache = Cache.open(made.cache_url("d"), dataset="d", lock_path=made.lock_path("d"))
    cache.update_clips([Entry(clip.key, clip.seconds, clip.bytes, clip.mtime_ns) for clip in clips])
    with pytest.raises(InputError, match="4 of 52 clips not looked at yet"):
        classify.fit(made, OPTIONS)
