"""mfcc-avt2: the audio of AVT2-DWF, 30 cepstra × 30 frames of each second at 48 kHz.

Wang et al. 2024, arXiv 2403.14974; github.com/raining-dev/AVT2-DWF. Its code asks
python_speech_features for other windows than its paper states (FACTS.md, 10.2): both can be had.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from avfd.errors import AbsentError, InputError
from avfd.specs import AudioInput, BackboneSpec
from extract.backbones._seconds import SLACK_SECONDS, whole_seconds
from extract.backbones.base import AudioBlock, Backbone, Slots, register

SAMPLE_RATE_HZ = 48_000
COEFFICIENTS = FILTERS = 30
FFT_SIZE = 2048
LIFTER = 22
PREEMPHASIS = 0.97
FULL_SCALE = 32_768  # the code reads 16-bit samples as they are

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """How a second is cut.

    Attributes:
        window_ms, step_ms: length of a frame, and from one to the next.
        window: what a frame is multiplied with.
    """

    window_ms: float
    step_ms: float
    window: Literal["rectangular", "hanning"]

    @property
    def length(self) -> int:
        """Samples of a frame."""
        return round(self.window_ms * SAMPLE_RATE_HZ / 1000)

    @property
    def step(self) -> int:
        """Samples from one frame to the next."""
        return round(self.step_ms * SAMPLE_RATE_HZ / 1000)

    @property
    def count(self) -> int:
        """Full frames of a second."""
        return 1 + (SAMPLE_RATE_HZ - self.length) // self.step


FRAMES = {"code": Frames(30.0, 1000 / 30, "rectangular"), "paper": Frames(15.0, 4.0, "hanning")}


@dataclass(frozen=True)
class MfccAvt2Options:
    """None means: as `like` has it.

    Attributes:
        like: "code": 30 ms every 33.3 ms without a window, [30, 30]; "paper": 15 ms with a
            Hanning window every 4 ms (IV-A), [247, 30].
        window_ms, step_ms, window: see `Frames`.
    """

    like: Literal["code", "paper"] = "code"
    window_ms: float | None = None
    step_ms: float | None = None
    window: Literal["rectangular", "hanning"] | None = None

    @cached_property
    def frames(self) -> Frames:
        """What was asked for, filled up from `like`."""
        own = FRAMES[self.like]
        frames = Frames(
            own.window_ms if self.window_ms is None else self.window_ms,
            own.step_ms if self.step_ms is None else self.step_ms,
            self.window or own.window,
        )
        if not 0 < frames.length <= FFT_SIZE or not 1 <= frames.step <= SAMPLE_RATE_HZ:
            raise InputError(
                "a frame does not fit into the transform",
                where="mfcc-avt2",
                found=f"window_ms={frames.window_ms:g}, step_ms={frames.step_ms:g}",
                accepted=f"up to {1000 * FFT_SIZE / SAMPLE_RATE_HZ:g} ms, every 0.02 to 1,000 ms",
            )
        return frames


DEFAULT = MfccAvt2Options()


@register("mfcc-avt2", DEFAULT)
class MfccAvt2(Backbone):
    """Seconds that do not overlap, each by itself: [frames, 30], a row a frame as the code has it.

    A second is valid if no more than 25 ms of it lack sound; the last partial second is not.
    """

    def __init__(self, options: MfccAvt2Options = DEFAULT) -> None:
        self.frames = frames = options.frames
        self.window = np.ones(frames.length)
        if frames.window == "hanning":
            self.window = np.hanning(frames.length)
        self.spec = BackboneSpec(
            name="mfcc-avt2",
            revision=1,
            modality="audio",
            summary=f"AVT2-DWF: {frames.count} frames × {COEFFICIENTS} MFCC of each whole second",
            rate_hz=1,
            shape=(frames.count, COEFFICIENTS),
            audio=AudioInput(
                SAMPLE_RATE_HZ, block_seconds=60.0, lead_seconds=0.0, tail_seconds=0.0
            ),
            options={
                **asdict(frames),
                "fft_size": FFT_SIZE,
                "filters": FILTERS,
                "mel_scale": "htk",
                "low_hz": 0,
                "high_hz": SAMPLE_RATE_HZ // 2,
                "lifter": LIFTER,
                "preemphasis": PREEMPHASIS,
                "full_scale": FULL_SCALE,
                "slack_seconds": SLACK_SECONDS,
            },
            source="AVT2-DWF (Wang et al. 2024); the numbers are python_speech_features' 0.6",
        )

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        seconds, valid = whole_seconds(block)
        if not len(seconds):
            raise AbsentError("too short for mfcc-avt2", accepted="a whole second of sound")
        values = np.zeros((len(seconds), *self.spec.shape), dtype=np.float32)
        for i in np.flatnonzero(valid):
            values[i] = self.cepstra(seconds[i])
        return Slots(round(block.start_seconds), values, valid)

    def cepstra(self, samples: NDArray[np.float32]) -> Doubles:
        """Coefficients [frames, 30] of a second, [48000]."""
        sound = samples.astype(np.float64) * FULL_SCALE
        sound = np.append(sound[0], sound[1:] - PREEMPHASIS * sound[:-1])
        frames = sliding_window_view(sound, self.frames.length)[:: self.frames.step] * self.window
        spectrum = np.fft.rfft(frames, FFT_SIZE)
        power = (spectrum.real**2 + spectrum.imag**2) / FFT_SIZE
        energy = np.einsum("tf,mf->tm", power, TRIANGLES)  # BLAS may add in another order
        levels = np.log(np.where(energy == 0, np.finfo(np.float64).eps, energy))
        coefficients: Doubles = np.einsum("tm,km->tk", levels, COSINES)
        return coefficients


def hz_to_mel(hz: Doubles) -> Doubles:
    """HTK's scale, Hz → mels."""
    return 2595 * np.log10(1 + hz / 700)


def mel_to_hz(mel: Doubles) -> Doubles:
    """HTK's scale, mels → Hz."""
    return 700 * (10 ** (mel / 2595) - 1)


def _triangles() -> Doubles:
    """Filters [30, 1025] of height 1, their corners at whole bins of the transform."""
    low, high = hz_to_mel(np.array([0.0, SAMPLE_RATE_HZ / 2]))
    hz = mel_to_hz(np.linspace(low, high, FILTERS + 2))
    corners = np.floor((FFT_SIZE + 1) * hz / SAMPLE_RATE_HZ)
    bins = np.arange(FFT_SIZE // 2 + 1)
    left, centre, right = (corners[i : FILTERS + i, None] for i in range(3))
    rise = np.where((bins >= left) & (bins < centre), (bins - left) / (centre - left), 0)
    fall = np.where((bins >= centre) & (bins < right), (right - bins) / (right - centre), 0)
    return rise + fall


def _cosines() -> Doubles:
    """The orthonormal cosine transform (DCT-II) with the lifter, [30, 30]."""
    k, n = np.arange(COEFFICIENTS)[:, None], np.arange(FILTERS)[None]
    rows = np.cos(np.pi * k * (2 * n + 1) / (2 * FILTERS)) * np.sqrt(2 / FILTERS)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows * (1 + LIFTER / 2 * np.sin(np.pi * k / LIFTER)), dtype=np.float64)


TRIANGLES = _triangles()
COSINES = _cosines()
