"""What a media file holds, from the times of its packets: headers lie."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avfd.errors import MediaError
from extract.media.opening import MAX_GAP_SECONDS, Source, opened
from extract.media.rotation import upright_rotation

if TYPE_CHECKING:
    from av import Packet
    from av.stream import Stream

_LOG = logging.getLogger(__name__)

FIRST_PICTURE_PACKETS = 64
"""How many packets may pass before a first picture comes out of a healthy decoder."""


@dataclass(frozen=True)
class MediaFacts:
    """What a clip's media hold.

    Attributes:
        seconds: from time 0 to the end of the last packet of either track.
        width, height: of the upright picture in pixels, 0 without pictures.
        fps: pictures a second, measured; 0.0 without pictures.
        has_audio, has_video: whether there is such a track with anything in it.
        rotation: degrees counter-clockwise that make the stored picture upright.
        stopped: why not all of the file could be read; "" where it could.
    """

    seconds: float
    width: int
    height: int
    fps: float
    has_audio: bool
    has_video: bool
    rotation: int
    stopped: str = ""


@dataclass
class _Span:
    """The times of one track's packets, on the file's line."""

    packets: int = 0
    first_seconds: float = math.inf
    last_seconds: float = -math.inf
    end_seconds: float = 0.0

    def add(self, start_seconds: float, end_seconds: float) -> None:
        if self.packets and abs(start_seconds - self.last_seconds) > MAX_GAP_SECONDS:
            return
        self.packets += 1
        self.first_seconds = min(self.first_seconds, start_seconds)
        self.last_seconds = max(self.last_seconds, start_seconds)
        self.end_seconds = max(self.end_seconds, end_seconds)


def scan(path: Path | None, audio_path: Path | None = None) -> MediaFacts:
    """Facts of a clip's media; reads every packet, decodes nothing but the first picture.

    Args:
        path: the file with the pictures (and the sound, where `audio_path` is None or the same).
        audio_path: the file with the sound.

    Raises:
        MediaError: a file is missing, empty, of another kind, or holds no packet.
    """
    if path is None and audio_path is None:
        raise MediaError("the clip names no file")
    if path is None or audio_path is None or path == audio_path:
        facts = _scan_file(path or audio_path)  # type: ignore[arg-type]
        return facts if path else _without_video(facts)
    pictures, sound = _scan_file(path), _scan_file(audio_path)
    seconds = max(pictures.seconds, sound.seconds)
    stopped = pictures.stopped or sound.stopped
    return replace(pictures, seconds=seconds, has_audio=sound.has_audio, stopped=stopped)


def _without_video(facts: MediaFacts) -> MediaFacts:
    return replace(facts, width=0, height=0, fps=0.0, has_video=False, rotation=0)


def _scan_file(path: Path) -> MediaFacts:
    with opened(path) as source:
        spans, picture, stopped = _read_packets(source)
        video = source.video and spans.get(source.video.index)
        audio = source.audio and spans.get(source.audio.index)
        if not video and not audio:
            raise MediaError(
                "the file announces tracks but holds nothing of them",
                where=path,
                found=f"{path.stat().st_size} bytes",
                next_step="if it was copied or downloaded, check that the copy is complete",
            )
        seconds = max(span.end_seconds for span in (video, audio) if span)
        width, height, rotation = picture
        return MediaFacts(
            seconds=seconds,
            width=width,
            height=height,
            fps=_fps(video, source.video) if video else 0.0,
            has_audio=bool(audio),
            has_video=bool(video),
            rotation=rotation,
            stopped=stopped,
        )


def _read_packets(source: Source) -> tuple[dict[int, _Span], tuple[int, int, int], str]:
    """The span of each track by its index, upright size and rotation of the pictures, `stopped`."""
    import av

    spans: dict[int, _Span] = {}
    stopped = ""
    first_picture = _FirstPicture(source)
    streams = [stream for stream in (source.video, source.audio) if stream is not None]
    try:
        for packet in source.container.demux(*streams):
            first_picture.look(packet)
            times = _packet_times(packet, source.origin_seconds)
            if times is not None:
                spans.setdefault(packet.stream_index, _Span()).add(*times)
    except av.FFmpegError as error:
        stopped = str(error.strerror)
        _LOG.warning("%s: reading stopped early: %s", source.path, stopped)
    return spans, first_picture.facts(), stopped


def _packet_times(packet: Packet[Stream], origin_seconds: float) -> tuple[float, float] | None:
    """Start and end of what the packet shows; None for lead-in that no player shows."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    if stamp is None or packet.is_discard or packet.size == 0:
        return None
    start = float(stamp * packet.time_base) - origin_seconds
    return start, start + float((packet.duration or 0) * packet.time_base)


def _fps(span: _Span, stream: Stream | None) -> float:
    """Pictures a second over the track; the header's word where there is one picture only."""
    if span.packets > 1 and span.last_seconds > span.first_seconds:
        return (span.packets - 1) / (span.last_seconds - span.first_seconds)
    rate = stream.average_rate if stream is not None else None
    return float(rate or 0.0)


class _FirstPicture:
    """Decodes up to the first picture: rotation is known to the decoder alone."""

    def __init__(self, source: Source) -> None:
        self._stream = source.video
        self._left = FIRST_PICTURE_PACKETS if source.video is not None else 0
        self._facts: tuple[int, int, int] | None = None

    def look(self, packet: Packet[Stream]) -> None:
        import av

        if not self._left or self._stream is None or packet.stream_index != self._stream.index:
            return
        self._left -= 1
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                self._left, rotation = 0, upright_rotation(frame)
                self._facts = (*_upright(frame.width, frame.height, rotation), rotation)
                return

    def facts(self) -> tuple[int, int, int]:
        """Upright width, upright height, rotation; the header's size where nothing decoded."""
        if self._facts is not None:
            return self._facts
        if self._stream is None:
            return 0, 0, 0
        return self._stream.width, self._stream.height, 0


def _upright(width: int, height: int, rotation: int) -> tuple[int, int]:
    return (height, width) if rotation % 180 else (width, height)
