"""BlazeFace, the face detector."""

from __future__ import annotations

from extract.weights.facts import Weights, WheelMember

WEIGHTS = (
    Weights(
        name="blazeface",
        file_name="blaze_face_short_range.tflite",
        sha256=(
            "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
            "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
        ),
        size_bytes=229_746,
        licence="Apache-2.0",
        source="Google MediaPipe, BlazeFace short range (Bazarevsky et al. 2019)",
        needed_by=(
            *("face_track", "faces", "efficientface", "emo-cnn3d"),
            *("marlin-small", "marlin-base", "marlin-large"),
            *("marlin-small-tokens", "marlin-base-tokens", "marlin-large-tokens"),
        ),
        urls=(
            "https://storage.googleapis.com/mediapipe-models/face_detector/"
            "blaze_face_short_range/float16/1/blaze_face_short_range.tflite",
        ),
        wheel=WheelMember(
            "mediapipe==0.10.21",
            "mediapipe/modules/face_detection/face_detection_short_range.tflite",
            ("3.11", "cp", "cp311", "manylinux_2_28_x86_64"),
        ),
    ),
)
