"""Makers of small media files whose content says when and where it belongs.

Every picture shows its own time as a bar code (`clock_picture`, `read_clock`), and the default
sound is a click at every whole second, so a test compares what was decoded with what was meant.
`conftest.py` hands these functions out as fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Picture = Callable[[float, tuple[int, int]], NDArray[np.uint8]]

CLOCK_BITS = 12
CLOCK_HZ = 100
CLICK_SECONDS = 0.005
_CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mkv": ("libx264", "pcm_s16le"),
    ".avi": ("mpeg4", "pcm_s16le"),
    ".mpg": ("mpeg1video", "mp2"),
    ".mov": ("libx264", "pcm_s16le"),
}
_ENCODER_OPTIONS = {"libx264": {"preset": "ultrafast", "crf": "8", "g": "12"}}


def clock_picture(seconds: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture [height, width, 3] that shows `seconds`, in 10 ms steps, as twelve bars.

    The most significant bar is leftmost; the lower third is red at the left and blue at the
    right, so that turned and cropped pictures are told from upright ones.
    """
    width, height = size
    ticks = round(seconds * CLOCK_HZ)
    bits = [(ticks >> shift) & 1 for shift in range(CLOCK_BITS - 1, -1, -1)]
    columns = np.arange(width) * CLOCK_BITS // width
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = (40 + 175 * np.array(bits, np.uint8))[columns][None, :, None]
    foot = slice(height * 2 // 3, height)
    picture[foot, : width // 2] = (200, 20, 20)
    picture[foot, width // 2 :] = (20, 20, 200)
    return picture


def read_clock(picture: NDArray[np.uint8]) -> float:
    """The seconds that a `clock_picture` shows, after any encoding that kept its bars."""
    height, width = picture.shape[:2]
    row = picture[: height // 3].mean(axis=(0, 2))
    middles = ((np.arange(CLOCK_BITS) + 0.5) * width / CLOCK_BITS).astype(int)
    bits = row[middles] > 127
    return int("".join("1" if bit else "0" for bit in bits), 2) / CLOCK_HZ


def clicks(seconds: float, rate_hz: int, channels: int = 1) -> NDArray[np.float32]:
    """Sound [channels, n]: silence with a 5 ms full-scale click at every whole second."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = np.where(times % 1.0 < CLICK_SECONDS, 0.9, 0.0).astype(np.float32)
    return np.repeat(wave[None], channels, axis=0)


def make_video(
    path: Path,
    seconds: float = 2.0,
    fps: int = 25,
    size: tuple[int, int] = (96, 64),
    codec: str | None = None,
    *,
    picture: Picture = clock_picture,
    frame_times: Sequence[float] | None = None,
    video_start_seconds: float = 0.0,
    audio: NDArray[np.float32] | None = None,
    audio_rate_hz: int | None = 16000,
    audio_layout: str = "mono",
    audio_codec: str | None = None,
    audio_start_seconds: float = 0.0,
    rotation: int = 0,
) -> Path:
    """Write a video file, with sound unless `audio_rate_hz` is None.

    Args:
        path: its suffix chooses the container and the default codecs.
        seconds: length of picture and sound.
        fps: pictures a second.
        size: width and height, both even.
        codec, audio_codec: FFmpeg's encoder names; None: the container's default.
        picture: gives the picture of a moment, (seconds, size) → uint8 [height, width, 3].
        frame_times: explicit times (a variable rate), instead of `seconds` and `fps`.
        video_start_seconds, audio_start_seconds: presentation time of the first of each.
        audio: float32 [channels, n]; None: clicks at every whole second.
        audio_rate_hz: sample rate; None: no sound.
        audio_layout: "mono", "stereo", "5.1".
        rotation: degrees, written as the display matrix of a .mp4 or .mov file (0, 90, 180, 270;
            counter-clockwise turns that a player makes).
    """
    default_video, default_audio = _CODECS[path.suffix]
    times = frame_times if frame_times is not None else np.arange(round(seconds * fps)) / fps
    with av.open(str(path), "w") as container:
        fine_times = frame_times is not None or video_start_seconds != 0.0
        video = _VideoWriter(container, codec or default_video, fps, size, fine_times)
        sound = None
        if audio_rate_hz is not None:
            sound = _AudioWriter(
                container, audio_codec or default_audio, audio_rate_hz, audio_layout
            )
            if audio is None:
                audio = clicks(seconds, audio_rate_hz, sound.channels)
        video.write([(t + video_start_seconds, picture(t, size)) for t in times])
        if sound is not None and audio is not None:
            sound.write(audio, audio_start_seconds)
        for packet in sorted(video.packets + (sound.packets if sound else []), key=_decode_time):
            container.mux(packet)
    if rotation:
        write_rotation(path, rotation)
    return path


def make_audio(
    path: Path,
    audio: NDArray[np.float32],
    rate_hz: int = 16000,
    *,
    layout: str = "mono",
    codec: str = "pcm_s16le",
) -> Path:
    """Write a file with sound only, from float32 [channels, n]."""
    with av.open(str(path), "w") as container:
        writer = _AudioWriter(container, codec, rate_hz, layout)
        writer.write(audio, 0.0)
        for packet in writer.packets:
            container.mux(packet)
    return path


def write_rotation(path: Path, degrees: int) -> None:
    """Set the display matrix of the picture track of a .mp4 or .mov file, in its bytes.

    The matrix is nine 32-bit numbers at the end of the `tkhd` box (ISO 14496-12, 8.3.2), followed
    by the track's width and height, which are 0 for sound.
    """
    one = 1 << 16
    cos, sin = {90: (0, -one), 180: (-one, 0), 270: (0, one)}[degrees]
    matrix = (cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30)
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    while at >= 0:
        box_end = at - 4 + int.from_bytes(data[at - 4 : at], "big")
        if any(data[box_end - 8 : box_end]):
            data[box_end - 44 : box_end - 8] = b"".join(
                value.to_bytes(4, "big", signed=True) for value in matrix
            )
        at = data.find(b"tkhd", at + 4)
    path.write_bytes(bytes(data))


class _VideoWriter:
    def __init__(
        self,
        container: OutputContainer,
        codec: str,
        fps: int,
        size: tuple[int, int],
        fine_times: bool,
    ) -> None:
        self.packets: list[av.Packet] = []
        self._tick = Fraction(1, 1000 if fine_times else fps)
        self._stream = container.add_stream(
            codec, rate=round(1 / self._tick), options=dict(_ENCODER_OPTIONS.get(codec, {}))
        )
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        if codec in ("mpeg4", "mpeg1video"):
            self._stream.bit_rate = 4_000_000

    def write(self, pictures: Sequence[tuple[float, NDArray[np.uint8]]]) -> None:
        for seconds, picture in pictures:
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.time_base, frame.pts = self._tick, round(seconds / self._tick)
            self.packets += self._stream.encode(frame)
        self.packets += self._stream.encode(None)


class _AudioWriter:
    def __init__(self, container: OutputContainer, codec: str, rate_hz: int, layout: str) -> None:
        self.packets: list[av.Packet] = []
        self._rate_hz, self._layout = rate_hz, layout
        self._stream = container.add_stream(codec, rate=rate_hz, layout=layout)
        self.channels = len(self._stream.layout.channels)

    def write(self, audio: NDArray[np.float32], start_seconds: float) -> None:
        block = self._stream.codec_context.frame_size or 1024
        first = round(start_seconds * self._rate_hz)
        for at in range(0, audio.shape[1], block):
            self.packets += self._stream.encode(self._frame(audio[:, at : at + block], first + at))
        self.packets += self._stream.encode(None)

    def _frame(self, audio: NDArray[np.float32], pts: int) -> AudioFrame:
        """The sound as one frame in the encoder's sample format."""
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(audio), "fltp", self._layout)
        frame.sample_rate = self._rate_hz
        frame.time_base, frame.pts = Fraction(1, self._rate_hz), pts
        converter = av.AudioResampler(self._stream.format, self._layout, self._rate_hz)
        (converted,) = converter.resample(frame)
        return converted


def _decode_time(packet: av.Packet) -> Fraction:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return (stamp or 0) * packet.time_base
