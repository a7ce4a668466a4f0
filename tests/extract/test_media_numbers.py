"""Sound whose samples are no numbers is lost as a packet is; settings that are none are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avfd.clips import Clip
from avfd.errors import InputError, MediaError
from avfd.specs import AudioInput
from extract.audio import AudioTap
from extract.backbones import build, load_all
from extract.media import AudioChunk, Decoding, decode

Maker = Callable[..., Path]

load_all()


def _float_sound(path: Path, make_audio: Maker, seconds_spoilt: float) -> Decoding:
    """A second of sound as floats, of which the first part holds no number."""
    samples = np.full((1, 16_000), 0.25, np.float32)
    samples[:, : round(seconds_spoilt * 16_000)] = np.nan
    make_audio(path, samples, codec="pcm_f32le")
    clip = Clip("d/c", audio_path=path.name)
    return decode(path.parent, None, clip, audio=True, video=False)


def test_sound_that_is_no_number_is_noted_and_its_slots_are_invalid(
    tmp_path: Path, make_audio: Maker
) -> None:
    clip = _float_sound(tmp_path / "a.wav", make_audio, 0.3)
    tap = AudioTap(AudioInput(16_000), 1.0)
    blocks = [block for chunk in clip if isinstance(chunk, AudioChunk) for block in tap.push(chunk)]
    (block,) = [*blocks, *tap.finish()]
    assert clip.notes == ["0.300 s of sound are no numbers"]
    assert block.covered == ((0.3, 1.0),)
    valid = build("loudness").audio(block).valid
    assert valid.tolist() == [False] * 3 + [True] * 7


def test_sound_without_any_number_is_refused_by_name(tmp_path: Path, make_audio: Maker) -> None:
    clip = _float_sound(tmp_path / "a.wav", make_audio, 1.0)
    with pytest.raises(MediaError, match=r"a\.wav: no sample of the sound is a number"):
        list(clip)


def test_unscaled_sound_is_refused_with_their_own_peak(tmp_path: Path, make_audio: Maker) -> None:
    samples = np.full((1, 16_000), -30_000.5, np.float32)
    make_audio(tmp_path / "a.wav", samples, codec="pcm_f32le")
    clip = Clip("d/c", audio_path="a.wav")
    tap = AudioTap(AudioInput(16_000), 1.0)
    for chunk in decode(tmp_path, None, clip, audio=True, video=False):
        assert isinstance(chunk, AudioChunk)
        tap.push(chunk)
    (block,) = tap.finish()
    with pytest.raises(InputError, match=r"found: samples up to 30000\.5; accepted"):
        build("loudness").audio(block)


@pytest.mark.parametrize("text", ["many", "-1", "1.5", ""])
def test_decoder_threads_that_are_no_number_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AVFD_DECODE_THREADS", text)
    with pytest.raises(InputError, match=r"AVFD_DECODE_THREADS: not a number.*a whole number"):
        decode(tmp_path, None, Clip("d/c", audio_path="a.wav"), audio=True, video=False)
