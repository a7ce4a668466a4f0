"""What `--device` means on machines with and without GPUs."""

from __future__ import annotations

import pytest

from avfd.errors import InputError
from extract.run import devices
from extract.run.devices import check_device, devices_for


@pytest.mark.parametrize(
    ("asked", "gpus", "expected"),
    [
        ("cpu", 2, ()),
        ("auto", 0, ()),
        ("auto", 1, ("cuda:0",)),
        ("auto", 2, ("cuda:0", "cuda:1")),
        ("cuda", 3, ("cuda:0", "cuda:1", "cuda:2")),
        ("cuda:1", 2, ("cuda:1",)),
        ("cpu-batched", 0, ("cpu",)),
        ("cpu-batched:2", 0, ("cpu", "cpu")),
    ],
)
def test_one_word_names_the_devices(
    asked: str, gpus: int, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_gpus", lambda: gpus)
    assert devices_for(asked) == expected


@pytest.mark.parametrize(("asked", "gpus"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_refused(
    asked: str, gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_gpus", lambda: gpus)
    with pytest.raises(InputError, match=rf"no such GPU.*{asked}, of {gpus} GPUs.*avfd doctor"):
        devices_for(asked)


@pytest.mark.parametrize("asked", ["tpu", "cuda:", "cuda:x", "cpu:1", ""])
def test_other_words_are_refused(asked: str) -> None:
    with pytest.raises(InputError, match=r"no such device.*auto \| cpu \| cuda"):
        check_device(asked)
