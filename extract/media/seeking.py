"""Opening a file near a moment, so that one second of two hours costs one second."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extract.media.opening import Source, opened

_LOG = logging.getLogger(__name__)

PREROLL_SECONDS = 1.0
"""Sound decoders need earlier packets to be exact (overlapping transforms, bit reservoirs)."""

SEEK_FROM_SECONDS = 3.0
"""An earlier start is reached by decoding from the file's start."""

LOOK_PACKETS = 400


@contextmanager
def opened_near(path: Path, start_seconds: float, threads: int) -> Iterator[Source]:
    """The file, open so that decoding gives everything from `start_seconds` on, and little before.

    Where a file cannot be positioned safely it is read from its start.
    """
    with opened(path, threads) as source:
        near = start_seconds < SEEK_FROM_SECONDS
        if near or _seek_before(source, start_seconds - PREROLL_SECONDS):
            yield source
            return
    _LOG.info("%s: cannot be positioned at %.3f s, read from the start", path, start_seconds)
    with opened(path, threads) as source:
        yield source


def _seek_before(source: Source, seconds: float) -> bool:
    """Position at or before a moment of the file's line; False where that cannot be vouched for.

    The packets found there are looked at: each track must start before the moment, pictures with
    a key picture.
    """
    import av

    target = int((source.origin_seconds + seconds) * av.time_base)
    try:
        source.container.seek(target, backward=True)
        safe = _starts_before(source, seconds)
        source.container.seek(target, backward=True)
    except av.FFmpegError:
        return False
    return safe


def _starts_before(source: Source, seconds: float) -> bool:
    waiting = {stream.index for stream in (source.video, source.audio) if stream is not None}
    streams = [source.container.streams[index] for index in waiting]
    for count, packet in enumerate(source.container.demux(*streams)):
        if packet.stream_index in waiting:
            if packet.pts is None or packet.time_base is None:
                return False
            start = float(packet.pts * packet.time_base) - source.origin_seconds
            is_video = source.video is not None and packet.stream_index == source.video.index
            if start > seconds or (is_video and not packet.is_keyframe):
                return False
            waiting.discard(packet.stream_index)
        if not waiting:
            return True
        if count >= LOOK_PACKETS:
            return False
    return False
