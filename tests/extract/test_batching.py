"""What a device's process sets up before its first job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from extract.batching import prepare

BACKENDS: list[Any] = [
    torch.backends.cudnn.conv,
    torch.backends.cudnn.rnn,
    torch.backends.cuda.matmul,
]


@pytest.fixture
def tf32() -> Iterator[None]:
    """As where nothing is set up; what was there is back afterwards."""
    before = [backend.fp32_precision for backend in BACKENDS]
    for backend in BACKENDS:
        backend.fp32_precision = "tf32"
    yield
    for backend, precision in zip(BACKENDS, before, strict=True):
        backend.fp32_precision = precision


@pytest.mark.usefixtures("tf32")
def test_no_kind_of_layer_loses_bits_to_tf32_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    prepare("cuda:1")
    assert [backend.fp32_precision for backend in BACKENDS] == ["ieee"] * 3
    assert taken == ["cuda:1"]
