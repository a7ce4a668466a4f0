"""faces: square crops of the followed face, for networks that learn from pixels."""

from __future__ import annotations

from avfd.specs import BackboneSpec, FaceInput
from extract.backbones._face_facts import (
    DETECTOR,
    DETECTOR_LICENCE,
    DETECTOR_SOURCE,
    track_facts,
)
from extract.backbones.base import Backbone, FaceBlock, Slots, register

RATE_HZ = 10
SIZE_PX = 224


def faces_spec(wanted: FaceInput) -> BackboneSpec:
    """The spec of crops as `wanted` describes them."""
    return BackboneSpec(
        name="faces",
        revision=1,
        modality="video",
        summary=f"face crops, {wanted.size_px} × {wanted.size_px} RGB, {wanted.rate_hz} a second",
        rate_hz=wanted.rate_hz,
        shape=(wanted.size_px, wanted.size_px, 3),
        dtype="uint8",
        faces=wanted,
        options=track_facts(),
        weights=(DETECTOR,),
        licence=DETECTOR_LICENCE,
        source=DETECTOR_SOURCE,
        compress=True,
    )


DEFAULT = FaceInput(RATE_HZ, SIZE_PX)


@register("faces", DEFAULT)
class Faces(Backbone):
    """The crops as they are, uint8 RGB, black and invalid where no face is followed.

    Args:
        wanted: rate, size, margin, alignment and interpolation; by default 224 px at 10 a second,
            30 % margin, bilinear. `faces:rate_hz=30` asks for thirty a second.
    """

    def __init__(self, wanted: FaceInput = DEFAULT) -> None:
        self.spec = faces_spec(wanted)

    def faces(self, block: FaceBlock) -> Slots:
        self.check_faces(block)
        return Slots(block.first_slot, block.crops, block.valid)
