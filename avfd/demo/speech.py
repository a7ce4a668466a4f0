"""Speech from espeak-ng, which the wheel espeakng-loader carries (GPL-3.0, hence the demo extra).

The library keeps state from one utterance to the next, so `speak_all` says everything in a fresh
process, in order, from a fixed seed: the same lines give the same samples.
"""

from __future__ import annotations

import ctypes
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError, MissingError

SAMPLE_RATE_HZ = 22_050
"""What espeak-ng speaks at; checked when it starts."""

# Values of espeak-ng's public C interface (speak_lib.h).
_SYNCHRONOUS, _CHARS_UTF8, _POSITION_CHARACTER = 2, 1, 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True)
class Voice:
    """How one person speaks.

    Attributes:
        name: an espeak-ng voice with its variant, such as "en-us+f2".
        pitch, pitch_range: 0 to 100, 50 is the voice's own.
        words_per_minute: 80 to 450.
    """

    name: str
    pitch: int = 50
    pitch_range: int = 50
    words_per_minute: int = 165


def speak_all(lines: Sequence[tuple[str, Voice]], seed: int = 0) -> list[NDArray[np.float32]]:
    """Each text in its voice: float32 [n] at `SAMPLE_RATE_HZ`, full scale is 1.0."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as fresh:
        return fresh.submit(_speak_in_order, list(lines), seed).result()


def _speak_in_order(lines: list[tuple[str, Voice]], seed: int) -> list[NDArray[np.float32]]:
    library = _start(seed)
    return [_speak(library, text, voice) for text, voice in lines]


def _start(seed: int) -> ctypes.CDLL:
    try:
        import espeakng_loader
    except ImportError as error:
        raise MissingError(
            "the demo needs espeak-ng", where="espeakng-loader", next_step="pip install avfd[demo]"
        ) from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = espeakng_loader.get_data_path()
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), 0)
    if rate_hz != SAMPLE_RATE_HZ:
        raise MissingError(
            "espeak-ng did not start", where=data, found=rate_hz, accepted=SAMPLE_RATE_HZ
        )
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
    return library


def _speak(library: ctypes.CDLL, text: str, voice: Voice) -> NDArray[np.float32]:
    pieces: list[NDArray[np.int16]] = []

    @_CALLBACK
    def keep(samples, count, _events):  # type: ignore[no-untyped-def]
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(keep)
    if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
        raise InputError("espeak-ng has no such voice", found=voice.name)
    levels = ((_RATE, voice.words_per_minute), (_VOLUME, 90), (_PITCH, voice.pitch))
    for parameter, value in (*levels, (_RANGE, voice.pitch_range)):
        library.espeak_SetParameter(parameter, value, 0)
    spoken = text.encode()
    library.espeak_Synth(
        spoken, len(spoken) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
    )
    if not pieces:
        raise InputError("espeak-ng said nothing", where=voice.name, found=text)
    return np.concatenate(pieces).astype(np.float32) / np.float32(32768)
