"""face_track: what the face pass found, thirty times a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avfd.errors import InputError
from avfd.specs import BackboneSpec
from extract.backbones._face_facts import (
    DETECTOR,
    DETECTOR_LICENCE,
    DETECTOR_SOURCE,
    track_facts,
)
from extract.backbones.base import Backbone, Slots, register
from extract.faces import TRACK_DIMS, TRACK_RATE_HZ


@register("face_track")
class FaceTrack(Backbone):
    """One face followed: box (left, top, width, height), score, six key points (x, y each), count.

    Places are fractions of the upright, cropped picture; key points in BlazeFace's order: right
    eye, left eye, nose, mouth, right ear, left ear. The count is of the faces that the last search
    of the picture found, the followed one among them. Slot i is the picture on screen at
    (i + 0.5) / 30 s; it is invalid, and zero, where no face is followed.
    """

    spec = BackboneSpec(
        name="face_track",
        revision=2,
        modality="video",
        summary="the face followed: box, score, six key points; how many faces",
        rate_hz=TRACK_RATE_HZ,
        shape=(TRACK_DIMS,),
        options=track_facts(),
        weights=(DETECTOR,),
        licence=DETECTOR_LICENCE,
        source=DETECTOR_SOURCE,
    )

    def track(self, rows: NDArray[np.float32], valid: NDArray[np.bool_]) -> Slots:
        if rows.shape != (len(valid), TRACK_DIMS):
            raise InputError(
                "a face track has a row a slot", found=rows.shape, accepted=(len(valid), TRACK_DIMS)
            )
        values = np.where(valid[:, None], rows, 0).astype(np.float32)
        return Slots(0, values, valid.copy())
