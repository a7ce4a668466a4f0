"""Faces in one picture: BlazeFace short range through MediaPipe Tasks.

The network sees 128 × 128 pixels and was made for faces that fill much of them, so a small face in
a large picture is found only in a part of it: `FaceSearch` looks at the whole picture, then at
overlapping square tiles, then at tiles of half the size.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError

if TYPE_CHECKING:
    from extract.media import VideoFrame

KEY_POINTS = ("right eye", "left eye", "nose", "mouth", "right ear", "left ear")
"""The six key points in the model's order; right and left are the person's."""


MIN_TILE_PIXELS = 32
"""Smaller tiles are not looked at."""


@dataclass(frozen=True)
class Face:
    """A detected face, in pixels of the picture.

    Attributes:
        box: float64 [4], left, top, width, height.
        score: the network's confidence, 0 to 1.
        points: float64 [6, 2], x and y of `KEY_POINTS`.
    """

    box: NDArray[np.float64]
    score: float
    points: NDArray[np.float64]

    @property
    def centre(self) -> NDArray[np.float64]:
        return self.box[:2] + self.box[2:] / 2

    @property
    def side(self) -> float:
        """The longer side of the box."""
        return float(self.box[2:].max())

    @property
    def weight(self) -> float:
        """Area times score: the first face followed is the one with the most of it."""
        return float(self.box[2] * self.box[3]) * self.score

    def moved(self, by: tuple[int, int]) -> Face:
        """The face in a picture of which this one was a part that began at `by` (x, y)."""
        shift = np.array(by, np.float64)
        box = np.concatenate([self.box[:2] + shift, self.box[2:]])
        return Face(box, self.score, self.points + shift)


@dataclass(frozen=True)
class SearchOptions:
    """How a picture is searched.

    Attributes:
        min_score: detections below are dropped.
        sure_score: a face that was not followed before counts only if a closer look gives this
            much (measured: noise up to 0.54, the darkest real face 0.67, most 0.8 and more).
        tile_overlap: part of a tile's side that it shares with the next, at least.
        tile_levels: how often tiles are halved; 2: the shorter side, then half of it.
        merge_overlap: of two detections that share this much (of the smaller box), the one with
            the lower score is dropped.
        region_sides: side of the square searched around a known face, in sides of its box.
    """

    min_score: float = 0.5
    sure_score: float = 0.6
    tile_overlap: float = 0.25
    tile_levels: int = 2
    merge_overlap: float = 0.5
    region_sides: float = 3.0


class Detector:
    """The network, loaded once; single-threaded. Close it, or use it as a context manager."""

    def __init__(self, model_path: Path, min_score: float) -> None:
        with _silent_stderr():
            from mediapipe.tasks.python import BaseOptions, vision

            options = vision.FaceDetectorOptions(
                base_options=BaseOptions(model_asset_buffer=model_path.read_bytes()),
                running_mode=vision.RunningMode.IMAGE,
                min_detection_confidence=min_score,
            )
            self._network = vision.FaceDetector.create_from_options(options)
            self.detect(np.zeros((128, 128, 3), np.uint8))
        atexit.register(self._abandon)

    def detect(self, rgb: NDArray[np.uint8]) -> list[Face]:
        """The faces in uint8 [height, width, 3], best first."""
        import mediapipe

        image = mediapipe.Image(
            image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb)
        )
        height, width = rgb.shape[:2]
        found = self._network.detect(image).detections
        faces = [_face(detection, width, height) for detection in found]
        return sorted(faces, key=lambda face: -face.score)

    def close(self) -> None:
        atexit.unregister(self._abandon)
        self._network.close()

    def _abandon(self) -> None:
        """Leave the network to the ending process: its own clean-up fails, noisily, so late."""
        self._network._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class FaceSearch:
    """Finds the faces of pictures of any size."""

    def __init__(self, detector: Detector, options: SearchOptions) -> None:
        self._detector = detector
        self._options = options

    def everywhere(self, frame: VideoFrame) -> list[Face]:
        """The whole picture, then tiles, then smaller tiles, up to the first that show a face."""
        width, height = frame.size
        faces = self.whole(frame)
        side = min(width, height)
        for _ in range(self._options.tile_levels):
            if faces or side < MIN_TILE_PIXELS:
                break
            tiles = _tiles(width, height, side, self._options.tile_overlap)
            found = [face for x, y in tiles for face in self._in_square(frame, x, y, side)]
            faces = self._sure(frame, found)
            side //= 2
        return faces

    def whole(self, frame: VideoFrame) -> list[Face]:
        """The whole picture only: cheap, blind to small faces."""
        return self._sure(frame, self._detector.detect(frame.rgb))

    def _sure(self, frame: VideoFrame, faces: list[Face]) -> list[Face]:
        """The distinct faces among detections, as a closer look at each shows them."""
        overlap = self._options.merge_overlap
        closer = [self._closer(frame, face) for face in merged(faces, overlap)]
        return merged([f for f in closer if f.score >= self._options.sure_score], overlap)

    def _closer(self, frame: VideoFrame, face: Face) -> Face:
        """The face as the square around it shows it, or as it is where that shows none.

        A face that is small in what the network sees gets a larger box and a lower score; this
        makes them equal in kind to those of following.
        """
        near = [other for other in self.around(frame, face) if shared(face, other) > 0.0]
        return max(near, key=lambda other: shared(face, other), default=face)

    def around(self, frame: VideoFrame, face: Face) -> list[Face]:
        """A square around a face found shortly before."""
        width, height = frame.size
        side = min(round(face.side * self._options.region_sides), width, height)
        corner = np.round(face.centre - side / 2).astype(int)
        x, y = np.clip(corner, 0, (width - side, height - side))
        return self._in_square(frame, int(x), int(y), side)

    def _in_square(self, frame: VideoFrame, x: int, y: int, side: int) -> list[Face]:
        pixels = frame.region(x, y, x + side, y + side)
        return [face.moved((x, y)) for face in self._detector.detect(pixels)]


def merged(faces: list[Face], overlap: float) -> list[Face]:
    """The faces without those that are another detection of a better one."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(shared(face, other) < overlap for other in kept):
            kept.append(face)
    return kept


