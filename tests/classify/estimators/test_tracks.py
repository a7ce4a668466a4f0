"""How networks see samples: rows aligned, padding cut, nothing left in invalid places."""

from __future__ import annotations

import numpy as np

from classify.estimators.streams import Stream, columns_as_slots, tokens_as_slots
from classify.estimators.tracks import TrackReader
from classify.features import MemorySource, Samples, Sequences, Slots
from classify.held import held
from classify.windows import Windows, cut


def slots(rows, rate, dim=2, valid=None, value=1.0):
    there = [1] * (rows * rate) if valid is None else valid
    mask = np.array(there, dtype=bool).reshape(rows, rate)
    return Slots(np.full((rows, rate, dim), value), mask)


def features(audio, video, rates=(4, 2)):
    made = {}
    for name, part, rate in (("audio", audio, rates[0]), ("video", video, rates[1])):
        made[name] = Sequences.of(MemorySource(name, part, rate, 2))
    return made


def test_rows_in_which_nothing_is_valid_are_cut_for_all_modalities_alike():
    audio = slots(3, 4, valid=[1] * 5 + [0] * 7)
    video = slots(3, 2, valid=[1, 0, 0, 0, 0, 0])
    tracks = TrackReader(features([audio], [video]), {})[0]
    assert tracks["audio"].values.shape == (2, 4, 2)
    assert tracks["video"].values.shape == (2, 2, 2)


def test_invalid_values_become_zero_whatever_they_were():
    wild = slots(1, 4, valid=[1, 0, 1, 1], value=np.nan)
    wild.values[wild.valid] = 3
    tracks = TrackReader(features([wild], [slots(1, 2)]), {})[0]
    assert tracks["audio"].values[0, :, 0].tolist() == [3, 0, 3, 3]
    assert tracks["audio"].values.dtype == np.float32


def test_what_needs_no_change_is_not_copied():
    whole, gap = slots(2, 4), slots(2, 4, valid=[1] * 7 + [0])
    made = features([whole, gap], [slots(2, 2), slots(2, 2)])
    made["audio"].source.dtype = np.dtype(np.float32)  # as columns are
    reader, column = TrackReader(made, {}), held(made["audio"]).values
    for index, copied in ((0, False), (1, True)):
        values = reader[index]["audio"].values
        assert np.shares_memory(values, column) != copied
        assert values.flags.writeable == copied


def test_a_missing_modality_is_zeros_of_the_others_length():
    tracks = TrackReader(features([slots(3, 4)], [None]), {})[0]
    assert tracks["video"].values.shape == (3, 2, 2)
    assert not tracks["video"].valid.any()
    assert not tracks["video"].values.any()


def test_a_modality_with_fewer_rows_is_filled():
    tracks = TrackReader(features([slots(3, 4)], [slots(1, 2)]), {})[0]
    assert tracks["video"].valid.tolist() == [[True] * 2, [False] * 2, [False] * 2]


def test_samples_without_a_valid_slot_are_not_filled():
    empty = slots(2, 4, valid=[0] * 8)
    reader = TrackReader(features([slots(1, 4), empty, None], [None, None, slots(2, 2)]), {})
    assert reader.filled.tolist() == [0, 2]


def test_windows_read_their_own_rows():
    audio = slots(4, 4)
    audio.values[:] = np.arange(4).reshape(4, 1, 1)
    sequences = Sequences.of(MemorySource("audio", [audio], 4, 2))
    whole = Samples(("k",), ("d",), ("g",), np.zeros(1, np.intp), {"audio": sequences})
    reader = TrackReader(cut(whole, Windows(2, 1)).samples.features, {})
    firsts = [reader[i]["audio"].values[:, 0, 0].tolist() for i in range(3)]
    assert firsts == [[0, 1], [1, 2], [2, 3]]


def test_clip_level_vectors_stand_beside_seconds():
    vector = MemorySource("functionals", [Slots(np.ones((1, 1, 5)), np.ones((1, 1), bool))], 0, 5)
    both = {"audio": Sequences.of(vector), **features([None], [slots(3, 2)])}
    both["audio"] = Sequences.of(vector)
    tracks = TrackReader(both, {})[0]
    assert tracks["audio"].values.shape == (1, 1, 5)
    assert tracks["video"].values.shape == (3, 2, 2)


def stream(there):
    return Stream(np.arange(len(there), dtype=np.float32)[:, None] + 1, np.array(there, bool))


def test_streams_are_cut_gathered_and_filled():
    one = stream([1, 0, 1, 1])
    assert one.gathered().values.ravel().tolist() == [1, 3, 4]
    assert one.cut(2).there.tolist() == [True, False]
    filled = one.gathered().filled(5)
    assert filled.values.ravel().tolist() == [1, 3, 4, 0, 0]
    assert filled.there.all()
    assert not stream([0, 0]).gathered().filled(3).there.any()
    assert stream([1] * 7).middle(3).values.ravel().tolist() == [3, 4, 5]


def test_fifteen_of_108_frames_are_the_published_ones():
    wanted = [i * 108 // 15 + 108 // 30 for i in range(15)]
    found = stream([1] * 108).evenly(15).values.ravel() - 1
    assert found.tolist() == wanted
    assert stream([1] * 9).evenly(15).values.shape == (9, 1)


def test_tokens_and_map_columns_become_slots():
    values = np.arange(24.0).reshape(1, 2, 3, 4)
    track = Slots(values, np.array([[True, False]]))
    tokens = tokens_as_slots(track)
    assert tokens.values.shape == (1, 6, 4)
    assert tokens.valid.tolist() == [[True] * 3 + [False] * 3]
    columns = columns_as_slots(track)
    assert columns.values.shape == (1, 8, 3)
    np.testing.assert_array_equal(columns.values[0, 1], values[0, 0, :, 1])
