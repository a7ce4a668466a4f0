"""Opening a media file: its sound and picture track, its time zero, and errors in words."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avfd.errors import MediaError
from extract.media.folders import FRAMES_FPS, FrameFolder, first_picture, frame_files, listed

if TYPE_CHECKING:
    from av import AudioStream, VideoStream
    from av.container import InputContainer

FORMATS = (
    "mov,mp4,avi,matroska,webm,mpeg,mpegts,mpegvideo,h264,hevc,m4v,dv,flv,asf,mxf,nut,rm,ivf,"
    "wav,w64,flac,mp3,aac,ac3,ogg,aiff,au,caf,amr"
)
"""FFmpeg's names of the containers that are read. Left out: playlists, which open other files and
addresses, and formats that make pictures of any text."""

MAX_PIXELS = 1 << 26
"""A larger picture (8K has half of that) is damage or meant to exhaust memory; not decoded."""

MAX_GAP_SECONDS = 3600.0
"""A longer step between two packets of a track is a damaged time stamp, not a gap."""


@dataclass(frozen=True)
class Source:
    """An open media file, or a folder of frames in the place of one.

    Attributes:
        path: the file or folder.
        container: PyAV's handle, or what stands for it where the path is a folder.
        video, audio: the tracks in use, None where the file has none.
        origin_seconds: the file's own time of time 0.
    """

    path: Path
    container: InputContainer | FrameFolder
    video: VideoStream | None
    audio: AudioStream | None
    origin_seconds: float


@contextmanager
def opened(path: Path, threads: int = 1) -> Iterator[Source]:
    """The file or folder, open for reading; `MediaError` in words where it is no readable media."""
    if path.is_dir():
        frames = listed(path)
        with _container(first_picture(path, frames), "jpeg_pipe", FRAMES_FPS) as container:
            source = _source(path, container, threads)
            yield replace(source, container=FrameFolder(frames, source.video))
    else:
        with _container(path) as container:
            yield _source(path, container, threads)


def _container(path: Path, format: str | None = None, fps: int | None = None) -> InputContainer:
    """PyAV's handle of a file, of one format or of any that is read."""
    import av

    _check_file(path)
    try:
        # The prefix keeps a colon in a name from being read as a protocol.
        return av.open(
            f"file:{path}",
            format=format,
            metadata_errors="replace",
            options={} if fps is None else {"framerate": str(fps)},
            container_options={
                "protocol_whitelist": "file",
                "format_whitelist": format or FORMATS,
            },
        )
    except (av.FFmpegError, ValueError) as error:
        raise _unreadable(path, error) from error


def _source(path: Path, container: InputContainer, threads: int) -> Source:
    """The first sound track and the first picture track that is no cover picture."""
    import av

    cover = av.stream.Disposition.attached_pic
    pictures = [s for s in container.streams.video if not s.disposition & cover and _decodes(s)]
    sounds = [s for s in container.streams.audio if _decodes(s)]
    for stream in (*pictures[:1], *sounds[:1]):
        stream.codec_context.thread_count = threads
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    video = pictures[0] if pictures else None
    audio = sounds[0] if sounds else None
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in (video, audio)
        if stream is not None and stream.start_time is not None and stream.time_base is not None
    ]
    if video is None and audio is None:
        kinds = sorted({stream.type for stream in container.streams}) or "no track at all"
        raise MediaError(
            "the file has neither sound nor pictures that can be decoded", where=path, found=kinds
        )
    return Source(path, container, video, audio, min(starts, default=0.0))


def _decodes(stream: AudioStream | VideoStream) -> bool:
    """Whether this build of FFmpeg has a decoder for the track."""
    return getattr(stream, "codec_context", None) is not None


def _check_file(path: Path) -> None:
    if not path.exists():
        raise MediaError("there is no such file", where=path)
    if not path.is_file():
        raise MediaError("this is not a file", where=path)
    if not os.access(path, os.R_OK):
        raise MediaError("the file may not be read by this user", where=path)
    if path.stat().st_size == 0:
        raise MediaError("the file is empty", where=path, found="0 bytes")


def _unreadable(path: Path, error: Exception) -> MediaError:
    with path.open("rb") as file:
        head = file.read(512)
    is_text = not any(byte < 9 for byte in head)
    kind = "text" if is_text else "no container that is known, or one that lost its index"
    return MediaError(
        "the file is no readable sound or video file",
        where=path,
        found=f"{path.stat().st_size} bytes, {kind} (FFmpeg: {_words(error)})",
        accepted="mp4, mov, 3gp, avi, mkv, webm, mpg, ts, m2ts, flv, wmv, wav, flac, mp3, m4a, ogg",
        next_step="if it was copied or downloaded, check that the copy is complete",
    )


def _words(error: Exception) -> str:
    """FFmpeg's own words, without its number and without the path."""
    return str(getattr(error, "strerror", None) or error)


def file_sha256(paths: Iterable[Path]) -> str:
    """sha256 of the media a clip is made of.

    One file: the digest of its bytes. A folder of frames: the digest of a text with a line a frame
    in the order of their numbers, as `sha256sum` prints it: digest, two spaces, name. Two paths:
    the digest of their two hexadecimal digests in order.
    """
    digests = [_digest(path) for path in paths]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _digest(path: Path) -> str:
    if path.is_dir():
        lines = (f"{_digest(frame)}  {frame.name}\n" for frame in frame_files(path))
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
