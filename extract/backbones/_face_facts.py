"""What decides a face track, as facts for a spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from avfd.specs import Scalar
from extract.faces import TrackOptions

DETECTOR = "blazeface"
DETECTOR_LICENCE = "Apache-2.0 (avfd and the BlazeFace model)"
DETECTOR_SOURCE = "BlazeFace short range (Bazarevsky et al. 2019), run by MediaPipe Tasks"


def track_facts() -> dict[str, Scalar]:
    """Every constant of the tracker that the pipeline runs, one flat name each."""
    return dict(_flat("track", asdict(TrackOptions())))


def _flat(prefix: str, facts: dict[str, object]) -> Iterator[tuple[str, Scalar]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}.{name}", value)
        else:
            assert isinstance(value, str | int | float | None)
            yield f"{prefix}.{name}", value
