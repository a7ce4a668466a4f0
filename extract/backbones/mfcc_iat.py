"""mfcc-iat: the audio of IAT, MFCC at 22,050 Hz.

Chumachenko, Iosifidis, Gabbouj, ICPR 2022; github.com/katerynaCh/multimodal-emotion-recognition.
Its network sees 3.6 s at once: librosa's 10 coefficients × 156 frames (FACTS.md, 9.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError
from avfd.specs import AudioInput, BackboneSpec, Scalar
from extract.backbones._cepstra import FLOOR, RANGE_DB, Cepstra
from extract.backbones._mel_bands import MelBands
from extract.backbones._seconds import SLACK_SECONDS, whole_seconds
from extract.backbones.base import AudioBlock, Backbone, Slots, register

SAMPLE_RATE_HZ = 22_050
COEFFICIENTS = 10
HOP = 512
SPAN_SECONDS = 3.6
SPAN = round(SPAN_SECONDS * SAMPLE_RATE_HZ)  # 79,380 samples
BANDS = MelBands(sample_rate_hz=SAMPLE_RATE_HZ, bands=128, fft_size=2048, window_size=2048)
CEPSTRA = Cepstra(BANDS, HOP, COEFFICIENTS)
SPAN_FRAMES = CEPSTRA.frames_of(SPAN)  # 156
SECOND_FRAMES = SAMPLE_RATE_HZ // HOP  # 43 of the 43.07 a second
BESIDE_SECONDS = (SPAN_SECONDS - 1) / 2  # heard before and after a second for its range, 1.3
CONTEXT_SECONDS = 2.0  # that and half a frame, rounded up to whole seconds
BLOCK_SECONDS = 60.0


@dataclass(frozen=True)
class MfccIatOptions:
    """What of a clip a vector shows.

    Attributes:
        output: "second": the 43 frames of the second itself, so that a clip's seconds lie end to
            end; "span": the 156 frames of the 3.6 s that begin with the second, zeros after the
            sound's end; "clip": the 156 frames of the clip's middle 3.6 s, one array a clip, a
            shorter clip being filled up with zeros at its end, as IAT has it.
    """

    output: Literal["second", "span", "clip"] = "second"


DEFAULT = MfccIatOptions()
_AUDIO = {
    "second": (BLOCK_SECONDS, CONTEXT_SECONDS, CONTEXT_SECONDS),
    "span": (BLOCK_SECONDS, 0.0, SPAN_SECONDS - 1),
    "clip": (None, 0.0, 0.0),
}
_SAID = {
    "second": f"{SECOND_FRAMES} frames of each whole second",
    "span": f"{SPAN_FRAMES} frames of the 3.6 s from each whole second on",
    "clip": f"{SPAN_FRAMES} frames of the clip's middle 3.6 s",
}


def mfcc_iat_spec(options: MfccIatOptions) -> BackboneSpec:
    """The spec of that output."""
    facts: dict[str, Scalar] = {
        "output": options.output,
        "fft_size": BANDS.fft_size,
        "window_size": BANDS.window_size,
        "hop": HOP,
        "window": "hann-periodic",
        "mel_scale": "slaney",
        "mel_bands": BANDS.bands,
        "low_hz": 0,
        "high_hz": SAMPLE_RATE_HZ / 2,
        "floor_power": FLOOR,
        "range_db": RANGE_DB,
        "range_seconds": SPAN_SECONDS,
        "slack_seconds": SLACK_SECONDS,
    }
    block, lead, tail = _AUDIO[options.output]
    return BackboneSpec(
        name="mfcc-iat",
        revision=1,
        modality="audio",
        summary=f"IAT: 10 MFCC × {_SAID[options.output]}",
        rate_hz=0 if options.output == "clip" else 1,
        shape=(COEFFICIENTS, SECOND_FRAMES if options.output == "second" else SPAN_FRAMES),
        audio=AudioInput(SAMPLE_RATE_HZ, block_seconds=block, lead_seconds=lead, tail_seconds=tail),
        options=facts,
        source="IAT (Chumachenko et al. 2022); the numbers are those of librosa.feature.mfcc 0.11",
    )


@register("mfcc-iat", DEFAULT)
class MfccIat(Backbone):
    """Frames lie on one grid for the whole clip: frame k is centred on sample 512 · k.

    Of a second, column c is the frame next to its moment (c + 0.5) / 43 s. What lies 80 dB under
    the loudest of the 3.6 s around the second (or of the span) is raised to there, as librosa
    does within what it is given. A second is valid if no more than 25 ms of it lack sound.
    """

    def __init__(self, options: MfccIatOptions = DEFAULT) -> None:
        self.options = options
        self.spec = mfcc_iat_spec(options)

    def audio(self, block: AudioBlock) -> Slots:
        self.check_audio(block)
        if self.options.output == "clip":
            middle = CEPSTRA.of_span(middle_span(block.samples))
            return Slots(0, middle[None], np.ones(1, dtype=bool))
        first, valid = core_seconds(block)
        if not len(valid):
            raise AbsentError("too short for mfcc-iat", accepted="a whole second of sound")
        values = np.zeros((len(valid), *self.spec.shape), dtype=np.float32)
        maps = spans if self.options.output == "span" else seconds
        wanted = np.flatnonzero(valid)
        for i, found in zip(wanted, maps(block, first + wanted), strict=True):
            values[i] = found
        return Slots(first, values, valid)


def core_seconds(block: AudioBlock) -> tuple[int, NDArray[np.bool_]]:
    """The first second of the core, and which of its seconds are whole."""
    _, whole = whole_seconds(block)
    start, (first, end) = block.start_seconds, block.core_seconds
    return round(first), whole[round(first - start) : math.floor(end - start + SLACK_SECONDS)]


def spans(block: AudioBlock, wanted: NDArray[np.intp]) -> Iterator[NDArray[np.float32]]:
    """Coefficients [10, 156] of the 3.6 s that begin with each of these seconds."""
    for second in wanted:
        start = round((second - block.start_seconds) * SAMPLE_RATE_HZ)
        yield CEPSTRA.of_span(filled(block.samples[start : start + SPAN]))


def seconds(block: AudioBlock, wanted: NDArray[np.intp]) -> Iterator[NDArray[np.float32]]:
    """Coefficients [10, 43] of each of these seconds, from frames on the clip's grid."""
    first, levels = grid_levels(block)
    frames_hz = SAMPLE_RATE_HZ / HOP
    columns = (np.arange(SECOND_FRAMES) + 0.5) / SECOND_FRAMES
    for second in wanted:
        low = max(0, math.ceil((second - BESIDE_SECONDS) * frames_hz) - first)
        high = math.floor((second + 1 + BESIDE_SECONDS) * frames_hz) - first
        nearest = np.floor((second + columns) * frames_hz + 0.5).astype(np.intp) - first
        kept = levels[:, np.minimum(nearest, levels.shape[1] - 1)]
        yield CEPSTRA.of_levels(kept, levels[:, low : high + 1].max())


def grid_levels(block: AudioBlock) -> tuple[int, NDArray[np.float32]]:
    """Levels [128, frames] of the frames that a block holds, and the number of the first.

    Frame k of a clip is centred on its sample 512 · k; zeros stand before and after the clip.
    """
    start, half = round(block.start_seconds * SAMPLE_RATE_HZ), BANDS.fft_size // 2
    first = -(-(start + half) // HOP) if start else 0
    offset = first * HOP - half - start
    padded = np.pad(block.samples, (max(0, -offset), half))[max(0, offset) :]
    return first, CEPSTRA.levels(padded)


def middle_span(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The middle 3.6 s, [79380]."""
    start = max(0, len(samples) - SPAN) // 2
    return filled(samples[start : start + SPAN])


def filled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """3.6 s, zeros where the sound has ended, [79380]."""
    return np.pad(samples, (0, SPAN - len(samples)))
