"""Downmix, resampling and blocks: against numpy, scipy and one-shot soxr, never against itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from avfd.errors import MediaError
from avfd.specs import AudioInput
from extract.audio import BATCH_SAMPLES, AudioTap, resampled_count
from extract.media.lines import JITTER_SECONDS

WHOLE = AudioInput(16_000, block_seconds=None)


@dataclass(frozen=True)
class Chunk:
    samples: np.ndarray
    sample_rate_hz: int
    start_seconds: float


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((channels, samples))).astype(np.float32)


def chunks_of(sound, rate, sizes, start=0.0):
    position = 0
    for size in sizes:
        yield Chunk(sound[:, position : position + size], rate, start + position / rate)
        position += size
    if position < sound.shape[1]:
        yield Chunk(sound[:, position:], rate, start + position / rate)


def tapped(wanted, seconds, chunks):
    tap = AudioTap(wanted, seconds)
    blocks = [block for chunk in chunks for block in tap.push(chunk)]
    return blocks + tap.finish()


def only(wanted, seconds, chunks):
    (block,) = tapped(wanted, seconds, chunks)
    return block


def test_equal_rates_pass_through_as_the_mean_of_the_channels():
    sound = noise(16_000, channels=3)
    block = only(WHOLE, 1.0, [Chunk(sound, 16_000, 0.0)])
    np.testing.assert_allclose(block.samples, sound.mean(axis=0), atol=1e-7)
    assert block.core_seconds == (0.0, 1.0)
    assert block.covered == ((0.0, 1.0),)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("wanted_hz", [16_000, 44_100])
def test_streaming_equals_one_shot_soxr_and_has_the_nearest_length(rate, wanted_hz):
    import soxr

    sound = noise(rate + 123)
    wanted = AudioInput(wanted_hz, block_seconds=None)
    block = only(wanted, 2.0, chunks_of(sound, rate, [1, 7, 1024, 4096]))
    whole = sound[0] if rate == wanted_hz else soxr.resample(sound[0], rate, wanted_hz, "HQ")
    assert len(block.samples) == math.floor(sound.shape[1] * wanted_hz / rate + 0.5)
    np.testing.assert_array_equal(block.samples, whole)


def test_how_the_decoder_cuts_chunks_changes_nothing():
    sound = noise(44_100 * 3 + 17, channels=2)
    wanted = AudioInput(16_000, block_seconds=1.0, lead_seconds=0.5, tail_seconds=0.25)
    cuts = np.random.default_rng(1).integers(1, 5_000, 60)
    one = tapped(wanted, 3.0, [Chunk(sound, 44_100, 0.0)])
    many = tapped(wanted, 3.0, chunks_of(sound, 44_100, cuts))
    assert len(one) == len(many) == 3
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
        assert (a.start_seconds, a.core_seconds, a.covered) == (
            b.start_seconds,
            b.core_seconds,
            b.covered,
        )


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_resampling_moves_nothing_in_time(rate):
    """A tone stays the tone that the formula gives at the new rate, phase included."""
    hertz = 440.0
    tone = np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)[None]
    block = only(WHOLE, 1.0, [Chunk(tone, rate, 0.0)])
    truth = np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(block.samples[1_000:-1_000], truth[1_000:-1_000], atol=1e-4)


def test_an_impulse_stays_where_it_was():
    sound = np.zeros((1, 48_000), dtype=np.float32)
    sound[0, 24_000] = 1.0
    block = only(WHOLE, 1.0, [Chunk(sound, 48_000, 0.0)])
    assert np.argmax(np.abs(block.samples)) == 8_000


def test_resampling_agrees_with_scipy_below_the_filter_edge():
    from scipy.signal import resample

    t = np.arange(48_000) / 48_000
    sound = sum(np.sin(2 * np.pi * f * t + f) for f in (150, 1_000, 5_000)) / 4
    block = only(WHOLE, 1.0, [Chunk(sound.astype(np.float32)[None], 48_000, 0.0)])
    np.testing.assert_allclose(
        block.samples[500:-500], resample(sound, 16_000)[500:-500], atol=1e-3
    )


def test_a_late_start_is_silence_that_is_not_covered():
    sound = noise(16_000)
    block = only(WHOLE, 2.0, [Chunk(sound, 16_000, 0.5)])
    assert block.covered == ((0.5, 1.5),)
    assert not block.samples[:8_000].any()
    np.testing.assert_array_equal(block.samples[8_000:], sound[0])


def test_a_gap_is_silence_that_is_not_covered():
    sound = noise(8_000)
    block = only(WHOLE, 3.0, [Chunk(sound, 16_000, 0.0), Chunk(sound, 16_000, 1.0)])
    assert block.covered == ((0.0, 0.5), (1.0, 1.5))
    assert not block.samples[8_000:16_000].any()
    np.testing.assert_array_equal(block.samples[16_000:], sound[0])


@pytest.mark.parametrize("shift", [-0.9, -0.1, 0.1, 0.9])
def test_jitter_in_chunk_times_makes_no_gap(shift):
    sound = noise(16_000)
    late = Chunk(sound[:, 8_000:], 16_000, 0.5 + shift * JITTER_SECONDS)
    block = only(WHOLE, 2.0, [Chunk(sound[:, :8_000], 16_000, 0.0), late])
    assert block.covered == ((0.0, 1.0),)
    np.testing.assert_array_equal(block.samples, sound[0])


def test_an_overlap_beyond_jitter_keeps_what_came_first():
    sound = noise(16_000)
    again = Chunk(sound[:, 4_000:], 16_000, 0.25)
    block = only(WHOLE, 2.0, [Chunk(sound[:, :8_000], 16_000, 0.0), again])
    np.testing.assert_array_equal(block.samples, sound[0])


def test_sound_before_time_zero_and_after_the_clip_is_cut():
    sound = noise(32_000)
    block = only(WHOLE, 1.25, [Chunk(sound, 16_000, -0.25)])
    assert block.core_seconds == (0.0, 1.25)
    np.testing.assert_array_equal(block.samples, sound[0, 4_000:24_000])


def test_samples_that_are_no_numbers_are_silence_that_is_not_covered():
    sound = noise(16_000)
    sound[0, 4_000:8_000] = np.nan
    sound[0, 12_000] = -np.inf
    block = only(WHOLE, 1.0, chunks_of(sound, 16_000, [4_100, 777]))
    assert block.covered == ((0.0, 0.25), (0.5, 0.75), (12_001 / 16_000, 1.0))
    assert not block.samples[4_000:8_000].any()
    assert block.samples[12_000] == 0
    np.testing.assert_array_equal(block.samples[8_000:12_000], sound[0, 8_000:12_000])


def test_one_channel_without_numbers_is_enough():
    sound = noise(1_600, channels=2)
    sound[1, :800] = np.nan
    assert only(WHOLE, 0.1, [Chunk(sound, 16_000, 0.0)]).covered == ((0.05, 0.1),)


def test_sound_that_holds_no_number_gives_no_block():
    sound = np.full((1, 16_000), np.nan, np.float32)
    assert tapped(WHOLE, 1.0, [Chunk(sound, 16_000, 0.0)]) == []


def test_where_every_other_sample_is_no_number_there_are_few_spans():
    sound = noise(16_000)
    sound[0, 1_000:15_000:2] = np.nan
    assert only(WHOLE, 1.0, [Chunk(sound, 16_000, 0.0)]).covered == (
        (0.0, 0.0625),
        (0.9375 - 1 / 16_000, 1.0),
    )


def test_damage_beyond_every_integer_is_cut_off_and_the_peak_is_else_the_files_own():
    sound = noise(1_000)
    sound[0, :2] = 1e30, -1e30
    block = only(WHOLE, 1.0, [Chunk(sound, 16_000, 0.0)])
    np.testing.assert_array_equal(block.samples[:2], [2.0**31, -(2.0**31)])
    assert only(WHOLE, 1.0, [Chunk(noise(9) * 0 + 32_767, 16_000, 0.0)]).peak == 32_767


def test_a_change_of_rate_within_a_file_is_an_error_that_says_so():
    tap = AudioTap(WHOLE, 9.0)
    tap.push(Chunk(noise(100), 16_000, 0.0))
    with pytest.raises(MediaError, match="48000 Hz after 16000 Hz"):
        tap.push(Chunk(noise(100), 48_000, 0.1))


def test_no_sound_gives_no_blocks():
    assert tapped(WHOLE, 1.0, []) == []
    assert tapped(WHOLE, 1.0, [Chunk(noise(100), 16_000, 5.0)]) == []


def test_blocks_carry_lead_and_tail_and_their_cores_cover_the_stream_once():
    wanted = AudioInput(16_000, block_seconds=2.0, lead_seconds=1.0, tail_seconds=0.5)
    sound = noise(16_000 * 7 + 16_00)
    blocks = tapped(wanted, 20.0, chunks_of(sound, 16_000, [999] * 50))
    assert [b.core_seconds for b in blocks] == [(0, 2), (2, 4), (4, 6), (6, 7.1)]
    assert [b.start_seconds for b in blocks] == [0, 1, 3, 5]
    for block in blocks:
        start = round(block.start_seconds * 16_000)
        end = min(round((block.core_seconds[1] + 0.5) * 16_000), sound.shape[1])
        np.testing.assert_array_equal(block.samples, sound[0, start:end])
        assert block.covered == ((start / 16_000, end / 16_000),)


def test_what_is_left_within_a_tail_joins_the_last_block():
    wanted = AudioInput(16_000, block_seconds=2.0, lead_seconds=1.0, tail_seconds=0.5)
    block = only(wanted, 9.0, [Chunk(noise(40_000), 16_000, 0.0)])
    assert block.core_seconds == (0.0, 2.5)


def test_a_long_stream_holds_a_block_at_most():
    wanted = AudioInput(16_000, block_seconds=2.0, lead_seconds=1.0, tail_seconds=0.5)
    tap = AudioTap(wanted, 1e6)
    most = 0
    for i in range(100):
        tap.push(Chunk(noise(16_000), 16_000, float(i)))
        most = max(most, sum(len(held) for held in tap._cutter._held))
    assert most <= 16_000 * (1.0 + 2.0 + 0.5) + 16_000 + BATCH_SAMPLES


def test_a_long_gap_is_made_in_pieces():
    wanted = AudioInput(16_000, block_seconds=60.0)
    tap = AudioTap(wanted, 700.0)
    blocks = tap.push(Chunk(noise(800), 8_000, 600.0)) + tap.finish()
    assert [b.covered for b in blocks if b.covered] == [((600.0, 600.1),)]
    assert max(len(b.samples) for b in blocks) <= 16_000 * 71


@pytest.mark.parametrize(
    ("samples", "expected"), [(0, 0), (1, 0), (2, 1), (3, 1), (48_001, 16_000)]
)
def test_resampled_count_is_the_nearest_whole_number(samples, expected):
    assert resampled_count(samples, 48_000, 16_000) == expected
