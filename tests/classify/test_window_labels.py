"""Windows that train with the exact truth of what is fake in their clips."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.errors import InputError
from classify.features import MemorySource, Samples, Sequences, Slots
from classify.windows import Windows, training_windows

SECONDS = 6


def samples(labels, segments, parts=None) -> Samples:
    slots = [
        Slots(np.zeros((SECONDS, 1, 2), np.float32), np.ones((SECONDS, 1), bool)) for _ in labels
    ]
    names = tuple(f"d/{i}" for i in range(len(labels)))
    return Samples(
        keys=names,
        datasets=("d",) * len(labels),
        groups=names,
        y=np.array(labels, dtype=np.intp),
        features={"audio": Sequences.of(MemorySource("numbers", slots, 1, 2))},
        part_labels=parts or {},
        segments=segments,
    )


def test_a_window_is_fake_where_half_of_it_is_and_left_out_where_less_is() -> None:
    # Seconds 0 to 5: 0 and 1 real, 2 fake to 0.6, 3 fake, 4 fake to 0.2, 5 real.
    made = training_windows(samples([1], (((2.4, 4.2),),)), Windows(1, 1, labels="segments"))
    starts = made.features["audio"].spans[:, 1].tolist()
    assert dict(zip(starts, made.y.tolist(), strict=True)) == {0: 0, 1: 0, 2: 1, 3: 1, 5: 0}


def test_a_window_that_holds_half_of_a_short_fake_is_fake() -> None:
    made = training_windows(samples([1], (((2.5, 3.5),),)), Windows(3, 3, labels="segments"))
    assert made.y.tolist() == [1, 1]


def test_clips_without_segments_and_reals_keep_their_label() -> None:
    told = samples([1, 0], (None, ()))
    made = training_windows(told, Windows(2, 2, labels="segments"))
    assert made.y.tolist() == [1, 1, 1, 0, 0, 0]
    assert training_windows(told, Windows(2, 2)).y.tolist() == [1, 1, 1, 0, 0, 0]


def test_tracks_of_a_window_without_fakes_are_real() -> None:
    parts = {"audio": np.array([1]), "video": np.array([0])}
    told = samples([1], (((3.0, 6.0),),), parts)
    made = training_windows(told, Windows(3, 3, labels="segments"))
    assert made.part_labels["audio"].tolist() == [0, 1]
    assert made.part_labels["video"].tolist() == [0, 0]


def test_whole_clips_have_no_such_labels() -> None:
    with pytest.raises(InputError, match="window-seconds"):
        Windows(labels="segments")
