"""Batches of a network on its device; the "device" is the CPU with little memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._network import NetworkBackbone, NetworkOptions, Windows
from extract.backbones.base import Slots
from extract.batching import answer
from extract.flights import Flights, Rows
from extract.worker import Unusable


class Net(NetworkBackbone):
    """Doubles what it sees; `room` windows fit, and a window of -1 is more than it bears."""

    spec = BackboneSpec("net", 1, "audio", "", rate_hz=1, shape=(3,), audio=AudioInput(1))
    options = NetworkOptions()
    device = "cpu"

    def __init__(self, room: int = 10**6, error: Exception | None = None) -> None:
        self.room, self.error = room, error
        self.seen: list[int] = []

    def build_network(self, states: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def windows(self, block: Any) -> Windows:
        raise NotImplementedError

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(inputs))
        if len(inputs) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if self.error and bool((inputs == -1).any()):
            raise self.error
        return inputs * 2

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        return Slots(windows.first_slot, outputs, windows.valid)


def parcels(*lengths: int) -> list[Windows]:
    """Windows of three numbers each, all different."""
    ends = np.cumsum(lengths)
    values = np.arange(3.0 * ends[-1], dtype=np.float32).reshape(-1, 3)
    parts = np.split(values, ends[:-1])
    return [Windows(part, i, np.ones(len(part), bool)) for i, part in enumerate(parts)]


def doubled(given: list[Windows], found: list[Slots | str]) -> bool:
    for windows, slots in zip(given, found, strict=True):
        assert isinstance(slots, Slots)
        assert slots.first_slot == windows.first_slot
        np.testing.assert_array_equal(slots.values, windows.inputs * 2)
    return True


def test_rows_are_cut_across_parcels_without_a_copy() -> None:
    arrays = [parcel.inputs for parcel in parcels(2, 1, 4)]
    rows = Rows(arrays)
    found = list(rows.slices(1, 4))
    assert [len(part) for part in found] == [1, 1, 2]
    assert all(np.shares_memory(a, b) for a, b in zip(found, arrays, strict=True))
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(arrays)[1:5])


def test_many_parcels_are_one_batch() -> None:
    net = Net()
    given = parcels(3, 1, 7)
    assert doubled(given, answer(Flights(net), given))
    assert net.seen == [11]


@pytest.mark.parametrize("room", [1, 2, 3, 5, 10])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(room: int) -> None:
    net = Net(room)
    given = parcels(3, 1, 7, 2)
    flights = Flights(net)
    assert doubled(given, answer(flights, given))
    assert sum(n for n in net.seen if n <= room) == 13
    assert flights.fits[3,] <= room


def test_what_fits_is_remembered_for_each_shape_of_window() -> None:
    net = Net(room=4)
    flights = Flights(net)
    answer(flights, parcels(8))
    assert (net.seen, flights.halvings, flights.batches) == ([8, 4, 4], 1, 2)
    answer(flights, parcels(8))
    assert net.seen[3:] == [4, 4]
    other = [Windows(np.ones((4, 5), np.float32), 0, np.ones(4, bool))]
    answer(flights, other)
    assert net.seen[5:] == [4]


def test_what_fails_behind_another_batch_is_tried_again_alone() -> None:
    """The first batch may still hold the memory that the second one lacks."""
    net = Net(room=4)
    flights = Flights(net, fits={(3,): 4})

    def crowded(inputs: torch.Tensor) -> torch.Tensor:
        net.seen.append(len(inputs))
        if len(net.seen) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inputs * 2

    net.forward = crowded  # type: ignore[method-assign]
    given = parcels(8)
    assert doubled(given, answer(flights, given))
    assert (net.seen, flights.halvings) == ([4, 4, 4], 0)


def test_no_room_for_one_window_is_said_of_each_parcel() -> None:
    found = answer(Flights(Net(room=0)), parcels(2, 1))
    assert found == ["MemoryError: no room for a single window on cpu"] * 2


def test_an_error_costs_the_parcel_that_brings_it() -> None:
    given = parcels(3, 1, 7, 2, 2)
    given[2].inputs[4, 1] = -1
    found = answer(Flights(Net(error=ZeroDivisionError("no energy"))), given)
    assert found.pop(2) == "ZeroDivisionError: no energy"
    given.pop(2)
    assert doubled(given, found)


def test_a_lost_device_ends_the_process() -> None:
    given = parcels(3, 1)
    given[1].inputs[0, 0] = -1
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(Unusable, match="illegal memory access"):
        answer(Flights(Net(error=error)), given)


def test_read_only_windows_warn_of_nothing() -> None:
    given = parcels(2, 2)
    for windows in given:
        windows.inputs.setflags(write=False)
    assert doubled(given, answer(Flights(Net()), given))
