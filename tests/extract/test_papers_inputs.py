"""Pixels and samples at the papers' rates, from a file to the column and back to what was filmed.

2D3MF and AVT2-DWF see 30 faces a second of 224 px, the {2+1}-stream system 10 of 112 px with level
eyes; AVT2-DWF and the fine-grained detector hear 48 kHz, IAT and {2+1} 22.05 kHz (FACTS.md, 8 to
12).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from avfd.clips import Clip
from avfd.home import Home
from extract import weights
from extract.face_detector import Detector
from extract.media import VideoFrame, decode

TILT = 14.0
SECONDS = 1.0


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory,
    testdata: Path,
    blazeface: Path,
    extracts: ModuleType,
    media_makers: ModuleType,
) -> Iterator[Home]:
    """A real face, turned by `TILT` degrees, at 30 pictures a second."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "media").mkdir()
    clip = Clip("d/c", video_path="cropped04.mp4")
    source = decode(testdata / "clips/real/youtube", None, clip, audio=False, video=True)
    picture = next(frame.rgb for frame in source if isinstance(frame, VideoFrame))
    turned = Image.fromarray(picture).rotate(TILT, resample=Image.Resampling.BICUBIC)
    wide = np.asarray(turned.resize((448, 448), Image.Resampling.BICUBIC))

    def shown(seconds: float, size: tuple[int, int]) -> np.ndarray:
        """The face, brighter from frame to frame, so that each picture is told from the next."""
        return np.clip(wide * (0.7 + 0.3 * seconds), 0, 255).astype(np.uint8)

    media_makers.make_video(
        folder / "media" / "face.mp4", SECONDS, 30, (448, 448), picture=shown, audio_rate_hz=None
    )
    made = extracts.indexed(folder / "home", folder / "media")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AVFD_WEIGHTS", raising=False)
        weights.add(blazeface, "blazeface", made)
        yield made


def crops(extracts: ModuleType, home: Home, ask: str, column: str) -> np.ndarray:
    """The column's pictures, [slots, size, size, 3], all valid."""
    extracts.extract(home, [ask], as_name=column)
    (clip,) = extracts.cache_of(home).snapshot().keys
    found = extracts.cache_of(home).snapshot().column(column).read(clip)
    assert found.valid.all()
    values: np.ndarray = found.values[0]
    return values


def eyes_degrees(picture: np.ndarray, blazeface: Path) -> float:
    """How far the line through the eyes is from level, found anew in the crop."""
    framed = np.pad(picture, ((40, 40), (40, 40), (0, 0)))
    (face, *_) = Detector(blazeface, 0.3).detect(framed)
    x, y = face.points[1] - face.points[0]
    return float(np.degrees(np.arctan2(y, x)))


def test_thirty_faces_a_second_of_224_pixels(home: Home, extracts: ModuleType) -> None:
    found = crops(extracts, home, "faces:rate_hz=30,size_px=224", "faces30")
    assert found.shape == (30, 224, 224, 3)
    bright = found[:, 60:160, 60:160].mean(axis=(1, 2, 3))
    expected = bright[0] * (0.7 + 0.3 * np.arange(30) / 30) / 0.7
    np.testing.assert_allclose(bright, expected, rtol=0.01)  # each slot its own frame


def test_ten_faces_a_second_of_112_pixels_with_level_eyes(
    home: Home, extracts: ModuleType, blazeface: Path
) -> None:
    level = crops(extracts, home, "faces:rate_hz=10,size_px=112,align=eyes", "level")
    tilted = crops(extracts, home, "faces:rate_hz=10,size_px=112", "tilted")
    assert level.shape == tilted.shape == (10, 112, 112, 3)
    assert abs(eyes_degrees(tilted[5], blazeface)) > TILT / 2
    assert abs(eyes_degrees(level[5], blazeface)) < 3


@pytest.mark.parametrize(
    ("sample_rate_hz", "rate_hz", "width"), [(48_000, 100, 480), (22_050, 50, 441)]
)
def test_samples_at_the_papers_rates(
    sample_rate_hz: int,
    rate_hz: int,
    width: int,
    tmp_path: Path,
    extracts: ModuleType,
    media_makers: ModuleType,
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(88_200) / 44_100)
    media_makers.make_audio(media / "tone.wav", tone[None].astype(np.float32), 44_100)
    home = extracts.indexed(tmp_path / "home", media)
    extracts.extract(home, [f"waveform:sample_rate_hz={sample_rate_hz}"])
    found = extracts.cache_of(home).snapshot().column("waveform").read("small/tone.wav")
    assert found.values.shape == (2, rate_hz, width)
    assert found.valid.all()
    times = np.arange(2 * sample_rate_hz) / sample_rate_hz
    inside = slice(1000, -1000)  # away from the ends, where the filter rings
    expected = 0.5 * np.sin(2 * np.pi * 1000 * times)
    np.testing.assert_allclose(found.values.ravel()[inside], expected[inside], atol=1e-3)
