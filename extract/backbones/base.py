"""What a backbone is: facts, and a function from one block of media to slots of numbers."""

from __future__ import annotations

import importlib
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from avfd import asks
from avfd.errors import InputError, MissingError
from avfd.specs import BackboneSpec
from extract.installed import check_installed
from extract.weights.published_names import meant

Span = tuple[float, float]

LOUDEST = 16.0
"""What no decoded sound at full scale 1.0 reaches (24 dB above it, resampling's overshoot
included); 16-bit integers that were never brought to that scale do."""


@dataclass(frozen=True)
class AudioBlock:
    """A stretch of one clip's audio, mono, as the spec's `AudioInput` asks.

    Attributes:
        samples: float32 [n], full scale is 1.0; silence stands where the file has no sound. Set
            read-only, like all that a backbone is given: it may not change what others see.
        sample_rate_hz: rate of `samples`.
        start_seconds: clip time of sample 0.
        core_seconds: the part whose slots are kept; the rest is lead-in and tail.
        covered: spans (clip seconds) where the file really has sound.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    start_seconds: float
    core_seconds: Span
    covered: tuple[Span, ...]

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise InputError(
                "audio is float32 [n]", found=f"{self.samples.dtype} {self.samples.shape}"
            )
        self.samples.setflags(write=False)  # several backbones are given the same block

    @cached_property
    def peak(self) -> float:
        """The largest magnitude, found once however many backbones ask; NaN where one is."""
        if not len(self.samples):
            return 0.0
        return float(np.maximum(self.samples.max(), -self.samples.min()))

    @cached_property
    def whole_numbers(self) -> bool:
        """Whether the samples are whole numbers with some beyond ±1, as integers are.

        Sound at full scale 1.0 goes beyond it, if at all, by fractions; a square wave at full
        scale, or silence, does not go beyond it.
        """
        return self.peak > 1 and bool((self.samples == np.rint(self.samples)).all())


@dataclass(frozen=True)
class FaceBlock:
    """Face crops of consecutive slots of one clip, as the spec's `FaceInput` asks.

    Attributes:
        crops: uint8 [n, size, size, 3], RGB; black where there is no face.
        first_slot: slot of crop 0 at the spec's rate.
        valid: bool [n]; False where no face was followed at that moment.
        lead, tail: crops at the start and at the end that are only shown: they belong to other
            blocks. Given to backbones that ask for them by `crops_around`.
        end_slot: the first slot after the clip's pictures, where it is known: in the last block,
            and in others that their end completes. None: the pictures go on after this block.
    """

    crops: NDArray[np.uint8]
    first_slot: int
    valid: NDArray[np.bool_]
    lead: int = 0
    tail: int = 0
    end_slot: int | None = None

    def __post_init__(self) -> None:
        n = len(self.crops)
        square = self.crops.ndim == 4 and self.crops.shape[1] == self.crops.shape[2]
        if not square or self.crops.shape[3] != 3 or self.crops.dtype != np.uint8:
            raise InputError(
                "crops are uint8 [n, size, size, 3]",
                found=f"{self.crops.dtype} {self.crops.shape}",
            )
        if self.valid.shape != (n,):
            raise InputError("one validity per crop", found=self.valid.shape, accepted=(n,))
        if min(self.lead, self.tail) < 0 or self.lead + self.tail > n:
            raise InputError("more crops around than there are", found=(self.lead, self.tail, n))
        self.crops.setflags(write=False)  # several backbones are given the same block
        self.valid.setflags(write=False)


@dataclass(frozen=True)
class Slots:
    """What a backbone gives back: numbers for consecutive slots.

    Attributes:
        first_slot: slot of row 0; 0 for a clip-level column.
        values: [n, *spec.shape] in the spec's dtype.
        valid: bool [n].
    """

    first_slot: int
    values: NDArray[np.generic]
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.valid):
            raise InputError("one validity per vector", found=(len(self.values), len(self.valid)))


class Backbone(ABC):
    """Turns blocks of one clip into slots; holds no state between clips.

    A block's slots depend on that block alone, so any length runs in bounded memory and a clip's
    numbers never depend on its neighbours. Raise `AbsentError` where the media are there but too
    short or empty for this backbone, `MediaError` where they cannot be used.
    """

    spec: BackboneSpec
    #: Crops before and after a block that its slots depend on.
    crops_around: tuple[int, int] = (0, 0)
    #: Modules that it needs and that come with an extra of the package.
    requires: ClassVar[tuple[str, ...]] = ()
    #: The extra that brings them.
    extra: ClassVar[str] = "networks"

    def check_installed(self) -> None:
        """Refuse where a module is missing, which is known before any file is looked for."""
        check_installed(self.requires, self.extra, self.spec.name)

    def check(self, files: Mapping[str, Path]) -> None:
        """Refuse what cannot work, before a column is made and a clip is touched.

        Args:
            files: as in `load`.

        Raises:
            MissingError: a module is not installed.
            InputError: a model file is damaged or is not this network's.
        """
        self.check_installed()

    def load(self, files: Mapping[str, Path], device: str = "cpu") -> None:  # noqa: B027
        """Make ready in a worker; backbones without model files have nothing to do.

        Args:
            files: weights name → file, one for each of `spec.weights`.
            device: "cpu", "cuda" or "cuda:1".
        """

    def check_audio(self, block: AudioBlock) -> None:
        """Refuses a block that is not at the spec's sample rate, or whose numbers are no sound.

        Raises:
            InputError: another rate; a sample that is not finite or beyond ± `LOUDEST`; or whole
                numbers beyond ±1 only, which are integers however quiet they are.
        """
        wanted = self.spec.audio
        if wanted is None or block.sample_rate_hz != wanted.sample_rate_hz:
            accepted = f"{wanted.sample_rate_hz} Hz" if wanted else "no audio"
            raise InputError(
                "audio at another sample rate",
                where=self.spec.name,
                found=f"{block.sample_rate_hz} Hz",
                accepted=accepted,
            )
        if not block.peak <= LOUDEST or block.whole_numbers:  # so that NaN is refused, too
            kind = "whole numbers" if block.whole_numbers else "samples"
            raise InputError(
                "these samples are no sound at full scale 1.0",
                where=self.spec.name,
                found=f"{kind} up to {block.peak:g}",
                accepted=f"finite numbers of {LOUDEST:g} at the most, not all of them whole where "
                "some are beyond 1",
                next_step="divide 16-bit integers by 32768, and write the file again",
            )

    def check_faces(self, block: FaceBlock) -> None:
        """Refuses crops that are not of the spec's size."""
        wanted = self.spec.faces
        if wanted is None or block.crops.shape[1] != wanted.size_px:
            accepted = f"{wanted.size_px} px" if wanted else "no faces"
            raise InputError(
                "crops of another size",
                where=self.spec.name,
                found=f"{block.crops.shape[1]} px",
                accepted=accepted,
            )

    def check_column(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Refuses vectors that are not those of the column which the spec `reads`.

        Args:
            values, valid: as `column` is given them.

        Raises:
            InputError: another shape or type, or a valid vector that is not finite.
        """
        if self.spec.reads is None:
            raise InputError("no column is read", where=self.spec.name)
        read = self._read_spec
        n = len(values) if values.ndim else 0
        found = f"{values.dtype} {list(values.shape)} with {list(valid.shape)} validities"
        if (values.shape, values.dtype.name, valid.shape) != ((n, *read.shape), read.dtype, (n,)):
            raise InputError(
                "a column of another kind",
                where=self.spec.name,
                found=found,
                accepted=f"{read.name}, {read.dtype} {['n', *read.shape]} with one validity each",
            )
        if not np.isfinite(values[valid]).all():
            raise InputError(
                "the column holds numbers that are not finite",
                where=self.spec.name,
                found=f"NaN or infinity in valid vectors of {read.name}",
                accepted="finite numbers",
                next_step=f"run `avfd cache verify`, or extract {read.name} again",
            )

    @cached_property
    def _read_spec(self) -> BackboneSpec:
        """Of the column that is read; looked up once."""
        reads = str(self.spec.reads)
        if reads not in _REGISTRY:  # where one backbone was imported by itself
            importlib.import_module("extract.backbones").load_all()
        return build(reads).spec

    def audio(self, block: AudioBlock) -> Slots:
        """Slots of an audio block (audio backbones)."""
        raise NotImplementedError(self.spec.name)

    def faces(self, block: FaceBlock) -> Slots:
        """Slots of a block of face crops (video backbones)."""
        raise NotImplementedError(self.spec.name)

    def track(self, rows: NDArray[np.float32], valid: NDArray[np.bool_]) -> Slots:
        """Slots of the face pass itself, from slot 0 on (the backbone that `is_face_pass`).

        Args:
            rows: float32 [n, *spec.shape], one a slot.
            valid: bool [n]; False where no face was followed.
        """
        raise NotImplementedError(self.spec.name)

    def column(self, values: NDArray[np.generic], valid: NDArray[np.bool_]) -> Slots:
        """Slots of a whole clip, from the column that `spec.reads` names; no media are opened.

        Args:
            values: [n, *shape] of that column, one a slot; clip-level: n = 1.
            valid: bool [n].
        """
        raise NotImplementedError(self.spec.name)


def is_face_pass(spec: BackboneSpec) -> bool:
    """Whether the column stores what the face tracker found, and is fed through `track`.

    The spec says so by itself: a video column that asks for no crops and reads no other column
    can only come from the face pass. So no field is needed that every other spec would carry.
    """
    return spec.modality == "video" and spec.faces is None and spec.reads is None


@dataclass(frozen=True)
class _Entry:
    """What makes a backbone: called with its options where it has any, else without."""

    make: Callable[..., Backbone]
    defaults: Any = None


_REGISTRY: dict[str, _Entry] = {}

Made = TypeVar("Made", bound=Callable[..., Backbone])


def register(name: str, defaults: object | None = None) -> Callable[[Made], Made]:
    """Decorator that files a backbone under its name; a duplicate is a bug.

    Args:
        name: what it is asked for by.
        defaults: its options, an instance of a frozen dataclass that is given to what is
            decorated, changed as the user asked (`avfd.asks`); None: it has no options.
    """

    def add(make: Made) -> Made:
        if name in _REGISTRY:
            raise KeyError(f"backbone {name!r} is registered twice")
        _REGISTRY[name] = _Entry(make, defaults)
        return make

    return add


def names() -> list[str]:
    """Every backbone that can be asked for, sorted."""
    return sorted(_REGISTRY)


def defaults_of(name: str) -> object | None:
    """The options of a backbone as they stand if nothing is asked; None where it has none."""
    defaults: object | None = _REGISTRY[name].defaults
    return defaults


def build(text: str) -> Backbone:
    """The backbone that `NAME:key=value,…` asks for; an unknown name lists the known ones."""
    ask = asks.parse(text)
    if ask.name not in _REGISTRY:
        raise MissingError(
            "no such backbone",
            where=ask.name,
            accepted=", ".join(names()),
            next_step=meant(ask.name, names()),
        )
    entry = _REGISTRY[ask.name]
    options = asks.bind(ask, entry.defaults)
    return entry.make() if options is None else entry.make(options)
