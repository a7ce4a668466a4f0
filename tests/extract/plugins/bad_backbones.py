"""Backbones that do to their worker what native code does; each is loudness for other clips.

They lose it over a clip that is `FATAL_SAMPLES` long.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from dataclasses import replace

from extract.backbones.base import AudioBlock, Slots, register
from extract.backbones.loudness import Loudness

FATAL_SAMPLES = 16_000 + 777


def _bad(name: str, deed: Callable[[], object]) -> None:
    class Bad(Loudness):
        spec = replace(Loudness.spec, name=name)

        def audio(self, block: AudioBlock) -> Slots:
            if len(block.samples) == FATAL_SAMPLES:
                deed()
            return super().audio(block)

    register(name)(Bad)


def _raise() -> None:
    raise ZeroDivisionError("no frames to average")


_bad("bad-segfault", lambda: ctypes.string_at(0))
_bad("bad-hang", lambda: threading.Event().wait())
_bad("bad-eat", lambda: bytearray(100_000_000_000))
_bad("bad-raise", _raise)
_bad("bad-exit", lambda: os._exit(9))
