"""From packets to items: the loop around the decoder that outlives damaged packets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from avfd.errors import AvfdError, MediaError
from extract.media.items import AudioChunk, VideoFrame
from extract.media.lines import PictureLine, SoundLine
from extract.media.opening import Source

if TYPE_CHECKING:
    from av import Packet
    from av.audio.frame import AudioFrame as AvAudioFrame
    from av.stream import Stream
    from av.video.frame import VideoFrame as AvVideoFrame

Line = SoundLine | PictureLine


def read(
    source: Source, lines: dict[str, Line], problems: dict[str, AvfdError], notes: list[str]
) -> Iterator[AudioChunk | VideoFrame]:
    """Everything of the lines' windows, in the order in which the file carries it.

    Args:
        source: the open file.
        lines: modality → its line; each counts what it handed on and lost.
        problems: where a track that cannot be used is filed; the other goes on.
        notes: where a sentence goes on a file that cannot be read to its end.
    """
    streams = {"audio": source.audio, "video": source.video}
    by_index = {stream.index: m for m in lines if (stream := streams[m]) is not None}
    for packet in _packets(source, list(by_index), notes):
        # A flushing packet has no index of its own, only its stream.
        modality = by_index[packet.stream.index]
        if modality in problems or lines[modality].done:
            continue
        try:
            for frame in _frames(packet, lines[modality]):
                yield from lines[modality].push(frame)  # type: ignore[arg-type]
        except MediaError as error:
            problems[modality] = error
        if all(line.done or m in problems for m, line in lines.items()):
            return
    for modality, line in lines.items():
        if modality not in problems:
            yield from line.finish()


def _packets(source: Source, indices: list[int], notes: list[str]) -> Iterator[Packet[Stream]]:
    """The packets of the tracks, up to the first place that cannot be read past."""
    import av

    if not indices:
        return
    try:
        yield from source.container.demux(*[source.container.streams[i] for i in indices])
    except av.FFmpegError as error:
        notes.append(f"reading stopped early: {error.strerror}")


def _frames(packet: Packet[Stream], line: Line) -> list[AvAudioFrame | AvVideoFrame]:
    """What the packet decodes to; a damaged packet is counted as lost and gives nothing."""
    import av

    try:
        return packet.decode()  # type: ignore[return-value]
    except av.FFmpegError:
        line.lost_packets += packet.size > 0
        return []
