"""Vectors scaled by the training clips: mean 0 and deviation 1 for each number of a vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from classify.estimators.network import Input, Reader

# A number that varies less than this share of its mean is constant: the rest is rounding.
_CONSTANT = 1e-7

Constants = Mapping[str, NDArray[np.float32]]


def scales(reader: Reader, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
    """`scale.<modality>.mean` and `.deviation`, each of a vector's shape; pictures are left out.

    Over the valid slots of all samples, in two passes: the one-pass formula loses its digits where
    the mean is large. A constant number has deviation 1.
    """
    out: dict[str, NDArray[np.float32]] = {}
    for modality, facts in inputs.items():
        count, mean = _mean(reader, modality, facts.shape, np.zeros(facts.shape), power=1)
        if count == 0:
            continue
        _, variance = _mean(reader, modality, facts.shape, mean, power=2)
        deviation = np.sqrt(variance)
        deviation = np.where(deviation <= _CONSTANT * np.abs(mean), 1.0, deviation)
        out[f"scale.{modality}.mean"] = mean.astype(np.float32)
        out[f"scale.{modality}.deviation"] = deviation.astype(np.float32)
    return out


def _mean(
    reader: Reader,
    modality: str,
    shape: tuple[int, ...],
    centre: NDArray[np.float64],
    power: int,
) -> tuple[int, NDArray[np.float64]]:
    """Valid slots that are no pictures, and the mean of (values - centre) ** power over them."""
    total, count = np.zeros(shape), 0
    for index in reader.filled.tolist():
        slots = reader[index][modality]
        if slots.values.dtype == np.uint8:
            return 0, total
        seen = slots.values[slots.valid].astype(np.float64)
        total += ((seen - centre) ** power).sum(axis=0)
        count += len(seen)
    return count, np.asarray(total / max(count, 1))


def standardised(
    values: NDArray[Any], valid: NDArray[np.bool_], constants: Constants, modality: str
) -> NDArray[Any]:
    """Values [slots, *shape] by the learnt scale, 0 where invalid; as they are without one."""
    mean = constants.get(f"scale.{modality}.mean")
    if mean is None:
        return values
    out = np.zeros_like(values)
    out[valid] = (values[valid] - mean) / constants[f"scale.{modality}.deviation"]
    return out
