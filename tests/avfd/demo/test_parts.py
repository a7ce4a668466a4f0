"""Parts of the demo corpus against truths of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("skimage", reason="needs the extra demo")

from avfd.demo.face import Scene
from avfd.demo.look import Look, draw, portrait
from avfd.demo.motion import late_mouth, moved_by_speech
from avfd.demo.photo import sample
from avfd.demo.speech import Voice, speak_all
from avfd.errors import InputError
from avfd.vocoder import resynthesise

RATE_HZ = 22_050


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def look(random: np.random.Generator) -> Look:
    return draw(random, male=False)


def burst(random: np.random.Generator) -> np.ndarray:
    """Three seconds of silence with noise from 1 s to 2 s."""
    sound = np.zeros(3 * RATE_HZ, np.float32)
    sound[RATE_HZ : 2 * RATE_HZ] = random.normal(0, 0.1, RATE_HZ)
    return sound


def test_the_mouth_opens_with_the_sound(random: np.random.Generator) -> None:
    opened = moved_by_speech(burst(random), RATE_HZ, 25, random).mouth_open
    assert len(opened) == 75
    assert opened[30:45].min() > 0.7
    assert max(opened[:20].max(), opened[55:].max()) < 0.05


def test_a_late_mouth_is_late_by_the_delay(random: np.random.Generator) -> None:
    motion = moved_by_speech(burst(random), RATE_HZ, 25, random)
    late = late_mouth(motion, 0.4, 25, np.ones(75))
    assert np.allclose(late.mouth_open[10:], motion.mouth_open[:-10])


def test_outside_the_segment_the_mouth_is_in_step(random: np.random.Generator) -> None:
    motion = moved_by_speech(burst(random), RATE_HZ, 25, random)
    assert np.array_equal(late_mouth(motion, 0.4, 25, np.zeros(75)).mouth_open, motion.mouth_open)


def test_sampling_between_pixels_is_bilinear() -> None:
    y, x = np.mgrid[:5, :6].astype(np.float32)
    plane = np.stack([x, y, x + y, 2 * x], axis=2)
    taken = sample(plane, np.array([1.25, 3.5]), np.array([2.5, 0.75]))
    assert np.allclose(taken, [[1.25, 2.5, 3.75, 2.5], [3.5, 0.75, 4.25, 7.0]], atol=1e-6)


def test_landmarks_follow_the_warp(look: Look) -> None:
    """The dark iris lies where the portrait says that the eye is."""
    image = portrait(look).image[..., :3].mean(axis=2)
    for x, y in portrait(look).eyes:
        near = image[round(y) - 14 : round(y) + 15, round(x) - 14 : round(x) + 15]
        centre = near[10:19, 9:20]
        assert centre.min() < 0.75 * np.median(near)


def test_an_open_mouth_is_dark(look: Look, random: np.random.Generator) -> None:
    scene = Scene(look, random)
    motion = moved_by_speech(burst(random), RATE_HZ, 25, random)
    still = {name: np.zeros(75) for name in ("turn_degrees", "shift_x_px", "shift_y_px", "blink")}
    motion = replace(motion, zoom=np.ones(75), **still)
    x, y = (round(v) - 20 for v in scene.face.still.lower_lip)
    shut, opened = (scene.frame(motion, i)[y + 1 : y + 7, x - 4 : x + 5].mean() for i in (5, 38))
    assert opened < 0.6 * shut


def test_a_blend_changes_the_inner_face_only(look: Look, random: np.random.Generator) -> None:
    scene = Scene(look, random, donor=draw(np.random.default_rng(9), male=True))
    motion = moved_by_speech(burst(random), RATE_HZ, 25, random)
    own, blended = (scene.frame(motion, 5, share).astype(int) for share in (0.0, 1.0))
    change = np.abs(own - blended).max(axis=2)
    assert change[90:200, 80:176].mean() > 5
    assert change[:60].max() == change[230:].max() == change[:, :50].max() == 0


def test_the_vocoder_keeps_length_loudness_and_pitch(random: np.random.Generator) -> None:
    seconds = np.arange(RATE_HZ) / RATE_HZ
    tone = (0.1 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    again = resynthesise(tone, RATE_HZ, random)
    assert again.shape == tone.shape
    assert np.isclose(np.std(again), np.std(tone), rtol=0.01)
    assert abs(np.argmax(np.abs(np.fft.rfft(again))) - 440) < 25


def test_the_same_lines_are_spoken_the_same() -> None:
    pytest.importorskip("espeakng_loader", reason="needs the extra demo")
    lines = [("One boat came home.", Voice("en-us+f1")), ("Two did not.", Voice("en+m3", pitch=40))]
    first, second = speak_all(lines, 1), speak_all(lines, 1)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(0.5 < len(a) / RATE_HZ < 3 and np.abs(a).max() > 0.1 for a in first)


def test_an_unknown_voice_is_named() -> None:
    pytest.importorskip("espeakng_loader", reason="needs the extra demo")
    with pytest.raises(InputError, match="no-such-voice"):
        speak_all([("Hello.", Voice("no-such-voice"))])
