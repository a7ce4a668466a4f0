"""Backbones that read another column instead of media."""

import ctypes
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avfd.specs import BackboneSpec
from extract.backbones.base import Backbone, Slots, register
from extract.backbones.loudness import Loudness


@register("mean-loudness")
class MeanLoudness(Backbone):
    """One number a clip: the mean of its valid loudness."""

    spec = BackboneSpec(
        "mean-loudness", 1, "audio", "mean of loudness", rate_hz=0, shape=(1,), reads="loudness"
    )

    def column(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Slots:
        mean = np.asarray(values[valid], np.float32).mean(axis=0, keepdims=True)
        return Slots(0, mean, np.ones(1, dtype=bool))


@register("fatal-loudness")
class FatalLoudness(MeanLoudness):
    """Mean loudness, but it kills its worker over a clip of a certain length."""

    spec = replace(MeanLoudness.spec, name="fatal-loudness")

    def column(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Slots:
        if len(valid) == Loudness.spec.rate_hz * 2:
            ctypes.string_at(0)
        return super().column(values, valid)


@register("mean-of-mean")
class MeanOfMean(MeanLoudness):
    """Reads a column that reads one."""

    spec = replace(MeanLoudness.spec, name="mean-of-mean", reads="mean-loudness")
