"""What the numbers of every estimator's settings may be: `--model NAME:key=value`.

One table by the setting's name, `RANGES`; what an estimator means otherwise by a name stands in
`EXCEPTIONS`. A new setting that is a number needs a line here, else its test says so. The upper
ends are far beyond what anybody has tried: they keep slips of the keyboard from filling the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from avfd.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Number = int | float


@dataclass(frozen=True)
class Range:
    """Numbers from one end to the other.

    Attributes:
        low, high: the ends.
        open_low, open_high: that end itself does not count.
        odd: only odd numbers count.
    """

    low: Number
    high: Number
    open_low: bool = False
    open_high: bool = False
    odd: bool = False

    def __contains__(self, value: Number) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and (not self.odd or value % 2 == 1)

    def __str__(self) -> str:
        """In words.

        >>> str(Range(0, 1, open_low=True))
        'above 0, up to 1'
        """
        low = f"above {_plain(self.low)}" if self.open_low else f"{_plain(self.low)} or more"
        high = f"below {_plain(self.high)}" if self.open_high else f"up to {_plain(self.high)}"
        return f"{low}, {high}, odd" if self.odd else f"{low}, {high}"


def _plain(number: Number) -> str:
    """Without an exponent and without needless digits."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


SHARE = Range(0, 1)
SOME_SHARE = Range(0, 1, open_low=True)
BELOW_ONE = Range(0, 1, open_high=True)
"""A share that is dropped is never all; beta and momentum forget something."""
COUNT = Range(1, 100_000)
COUNT_OR_OFF = Range(0, 100_000)
"""0 is "never", "none" or "all", as the setting's docstring says."""
WIDTH = Range(1, 16_384)
"""Units or channels of a layer."""
LAYERS = Range(1, 64)
HEADS = Range(1, 1024)
RATE_HZ = Range(1, 1000)
SIDE_PX = Range(1, 1024)
FRAME_PX = Range(8, 1024)
"""Of a side that is pooled: something must be left."""
SECONDS = Range(1, 3600)
MORE_THAN_NO_SECONDS = Range(0, 3600, open_low=True)
AMOUNT = Range(0, 100)
"""0 does nothing."""
LEARNING_RATE = Range(0, 10)
"""At 0 nothing moves: a network as it starts can be looked at."""

RANGES: Mapping[str, Range] = {
    # Training
    "epochs": COUNT,
    "patience": COUNT_OR_OFF,
    "batch": COUNT,
    "learning_rate": LEARNING_RATE,
    "weight_decay": AMOUNT,
    "beta1": BELOW_ONE,
    "beta2": BELOW_ONE,
    "momentum": BELOW_ONE,
    "dampening": SHARE,
    "clip_norm": Range(0, 1_000_000),
    "decay": Range(0, 1, open_low=True, open_high=True),
    "plateau_patience": COUNT_OR_OFF,
    "milestones": COUNT,
    "lowest_rate": Range(0, 10),
    "stop_rate": Range(0, 10),
    "threads": Range(1, 256),
    # What is dropped and what is drawn
    "dropout": BELOW_ONE,
    "embedding_dropout": BELOW_ONE,
    "drop": BELOW_ONE,
    "lost": BELOW_ONE,
    "modality_dropout": SHARE,
    "pseudo_fakes": SHARE,
    "r_min": SHARE,
    "r_max": SHARE,
    "least_valid": SHARE,
    "train_seconds": Range(0, 3600),
    "train_stacks": COUNT_OR_OFF,
    "focal_gamma": AMOUNT,
    "weight_whole": AMOUNT,
    "weight_video": AMOUNT,
    "weight_audio": AMOUNT,
    # Augmentation
    "mask_slots": COUNT_OR_OFF,
    "mask_bands": COUNT_OR_OFF,
    "shift_bands": COUNT_OR_OFF,
    "level": AMOUNT,
    "mix": AMOUNT,
    "quiet": AMOUNT,
    # What is seen of a clip
    "rate_hz": RATE_HZ,
    "frames_hz": RATE_HZ,
    "seconds": SECONDS,
    "hop_seconds": SECONDS,
    "frames": COUNT,
    "steps": COUNT,
    "step_frames": COUNT,
    "at_once": COUNT,
    "quantiles": Range(2, 10_000),
    "size_px": SIDE_PX,
    "patch_px": SIDE_PX,
    "long_px": SIDE_PX,
    "short_px": SIDE_PX,
    "rows": FRAME_PX,
    "columns": FRAME_PX,
    "map_size": Range(0, 64),
    # Networks
    "width": WIDTH,
    "widths": WIDTH,
    "units": WIDTH,
    "first_units": WIDTH,
    "second_units": WIDTH,
    "third_units": WIDTH,
    "dense_units": WIDTH,
    "hidden": WIDTH,
    "audio_width": Range(0, 16_384),
    "audio_stage": WIDTH,
    "video_stage": WIDTH,
    "channels": Range(2, 16_384),
    "filters": WIDTH,
    "first_sets": WIDTH,
    "second_per_set": WIDTH,
    "feed_forward": WIDTH,
    "head_dim": WIDTH,
    "fusion_intermediate": Range(0, 16_384),
    "depth": LAYERS,
    "blocks": LAYERS,
    "fusion_layers": LAYERS,
    "heads": HEADS,
    "fusion_heads": HEADS,
    "kernel_frames": Range(1, 99, odd=True),
    "kernel_px": Range(1, 99, odd=True),
    "pool_px": Range(1, FRAME_PX.low),
    "pool_frames": Range(1, 2),
    "audio_kernel": COUNT,
    "audio_stride": COUNT,
    "norm_momentum": SOME_SHARE,
    # Classifiers of vectors
    "rounds": COUNT,
    "leaves": Range(2, 131_072),
    "min_leaf": COUNT,
    "feature_share": SOME_SHARE,
    "l2": Range(0, 1_000_000),
    "c": Range(0, 1_000_000, open_low=True),
    "limit_seconds": Range(0, 86_400),
}
"""Setting → its range; of several numbers (`widths=32+64`) each must lie in it."""

EXCEPTIONS: Mapping[tuple[str, str], Range] = {
    ("cnn3d-frames", "channels"): Range(1, 3, odd=True),
    ("iat", "frames"): COUNT_OR_OFF,
    ("iat", "seconds"): MORE_THAN_NO_SECONDS,
    ("iat", "width"): Range(1 / 64, 16),
    ("syncstream", "width"): Range(1, 2048),
}
"""(estimator, setting) → its range, where the name means something else than elsewhere."""


def range_of(estimator: str, setting: str) -> Range | None:
    """The range of a setting; None where there is no such number."""
    return EXCEPTIONS.get((estimator, setting)) or RANGES.get(setting)


def check_ranges(estimator: str, settings: DataclassInstance | None) -> None:
    """Refuse settings of which a number lies outside its range.

    Args:
        estimator: its own name.
        settings: None where it has none.

    Raises:
        InputError: such a number.
    """
    for field in fields(settings) if settings is not None else ():
        accepted = range_of(estimator, field.name)
        for number in numbers(getattr(settings, field.name)):
            if accepted is not None and number not in accepted:
                raise InputError(
                    "out of range",
                    where=f"model {estimator}, {field.name}",
                    found=number,
                    accepted=str(accepted),
                )


def numbers(value: object) -> list[Number]:
    """The numbers in a setting: itself, those of a tuple, or none; truth values are no numbers."""
    several = value if isinstance(value, tuple) else (value,)
    return [v for v in several if isinstance(v, int | float) and not isinstance(v, bool)]
