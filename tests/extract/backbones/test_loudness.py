"""loudness against the formula."""

from __future__ import annotations

import numpy as np

from extract.backbones.base import AudioBlock
from extract.backbones.loudness import Loudness


def levels(sound: np.ndarray) -> np.ndarray:
    end = len(sound) / 16_000
    block = AudioBlock(sound.astype(np.float32), 16_000, 0.0, (0.0, end), ((0.0, end),))
    return Loudness().audio(block).values[:, 0]


def test_a_full_scale_sine_is_three_decibels_down():
    tone = np.sin(2 * np.pi * 100 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(levels(tone), 20 * np.log10(np.sqrt(0.5)), atol=1e-4)


def test_each_tenth_of_a_second_has_its_own_level():
    steps = np.repeat([1.0, 0.1, 0.0], 1_600)
    np.testing.assert_allclose(levels(steps), [0, -20, -100], atol=1e-4)


def test_a_partial_last_slot_is_the_mean_of_what_is_there():
    np.testing.assert_allclose(levels(np.full(1_700, 0.1)), [-20, -20], atol=1e-4)
