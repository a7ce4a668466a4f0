"""Values in shared memory: whole at the other end, read-only, gone when nobody has them."""

from __future__ import annotations

import os
import pickle
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from extract.boxes import Box, receive, send


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(100_003, dtype=np.uint8),
        np.zeros((0, 3), np.float32),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::3],
        np.array(5, np.int16),
    ],
    ids=["odd", "empty", "turned", "strided", "scalar"],
)
def test_arrays_come_out_as_they_went_in(array: np.ndarray) -> None:
    found = Box.of({"a": [array, "text"]}).open()["a"]
    assert found[0].dtype == array.dtype
    np.testing.assert_array_equal(found[0], array)
    assert found[1] == "text"


def test_what_comes_out_is_read_only_and_outlives_its_box() -> None:
    box = Box.of(np.ones(5000))
    array = box.open()
    box.close()
    assert not array.flags.writeable
    assert array.sum() == 5000


def test_boxes_travel_anywhere_in_a_message() -> None:
    here, there = Pipe()
    boxes = [Box.of(np.full(1000, i)) for i in range(450)]  # more than one control message takes
    send(here, {"boxes": boxes, "n": 7})
    found = receive(there)
    assert found["n"] == 7
    assert [int(box.open()[0]) for box in found["boxes"]] == list(range(450))
    assert [box.size for box in found["boxes"]] == [box.size for box in boxes]


def test_large_arrays_of_a_message_arrive_read_only_beside_boxes() -> None:
    here, there = Pipe()
    large, small = np.arange(10**6), np.arange(10.0)
    send(here, (large, small, Box.of("x"), large))
    found = receive(there)
    np.testing.assert_array_equal(found[0], large)
    np.testing.assert_array_equal(found[1], small)
    assert found[2].open() == "x"
    assert found[3] is found[0]
    assert (found[0].flags.writeable, found[1].flags.writeable) == (False, True)


def test_messages_keep_their_order() -> None:
    here, there = Pipe()
    for message in ("a", Box.of("b"), "c"):
        send(here, message)
    assert [receive(there), receive(there).open(), receive(there)] == ["a", "b", "c"]


def test_no_descriptor_is_left() -> None:
    before = open_files()
    for _ in range(3):
        here, there = Pipe()
        send(here, [Box.of(np.ones(9)), Box.of("x"), np.ones(10**6)])
        receive(there)[0].open()
        here.close()
        there.close()
    assert open_files() == before


def test_an_end_in_the_midst_of_a_message_is_an_end() -> None:
    here, there = Pipe()
    data, ours = Pipe()
    send(data, Box.of("x"))
    here.send_bytes(ours.recv_bytes())  # the message without its descriptor
    here.close()
    with pytest.raises(EOFError):
        receive(there)


def test_a_box_does_not_travel_by_itself() -> None:
    with pytest.raises(TypeError, match=r"boxes\.send"):
        pickle.dumps(Box.of(1))


def test_closing_twice_is_harmless() -> None:
    box = Box.of(1)
    fd = box.fd
    box.close()
    box.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
