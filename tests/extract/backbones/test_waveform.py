"""waveform: the samples come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

from avfd.errors import InputError
from extract.backbones.base import AudioBlock
from extract.backbones.waveform import Waveform, WaveformOptions


def test_slots_put_end_to_end_are_the_samples():
    sound = np.random.default_rng(0).uniform(-1, 1, 16_037).astype(np.float32)
    end = len(sound) / 16_000
    slots = Waveform().audio(AudioBlock(sound, 16_000, 0.0, (0.0, end), ((0.0, end),)))
    assert slots.values.shape == (101, 160)
    np.testing.assert_array_equal(slots.values.ravel()[: len(sound)], sound)
    assert not slots.values.ravel()[len(sound) :].any()
    assert slots.valid.tolist() == [True] * 100 + [False]


def test_only_the_core_is_kept():
    sound = np.linspace(-1, 1, 16_000 * 4, dtype=np.float32)
    block = AudioBlock(sound, 16_000, 10.0, (11.0, 13.0), ((10.0, 14.0),))
    slots = Waveform().audio(block)
    assert slots.first_slot == 1_100
    np.testing.assert_array_equal(slots.values.ravel(), sound[16_000:48_000])


def test_another_rate_changes_shape_and_fingerprint():
    wide = Waveform(WaveformOptions(44_100)).spec
    assert wide.shape == (441,)
    assert wide.fingerprint({}) != Waveform().spec.fingerprint({})


@pytest.mark.parametrize("rate", [0, -100, 11_025, 22_060])
def test_a_rate_without_whole_samples_a_slot_is_refused(rate):
    with pytest.raises(InputError, match="multiple of 50 from"):
        Waveform(WaveformOptions(rate))


def test_iats_rate_has_slots_of_twenty_milliseconds():
    spec = Waveform(WaveformOptions(22_050)).spec
    assert (spec.rate_hz, spec.shape) == (50, (441,))
