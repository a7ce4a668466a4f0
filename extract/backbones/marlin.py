"""MARLIN: how a face moves, second by second; one vector, or eight temporal tokens.

Cai et al., "MARLIN: Masked Autoencoder for facial video Representation LearnINg", CVPR 2023. The
network here is written from facts; its published weights are CC BY-NC 4.0: no commercial use.
2D3MF takes the pooled vectors (FACTS.md, section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from avfd.errors import AbsentError, InputError
from avfd.specs import MAX_MARGIN, MAX_RATE_HZ, BackboneSpec, FaceInput
from extract.backbones._face_facts import DETECTOR, track_facts
from extract.backbones._marlin_windows import (
    FRAMES,
    LEAST_SEEN,
    SPAN,
    Cut,
    Filled,
    filled,
    published_windows,
    second_windows,
    slots_of,
)
from extract.backbones._network import NetworkBackbone, NetworkOptions, Windows
from extract.backbones._ranges import check_ranges
from extract.backbones.base import FaceBlock, Slots, register
from extract.nets.marlin_settings import BASE, LARGE, SMALL, TINY, TUBELET, MarlinSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

STEPS = FRAMES // TUBELET  # temporal tokens of a window: 8


@dataclass(frozen=True)
class MarlinOptions(NetworkOptions):
    """What MARLIN can be told.

    Attributes:
        windows: "second": 16 of the 32 frames that a second has at 32 a second, every other one.
            "published": 16 of each 32 frames at `fps`, as MARLIN's own code cuts them; a window is
            1.28 s at 25 a second, and a slot has the one that covers its centre.
        fps: frames a second, of published windows only; the films' own rate gives the films'
            frames.
        margin: how much wider than the longer side of the face box a crop is. 0 is the published
            rule, but its detector's boxes are wider: 0.2 gives crops of the published size.
        norm: take tokens after the network's last normalisation.
    """

    windows: Literal["second", "published"] = "second"
    fps: int = 25
    margin: float = 0.2
    norm: bool = False

    def __post_init__(self) -> None:
        check_ranges("marlin", self, {"fps": (1, MAX_RATE_HZ), "margin": (0, MAX_MARGIN)})
        if self.windows == "second" and self.fps != type(self).fps:
            raise InputError(
                "these options do not fit each other",
                where="marlin",
                found=f"fps={self.fps}, windows={self.windows}",
                accepted="fps with windows=published; a window of a second has 32 crops",
            )

    @property
    def frames_hz(self) -> int:
        """Crops a second."""
        return SPAN if self.windows == "second" else self.fps


POOLED = MarlinOptions()
TOKENS = MarlinOptions(norm=True)


class Marlin(NetworkBackbone):
    """A vector for each second: the mean over all tokens of its window, before the last norm.

    At least 8 of a window's 16 frames must show the face, else it is not valid; a frame without
    takes the nearest one that has it.
    """

    at_once = 2
    name: ClassVar[str]
    settings: ClassVar[MarlinSettings]
    units: ClassVar[int] = 1
    options: MarlinOptions

    def __init__(self, options: MarlinOptions = POOLED) -> None:
        self.options = options
        small = options.preset == "small"
        self.size = TINY if small else self.settings
        self.weights = "marlin-tiny" if small else self.name.removesuffix("-tokens")
        if options.windows == "published":
            self.crops_around = (0, SPAN)
        what = "temporal tokens" if self.units > 1 else "mean token"
        self.spec = BackboneSpec(
            name=self.name,
            revision=1,
            modality="video",
            summary=f"MARLIN: {what} of each {options.windows} window of 16 face crops",
            rate_hz=self.units,
            shape=(self.size.dim,),
            faces=FaceInput(options.frames_hz, self.size.size_px, options.margin),
            options={
                "precision": options.precision,
                "preset": options.preset,
                "windows": options.windows,
                "frames": FRAMES,
                "frame_step": SPAN // FRAMES,
                "least_seen": LEAST_SEEN,
                "not_seen": "nearest of the window",
                "scale": 1 / 255,
                "norm": options.norm,
                "slot_of_window": "covers its centre",
                **track_facts(),
            },
            weights=(DETECTOR, self.weights),
            licence="CC BY-NC 4.0 (MARLIN's weights): no commercial use",
            source="MARLIN (Cai et al., CVPR 2023), github.com/ControlNet/MARLIN",
        )

    def build_network(self, states: Mapping[str, Mapping[str, Tensor]]) -> nn.Module:
        from extract.nets import marlin
        from extract.nets.loading import loaded

        make = partial(marlin.Marlin, self.size)
        return loaded(make, states[self.weights], self.weights)

    def windows(self, block: FaceBlock) -> Windows:
        """The crops of each window, uint8 [n, 16, size, size, 3]."""
        cut = self._cut(block)
        shown = filled(cut.frames, block)
        if not shown.kept.any():
            raise AbsentError(
                f"too few frames show a face for {self.name}",
                accepted=f"{LEAST_SEEN} of the {FRAMES} of a window",
            )
        first, window, unit = slots_of(cut, self.units, self.spec.rate_hz, self.options.frames_hz)
        if not len(window):
            raise AbsentError(f"too short for {self.name}: no window reaches the middle of a slot")
        valid = self._seen(shown)[window, unit] & shown.kept[window]
        facts = {"kept": shown.kept, "window": window, "unit": unit}
        return Windows(block.crops[shown.crops[shown.kept]], first, valid, facts)

    def _cut(self, block: FaceBlock) -> Cut:
        if self.options.windows == "second":
            return second_windows(block)
        first = block.first_slot + block.lead
        stop = block.first_slot + len(block.crops) - block.tail
        return published_windows(first, stop, block.end_slot)

    def _seen(self, shown: Filled) -> NDArray[np.bool_]:
        """Whether a frame of each unit shows the face, [n, units]."""
        parts = shown.seen.reshape(len(shown.seen), self.units, -1)
        return np.asarray(parts.any(axis=2))

    def forward(self, inputs: Tensor) -> Tensor:
        """Means over the tokens of each unit, [n, units, dim]."""
        tokens: Tensor = self.network(inputs, norm=self.options.norm)
        means: Tensor = tokens.reshape(len(tokens), self.units, -1, self.size.dim).mean(dim=2)
        return means

    def slots(self, windows: Windows, outputs: NDArray[np.float32]) -> Slots:
        facts = windows.facts
        every = np.zeros((len(facts["kept"]), *outputs.shape[1:]), dtype=np.float32)
        every[facts["kept"]] = outputs
        values = np.where(windows.valid[:, None], every[facts["window"], facts["unit"]], 0)
        return Slots(windows.first_slot, values.astype(np.float32), windows.valid)


class MarlinTokens(Marlin):
    """Eight temporal tokens a second: means over a picture's 196 tokens, after the last norm.

    A token is valid where its window is and one of its two frames shows the face itself.
    """

    units = STEPS

    def __init__(self, options: MarlinOptions = TOKENS) -> None:
        super().__init__(options)


@register("marlin-small", POOLED)
class MarlinSmall(Marlin):
    name, settings = "marlin-small", SMALL


@register("marlin-base", POOLED)
class MarlinBase(Marlin):
    name, settings = "marlin-base", BASE


@register("marlin-large", POOLED)
class MarlinLarge(Marlin):
    name, settings = "marlin-large", LARGE


@register("marlin-small-tokens", TOKENS)
class MarlinSmallTokens(MarlinTokens):
    name, settings = "marlin-small-tokens", SMALL


@register("marlin-base-tokens", TOKENS)
class MarlinBaseTokens(MarlinTokens):
    name, settings = "marlin-base-tokens", BASE


@register("marlin-large-tokens", TOKENS)
class MarlinLargeTokens(MarlinTokens):
    name, settings = "marlin-large-tokens", LARGE
