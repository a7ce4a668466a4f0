"""One audio stream → mono blocks at the rate a backbone asks for, in bounded memory.

Three steps, each a small class: `Downmixer` lays the decoder's chunks end to end on the clip's
time line (mono, native rate, gaps filled with silence), libsoxr resamples that one stream, and
`BlockCutter` cuts it into blocks with lead-in and tail. What comes out depends on the samples and
their times only, never on how the decoder cut them into chunks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avfd.errors import MediaError, MissingError
from avfd.specs import AudioInput
from extract.backbones.base import AudioBlock, Span
from extract.media.lines import JITTER_SECONDS

if TYPE_CHECKING:
    from extract.media import AudioChunk

Samples = NDArray[np.float32]

MAX_AMPLITUDE = 2.0**31
"""What unscaled 32-bit integers reach; what is louder is damage and is cut off there, so that no
filter overflows. No column takes what is beyond `extract.backbones.base.LOUDEST`."""

ISLAND_SECONDS = 0.010
"""Sound shorter than a slot of the 100 Hz columns does not count where samples that are no numbers
stand on both sides of it: a damaged file has few spans, however many of its samples are spoilt."""

BATCH_SAMPLES = 1 << 16
"""Samples that are resampled at once (a decoder hands over a thousand, which costs more each);
silence for a gap is made in pieces of so many, so a long gap costs no memory."""


def resampled_count(samples: int, from_hz: int, to_hz: int) -> int:
    """Length after resampling: the nearest whole number, halves rounded up.

    >>> resampled_count(44101, 44100, 16000), resampled_count(3, 96000, 16000)
    (16000, 1)
    """
    return (2 * samples * to_hz + from_hz) // (2 * from_hz)


class Downmixer:
    """Chunks → one gapless mono stream at native rate that starts at clip time 0.

    Attributes:
        position: samples given out so far; clip time is `position / sample_rate_hz`.
        covered: spans in native samples that the file really has, as numbers.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sample_rate_hz = 0
        self.position = 0
        self.covered: list[tuple[int, int]] = []

    def push(self, chunk: AudioChunk) -> Iterator[Samples]:
        """Yields what follows `position`: silence for a gap first, then the chunk's sound."""
        self._check_rate(chunk.sample_rate_hz)
        mono = downmix(chunk.samples)
        start = math.floor(chunk.start_seconds * self.sample_rate_hz + 0.5)
        if self.position and self._follows(start, self.position):
            start = self.position
        mono, start = mono[max(0, self.position - start) :], max(start, self.position)
        mono = mono[: max(0, self._limit() - start)]
        if len(mono):
            yield from self._silence(start - self.position)
            yield self._sound(mono)

    def _check_rate(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = self.sample_rate_hz or sample_rate_hz
        if sample_rate_hz != self.sample_rate_hz:
            raise MediaError(
                "the sample rate changes within the file",
                found=f"{sample_rate_hz} Hz after {self.sample_rate_hz} Hz",
            )

    def _follows(self, start: int, end: int) -> bool:
        """Whether what begins at one sample follows what ended at the other, without a gap."""
        return abs(start - end) <= JITTER_SECONDS * self.sample_rate_hz

    def _limit(self) -> int:
        return math.floor(self.seconds * self.sample_rate_hz + 0.5)

    def _silence(self, samples: int) -> Iterator[Samples]:
        for done in range(0, samples, BATCH_SAMPLES):
            piece = np.zeros(min(BATCH_SAMPLES, samples - done), dtype=np.float32)
            self.position += len(piece)
            yield piece

    def _sound(self, mono: Samples) -> Samples:
        for first, last in number_spans(mono):
            self._cover(self.position + first, self.position + last)
        self.position += len(mono)
        return mono

    def _cover(self, start: int, end: int) -> None:
        """Add a span of sound; an island before it, among samples that are no numbers, goes."""
        if self.covered:
            first, last = self.covered[-1]
            if last == start:
                self.covered.pop()
                start = first
            elif last - first < ISLAND_SECONDS * self.sample_rate_hz and self._follows(start, last):
                self.covered.pop()
        self.covered.append((start, end))


def downmix(samples: Samples) -> Samples:
    """The plain mean of the channels, [channels, n] → [n]."""
    if len(samples) == 1 and samples.dtype == np.float32:
        only: Samples = samples[0]
        return only
    with np.errstate(all="ignore"):  # damaged sound holds anything; `cleaned` mends it
        mono: Samples = samples.mean(axis=0, dtype=np.float32)
    return mono


def number_spans(mono: Samples) -> list[tuple[int, int]]:
    """Where the samples [n] are numbers: first and one past the last of each stretch.

    >>> number_spans(np.array([0, np.nan, 1, 2, np.inf], np.float32))
    [(0, 1), (2, 4)]
    """
    finite = np.isfinite(mono)
    if finite.all():
        return [(0, len(mono))]
    edges = np.flatnonzero(np.diff(finite, prepend=False, append=False)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def cleaned(mono: Samples) -> Samples:
    """The samples within ± `MAX_AMPLITUDE`; what is not a number is silence."""
    finite = np.nan_to_num(mono, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(finite, -MAX_AMPLITUDE, MAX_AMPLITUDE)


class Resampler:
    """A stream from one rate to another, sample 0 staying at time 0; equal rates pass through."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = None if from_hz == to_hz else _soxr_stream(from_hz, to_hz)

    def push(self, samples: Samples) -> Samples:
        return self._process(samples, last=False)

    def finish(self) -> Samples:
        return self._process(np.zeros(0, dtype=np.float32), last=True)

    def _process(self, samples: Samples, *, last: bool) -> Samples:
        if self._stream is None:
            return samples
        out: Samples = self._stream.resample_chunk(samples, last=last)
        return out


def _soxr_stream(from_hz: int, to_hz: int) -> Any:
    try:
        import soxr
    except ImportError as error:
        raise MissingError(
            "soxr is not installed", next_step="pip install 'avfd[extract]'"
        ) from error
    return soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")


class BlockCutter:
    """A stream at the wanted rate → blocks; holds one block with its lead-in and tail at most.

    Cores lie end to end and begin at whole multiples of `block_seconds`; the last one takes what
    is left, up to a tail more. A stream no longer than block and tail is one block.
    """

    def __init__(self, wanted: AudioInput) -> None:
        self.wanted = wanted
        rate = wanted.sample_rate_hz
        self._block = None if wanted.block_seconds is None else round(wanted.block_seconds * rate)
        self._lead = round(wanted.lead_seconds * rate)
        self._tail = round(wanted.tail_seconds * rate)
        self._core = 0  # first sample of the next core
        self._start = 0  # first sample held
        self._end = 0  # one past the last sample held
        self._held: list[Samples] = []

    def push(self, samples: Samples) -> None:
        self._held.append(samples)
        self._end += len(samples)

    def ready(self, covered: tuple[Span, ...]) -> Iterator[AudioBlock]:
        """Blocks whose core and tail are complete, with more to come."""
        while self._block and self._end > self._core + self._block + self._tail:
            core_end = self._core + self._block
            yield self._cut(core_end, core_end + self._tail, covered)
            self._core = core_end
            self._drop_before(core_end - self._lead)

    def last(self, end: int, covered: tuple[Span, ...]) -> Iterator[AudioBlock]:
        """The rest, up to sample `end`."""
        if end > self._core:
            yield self._cut(end, end, covered)

    def _cut(self, core_end: int, end: int, covered: tuple[Span, ...]) -> AudioBlock:
        rate = self.wanted.sample_rate_hz
        samples = np.concatenate(self._held)
        self._held = [samples]
        return AudioBlock(
            samples=samples[: end - self._start],
            sample_rate_hz=rate,
            start_seconds=self._start / rate,
            core_seconds=(self._core / rate, core_end / rate),
            covered=_overlap(covered, (self._start / rate, end / rate)),
        )

    def _drop_before(self, first: int) -> None:
        if first > self._start:
            self._held = [self._held[0][first - self._start :].copy()]
            self._start = first


def _overlap(spans: tuple[Span, ...], window: Span) -> tuple[Span, ...]:
    low, high = window
    return tuple((max(a, low), min(b, high)) for a, b in spans if a < high and b > low)


class Mono:
    """The audio of one clip, mono and gapless at its native rate, in batches; any tap may drink.

    Args:
        seconds: the clip's length; sound after it is cut off.
    """

    def __init__(self, seconds: float) -> None:
        self._mixer = Downmixer(seconds)
        self._waiting: list[Samples] = []
        self._count = 0

    @property
    def sample_rate_hz(self) -> int:
        """0 before the first chunk."""
        return self._mixer.sample_rate_hz

    @property
    def samples(self) -> int:
        """How many there are so far, those that wait included."""
        return self._mixer.position

    @property
    def covered(self) -> tuple[Span, ...]:
        """Spans, in seconds, that the file really has."""
        rate = self._mixer.sample_rate_hz
        return tuple((start / rate, end / rate) for start, end in self._mixer.covered)

    def push(self, chunk: AudioChunk) -> Iterator[Samples]:
        """Take a chunk; the batches that became full.

        Raises:
            MediaError: the sample rate changes within the file.
        """
        for samples in self._mixer.push(chunk):
            self._waiting.append(samples)
            self._count += len(samples)
            if self._count >= BATCH_SAMPLES:
                yield from self.rest()

    def rest(self) -> Iterator[Samples]:
        """What waits for more."""
        waiting, self._waiting, self._count = self._waiting, [], 0
        if waiting:
            yield cleaned(np.concatenate(waiting))


class AudioTap:
    """The audio of one clip, as one `AudioInput` asks.

    Args:
        wanted: rate, downmix, resampler and blocks.
        seconds: the clip's length; sound after it is cut off.

    Push every chunk in time order, then finish; or, where several taps share a `Mono`, have each
    take its batches, then end. The stream ends where the file's last sound ends, so a file whose
    sound is shorter than its picture has no slots after it. No sound, no blocks.
    """

    def __init__(self, wanted: AudioInput, seconds: float) -> None:
        self.wanted = wanted
        self._mono = Mono(seconds)
        self._resampler: Resampler | None = None
        self._cutter = BlockCutter(wanted)

    def push(self, chunk: AudioChunk) -> list[AudioBlock]:
        """Takes a chunk; returns the blocks that became complete.

        Raises:
            MediaError: the sample rate changes within the file.
        """
        mono = self._mono
        return [block for batch in mono.push(chunk) for block in self.take(batch, mono)]

    def finish(self) -> list[AudioBlock]:
        """The blocks that were left when the file ended."""
        mono = self._mono
        blocks = [block for batch in mono.rest() for block in self.take(batch, mono)]
        return [*blocks, *self.end(mono)]

    def take(self, batch: Samples, mono: Mono) -> list[AudioBlock]:
        """Takes a batch that `mono` gave; returns the blocks that became complete."""
        self._cutter.push(self._resample(mono).push(batch))
        return list(self._cutter.ready(mono.covered))

    def end(self, mono: Mono) -> list[AudioBlock]:
        """The blocks that are left after the last batch."""
        if not mono.covered:
            return []
        self._cutter.push(self._resample(mono).finish())
        end = resampled_count(mono.samples, mono.sample_rate_hz, self.wanted.sample_rate_hz)
        covered = mono.covered
        return [*self._cutter.ready(covered), *self._cutter.last(end, covered)]

    def _resample(self, mono: Mono) -> Resampler:
        if self._resampler is None:
            self._resampler = Resampler(mono.sample_rate_hz, self.wanted.sample_rate_hz)
        return self._resampler
