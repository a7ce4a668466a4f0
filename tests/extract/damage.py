"""Makes media that are damaged in every way that disks know; the same seed, the same bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import av
import numpy as np

Damage = Callable[[bytes, random.Random], bytes]


def truncated(data: bytes, chance: random.Random) -> bytes:
    """The first part, as of a copy that was broken off."""
    return data[: chance.randrange(1, len(data))]


def beheaded(data: bytes, chance: random.Random) -> bytes:
    """The last part."""
    return data[chance.randrange(1, len(data)) :]


def flipped(data: bytes, chance: random.Random) -> bytes:
    """One to two hundred bits turned over, anywhere."""
    wrong = bytearray(data)
    for _ in range(chance.choice((1, 5, 200))):
        wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
    return bytes(wrong)


def holed(data: bytes, chance: random.Random) -> bytes:
    """A stretch of zeros, as of a lost disk block."""
    at = chance.randrange(len(data))
    return (data[:at] + bytes(min(4096, len(data) - at)) + data[at + 4096 :])[: len(data)]


def text(data: bytes, chance: random.Random) -> bytes:
    """Words under a medium's name."""
    return f"Error {chance.randrange(400, 600)}: no such video\n".encode() * 50


def empty(data: bytes, chance: random.Random) -> bytes:
    """Nothing."""
    return b""


def streamless(data: bytes, chance: random.Random) -> bytes:
    """An MP4 file (ISO 14496-12) whose movie has no track."""
    header = struct.pack(">IIIII", 0, 0, 0, 1000, chance.randrange(1, 9000)) + bytes(80)
    mvhd = _box(b"mvhd", header)
    return _box(b"ftyp", b"isom\0\0\2\0isommp41") + _box(b"moov", mvhd) + _box(b"mdat", bytes(64))


def noise(data: bytes, chance: random.Random) -> bytes:
    """Random bytes behind a true header."""
    return data[:64] + chance.randbytes(4000)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


DAMAGES: tuple[Damage, ...] = (
    truncated, flipped, holed, truncated, flipped, beheaded, text, empty, streamless, noise,
)  # fmt: skip


def make_damaged(folder: Path, makers: ModuleType, count: int, seed: int = 1) -> list[Path]:
    """`count` damaged files, named for what was done to them, and the short and small ones.

    Returns:
        the sound files among them that are whole: 0.1 seconds long, or of one pixel.
    """
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    sources = _sources(folder, makers)
    whole = [_short(folder, makers), _one_pixel(folder)]
    for i in range(count - len(whole)):
        damage = DAMAGES[i % len(DAMAGES)]
        source = sources[chance.randrange(len(sources))]
        path = folder / f"{damage.__name__}-{i:03d}{source.suffix}"
        path.write_bytes(damage(source.read_bytes(), chance))
    for source in sources:
        source.unlink()
    return whole


def _sources(folder: Path, makers: ModuleType) -> list[Path]:
    made = [
        makers.make_video(folder / f"source{suffix}", 1.5, size=(64, 48))
        for suffix in (".mp4", ".mkv", ".avi", ".mpg", ".mov")
    ]
    return [*made, makers.make_audio(folder / "source.wav", makers.clicks(1.5, 16_000))]


def _short(folder: Path, makers: ModuleType) -> Path:
    path: Path = makers.make_video(folder / "short.mp4", 0.1)
    return path


def _one_pixel(folder: Path) -> Path:
    path = folder / "pixel.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 1
        stream.pix_fmt = "bgr0"
        for _ in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((1, 1, 3), 90, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
