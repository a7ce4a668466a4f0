"""Numbers of one clip made smaller: moments, a common rate, small pictures.

Everything here is a pure function of one clip's values and mask, so a clip's features never depend
on its neighbours or on padding.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]
Mask = NDArray[np.bool_]

# Below this share of a dimension's largest magnitude, spread is rounding and not signal.
_CONSTANT = 1e-7

# ITU-R BT.601 luma.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def moments(values: Values, valid: Mask) -> NDArray[np.float64]:
    """Mean, variance and kurtosis of each dimension over the valid slots (thesis: EMO_stat).

    The variance is the population's (divided by n); the kurtosis is Fisher's (a normal
    distribution has 0), also of the population; both are 0 for a constant dimension. The thesis
    states neither convention.

    Args:
        values: [slots, dim], read only where valid.
        valid: [slots].

    Returns:
        [3 * dim]: all means, then all variances, then all kurtoses; NaN where no slot is valid.
    """
    seen = np.asarray(values[valid], dtype=np.float64)
    if not len(seen):
        return np.full(3 * values.shape[1], np.nan)
    mean = seen.mean(axis=0)
    squares = (seen - mean) ** 2
    variance = squares.mean(axis=0)
    constant = np.sqrt(variance) <= _CONSTANT * np.abs(seen).max(axis=0)
    variance[constant] = 0.0
    fourth = (squares**2).mean(axis=0)
    kurtosis = np.zeros_like(variance)
    np.divide(fourth, variance**2, out=kurtosis, where=~constant)
    return np.concatenate([mean, variance, np.where(constant, 0.0, kurtosis - 3.0)])


def shifts(values: Values, valid: Mask) -> NDArray[np.float64]:
    """How far each dimension leaves its mean and comes back: high where one stretch differs.

    The range of the summed deviations from the mean over the valid slots, divided by their number,
    and the same divided by the deviation (Hurst 1951: the rescaled range, over n). Of two levels
    that differ by d, one of them for a share p in one stretch, the range is p (1 - p) d. It says
    nothing of where the stretch lies or of what the levels are.

    Args:
        values: [slots, dim], read only where valid.
        valid: [slots].

    Returns:
        [2 * dim]: all ranges, then all rescaled; NaN where no slot is valid, 0 for a constant
        dimension.
    """
    seen = np.asarray(values[valid], dtype=np.float64)
    if not len(seen):
        return np.full(2 * values.shape[1], np.nan)
    apart, deviation = _apart(seen)
    sums = np.concatenate([np.zeros((1, seen.shape[1])), apart.cumsum(axis=0)]) / len(seen)
    spread = np.where(deviation > 0, np.ptp(sums, axis=0), 0.0)
    return np.concatenate([spread, _over(spread, deviation)])


def contrast(values: Values, valid: Mask, first: int, stop: int) -> NDArray[np.float64]:
    """How far the mean of a stretch lies from the mean of all slots, whatever the direction.

    Args:
        values: [slots, dim] of the whole clip, read only where valid.
        valid: [slots].
        first, stop: the stretch, in slots.

    Returns:
        [2 * dim]: all distances, then the same divided by the deviation over all slots; NaN where
        no slot of the stretch is valid.
    """
    if not valid[first:stop].any():
        return np.full(2 * values.shape[1], np.nan)
    there = np.flatnonzero(valid)
    apart, deviation = _apart(np.asarray(values[there], dtype=np.float64))
    inside = apart[(there >= first) & (there < stop)]
    distance = np.where(deviation > 0, np.abs(inside.mean(axis=0)), 0.0)
    return np.concatenate([distance, _over(distance, deviation)])


def _apart(seen: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Deviations from the mean, and their root mean square; 0 where that is but rounding."""
    apart = seen - seen.mean(axis=0)
    deviation = np.sqrt((apart**2).mean(axis=0))
    return apart, np.where(deviation <= _CONSTANT * np.abs(seen).max(axis=0), 0.0, deviation)


def _over(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """a / b, 0 where b is."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


def at_rate(values: Values, valid: Mask, rate_hz: int) -> tuple[NDArray[np.float32], Mask]:
    """The same seconds at another rate: slot means going down, repetition going up.

    A new slot is the mean of the valid old slots whose centre it covers; where it covers no
    centre, it repeats the old slot that covers its own centre. It is valid if one of those was.

    Args:
        values: [rows, rate, dim].
        valid: [rows, rate].
        rate_hz: slots a second wanted.

    Returns:
        values float32 [rows, rate_hz, dim] (0 where invalid) and valid [rows, rate_hz].
    """
    if values.shape[1] == rate_hz:
        return np.where(valid[..., None], values, 0).astype(np.float32), valid
    gather = _gather(values.shape[1], rate_hz)
    counts = valid.astype(np.float32) @ gather.T
    sums = gather @ np.where(valid[..., None], values, 0).astype(np.float32)
    means = sums / np.maximum(counts, 1.0)[..., None]
    return means.astype(np.float32), counts > 0


@lru_cache(maxsize=16)
def _gather(old_hz: int, new_hz: int) -> NDArray[np.float32]:
    """Which old slots make each new slot of a second, float32 [new_hz, old_hz] of 0 and 1."""
    gather = np.zeros((new_hz, old_hz), dtype=np.float32)
    old = np.arange(old_hz)
    gather[(2 * old + 1) * new_hz // (2 * old_hz), old] = 1.0
    empty = np.flatnonzero(~gather.any(axis=1))
    gather[empty, (2 * empty + 1) * old_hz // (2 * new_hz)] = 1.0
    return gather


def small_pictures(
    pixels: NDArray[np.uint8], size_px: int = 16, gray: bool = True
) -> NDArray[np.float32]:
    """Pictures average-pooled to a small square and flattened, full scale 1.0.

    Args:
        pixels: [..., height, width, 3], RGB, height and width at least `size_px`.
        size_px: side of the small square.
        gray: luma (BT.601) instead of the three channels.

    Returns:
        float32 [..., size_px² or 3 * size_px²].
    """
    lead, (height, width) = pixels.shape[:-3], pixels.shape[-3:-1]
    flat = pixels.reshape(-1, height, width, 3)
    small = (
        np.stack([_pooled(one, size_px) for one in flat])
        if len(flat)
        else np.zeros((0, size_px, size_px, 3), np.float32)
    )
    if gray:
        small = small @ _LUMA
    return np.asarray(small.reshape(*lead, -1), dtype=np.float32)


def _pooled(picture: NDArray[np.uint8], size_px: int) -> NDArray[np.float32]:
    """One picture [height, width, 3] as the means of a size_px × size_px grid of boxes."""
    top = np.arange(size_px) * picture.shape[0] // size_px
    left = np.arange(size_px) * picture.shape[1] // size_px
    sums = np.add.reduceat(np.add.reduceat(picture, top, 0, np.float32), left, 1)
    high = np.diff(top, append=picture.shape[0])[:, None, None]
    wide = np.diff(left, append=picture.shape[1])[None, :, None]
    return np.asarray(sums / (high * wide * 255.0), dtype=np.float32)
