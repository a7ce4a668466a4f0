"""The valid steps of samples, as sequence models read them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from classify.features import Features, Index, Mask, together

MEMORY_BUDGET_BYTES = 1 << 30  # steps kept between epochs; what is beyond is read again

Steps = NDArray[np.float32]


class StepReader:
    """The valid steps of each sample, kept in memory up to a budget."""

    def __init__(self, features: Features, rate_hz: int) -> None:
        self._features, self._rate_hz = features, rate_hz
        self._kept: dict[int, tuple[Steps, Mask]] = {}
        self._free_bytes = MEMORY_BUDGET_BYTES
        self.dims = [s.dim for s in features.values()]

    def __len__(self) -> int:
        return len(next(iter(self._features.values())))

    def __getitem__(self, index: int) -> tuple[Steps, Mask]:
        """Values [steps, dims] and validity [steps, modalities]; a step has a valid modality."""
        if index in self._kept:
            return self._kept[index]
        values, valid = together(self._features, index, self._rate_hz)
        seen = valid.any(axis=1)
        steps = (values[seen], valid[seen])
        size = steps[0].nbytes + steps[1].nbytes
        if size <= self._free_bytes:
            self._kept[index] = steps
            self._free_bytes -= size
        return steps

    @cached_property
    def filled(self) -> Index:
        """Samples with at least one step."""
        return np.array([i for i in range(len(self)) if len(self[i][0])], dtype=np.intp)


def scale_of(reader: StepReader) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each dimension over the valid steps, [dims] each.

    In two passes: the one-pass formula loses its digits where the mean is large. A constant
    dimension has deviation 1.
    """
    count, mean = _mean(reader, 0.0, power=1)
    _, variance = _mean(reader, mean, power=2)
    deviation = np.sqrt(variance)
    deviation[(deviation <= 1e-7 * np.abs(mean)) | (count == 0)] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)


def _mean(
    reader: StepReader, centre: NDArray[np.float64] | float, power: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Valid steps and mean of (values - centre) ** power over them, [dims] each."""
    total = np.zeros(sum(reader.dims))
    count = np.zeros(sum(reader.dims))
    for index in range(len(reader)):
        values, valid = reader[index]
        known = np.repeat(valid, reader.dims, axis=1)
        total += ((values.astype(np.float64) - centre) ** power).sum(axis=0, where=known)
        count += known.sum(axis=0)
    return count, total / np.maximum(count, 1)
