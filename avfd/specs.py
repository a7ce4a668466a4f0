"""Facts of a backbone as data, and the fingerprint made from them.

Whatever changes the numbers of a column stands in its `BackboneSpec`: the fingerprint is the
sha256 of the spec's canonical JSON together with the sha256 of every model file used, and with the
settings on its card where a network was trained here. Library versions are recorded beside it, not
hashed; when output changes, raise `revision`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from avfd.errors import InputError

Status = Literal[0, 1, 2, 3]
PENDING, DONE, FAILED, ABSENT = 0, 1, 2, 3
STATUS_NAMES = {PENDING: "pending", DONE: "done", FAILED: "failed", ABSENT: "absent"}

PROSE = ("summary", "licence", "source")
"""Fields of a spec that do not decide a column's numbers."""

MAX_RATE_HZ, MAX_SIZE_PX, MAX_MARGIN = 240, 2048, 4
"""Of face crops; beyond them something was mistyped."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class AudioInput:
    """What audio a backbone is given.

    Attributes:
        sample_rate_hz: rate of the samples; resampled once from native by `resampler`.
        downmix: "mean" is the plain mean of all channels.
        resampler: "soxr-hq", libsoxr's high-quality recipe.
        block_seconds: longest stretch seen at once; None: the whole clip at once.
        lead_seconds, tail_seconds: media before and after a block that its numbers may depend on.
    """

    sample_rate_hz: int
    downmix: Literal["mean"] = "mean"
    resampler: Literal["soxr-hq"] = "soxr-hq"
    block_seconds: float | None = 600.0
    lead_seconds: float = 10.0
    tail_seconds: float = 1.0


@dataclass(frozen=True)
class FaceInput:
    """What face crops a backbone is given.

    Attributes:
        rate_hz: crops a second; slot i shows the frame on screen at the slot's centre.
        size_px: side of the square crop.
        margin: how much larger than the face box the crop is, 0.3 = 30 % on the longer side.
        align: "none", or "eyes" to rotate the eyes level.
        interpolation: how the crop is resized.
    """

    rate_hz: int
    size_px: int
    margin: float = 0.3
    align: Literal["none", "eyes"] = "none"
    interpolation: Literal["bilinear", "bicubic", "area"] = "bilinear"

    def __post_init__(self) -> None:
        sizes = 1 <= self.rate_hz <= MAX_RATE_HZ and 1 <= self.size_px <= MAX_SIZE_PX
        if not sizes or not 0 <= self.margin <= MAX_MARGIN:
            raise InputError(
                "no such face crops",
                found=f"{self.rate_hz} a second, {self.size_px} px, margin {self.margin}",
                accepted=f"rate_hz 1-{MAX_RATE_HZ}, size_px 1-{MAX_SIZE_PX}, margin 0-{MAX_MARGIN}",
            )


@dataclass(frozen=True)
class BackboneSpec:
    """The facts of one backbone.

    Attributes:
        name: column name and registry name.
        revision: raised whenever the same options give other numbers.
        modality: "audio" or "video".
        summary: one line for people.
        rate_hz: vectors a second; 0 for a clip-level column (one vector a clip).
        shape: shape of one vector; () for a scalar.
        dtype: numpy name of the stored dtype.
        audio, faces: what media it is given; both None where it reads another column only.
        reads: name of the backbone whose column it reads instead of media.
        options: every preprocessing constant that is not in the inputs.
        weights: names in the weights table of the model files it needs.
        licence, source: of the backbone's code and weights; where it comes from.
        compress: store with zstd (pixels) instead of raw.
    """

    name: str
    revision: int
    modality: Literal["audio", "video"]
    summary: str
    rate_hz: int
    shape: tuple[int, ...]
    dtype: str = "float32"
    audio: AudioInput | None = None
    faces: FaceInput | None = None
    reads: str | None = None
    options: dict[str, Scalar] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    source: str = ""
    compress: bool = False

    def __post_init__(self) -> None:
        if self.rate_hz < 0 or any(size < 1 for size in self.shape):
            raise InputError(
                "no such column",
                where=self.name,
                found=f"{self.rate_hz} vectors a second of shape {self.shape}",
                accepted="0 or more a second, every side 1 or more",
            )

    @property
    def clip_level(self) -> bool:
        """One vector a clip instead of vectors a second."""
        return self.rate_hz == 0

    def hashed(self) -> dict[str, object]:
        """The part of the spec that decides the numbers."""
        facts = asdict(self)
        return {name: value for name, value in facts.items() if name not in PROSE}

    def fingerprint(
        self,
        weights_sha256: dict[str, str],
        read_fingerprint: str = "",
        settings: Mapping[str, Mapping[str, object]] | None = None,
    ) -> str:
        """sha256 over the spec, its model files and what made the column that it reads.

        Args:
            weights_sha256: weights name → sha256 of the file, one for each of `weights`.
            read_fingerprint: fingerprint of the backbone that `reads` names.
            settings: weights name → what the file's card says of the network, as JSON values;
                those that say nothing may be left out.
        """
        if bool(self.reads) != bool(read_fingerprint):
            raise ValueError(f"{self.name} reads {self.reads}, fingerprint {read_fingerprint!r}")
        missing = set(self.weights) - set(weights_sha256)
        if missing:
            raise KeyError(f"no sha256 for {sorted(missing)}")
        used = {name: weights_sha256[name] for name in self.weights}
        facts: dict[str, object] = {"spec": self.hashed(), "weights": used}
        if read_fingerprint:
            facts["reads"] = read_fingerprint
        if said := {name: dict(each) for name, each in (settings or {}).items() if each}:
            facts["settings"] = said
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