def shared(face: Face, other: Face) -> float:
    """Area that two boxes share, as a part of the smaller one.

    Of the smaller, not of their union: a face cut by a tile's edge gives a part of its box.
    """
    low = np.maximum(face.box[:2], other.box[:2])
    high = np.minimum(face.box[:2] + face.box[2:], other.box[:2] + other.box[2:])
    width, height = np.maximum(high - low, 0.0)
    smaller = min(face.box[2] * face.box[3], other.box[2] * other.box[3])
    return float(width * height / smaller) if smaller > 0 else 0.0


def _tiles(width: int, height: int, side: int, overlap: float) -> list[tuple[int, int]]:
    """Corners of squares that cover the picture, evenly spaced, row by row."""
    return [(x, y) for y in _steps(height, side, overlap) for x in _steps(width, side, overlap)]


def _steps(length: int, side: int, overlap: float) -> list[int]:
    room = length - side
    count = int(np.ceil(room / (side * (1 - overlap)))) + 1
    return [round(room * i / max(1, count - 1)) for i in range(count)]


def _face(detection: object, width: int, height: int) -> Face:
    box = detection.bounding_box  # type: ignore[attr-defined]
    points = [(p.x * width, p.y * height) for p in detection.keypoints]  # type: ignore[attr-defined]
    if len(points) != len(KEY_POINTS):
        raise InputError("the model gives other key points", found=len(points), accepted=6)
    return Face(
        np.array([box.origin_x, box.origin_y, box.width, box.height], np.float64),
        float(detection.categories[0].score),  # type: ignore[attr-defined]
        np.array(points, np.float64),
    )


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keeps what the native library says while it loads off the user's terminal."""
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
