"""Networks that a run of `avfd fit` trained: their settings stand on the card beside the file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from avfd.errors import AvfdError, InputError
from avfd.specs import BackboneSpec
from extract.backbones._network import NetworkBackbone
from extract.backbones._trained_on import check_column, check_crops
from extract.backbones.base import build
from extract.weights.finding import card_path, read_card

log = logging.getLogger(__name__)

Settings = TypeVar("Settings", bound=Any)


class TrainedBackbone(NetworkBackbone):
    """A network whose sizes the run decided that trained it.

    What a column is like (shape, rate, windows) stands in the options; the rest, layers inside
    and activations, comes from the card. Without a card it is as published or as the paper has it.

    Attributes:
        cards: weights name → what stands on the card.
    """

    cards: Mapping[str, Mapping[str, Any]]

    def check(self, files: Mapping[str, Path]) -> None:
        """Refuse what cannot work, or saw something else in training than it would see here.

        The first only loading shows, as the card decides the sizes.
        """
        super().check(files)
        for name, path in files.items():
            self.check_trained_on(name, path)
        try:
            self.load(files)
        except AvfdError:
            raise
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise InputError(
                "the card beside the weights describes no network",
                where=", ".join(str(card_path(path)) for path in files.values()),
                found=str(error).partition("\n")[0],
                next_step="take the file and its card as `avfd fit` wrote them",
            ) from error

    def load(self, files: Mapping[str, Path], device: str = "cpu") -> None:
        self.cards = {name: read_card(path) for name, path in files.items()}
        self._paths = dict(files)
        super().load(files, device)

    def check_trained_on(self, weights: str, path: Path) -> None:
        """Refuse weights whose card says that they saw something else than they would see here.

        Of a run's card that says nothing of it, a warning.

        Args:
            weights: name of the file.
            path: the file.
        """
        card = read_card(path)
        inputs = card.get("inputs")
        if not inputs:
            if card.get("origin") == "trained here":
                log.warning(
                    "the card of %s does not say how the column was made that it was trained on, "
                    "so what it sees here may be something else: train it again to be sure",
                    path,
                )
            return
        try:
            for trained in inputs.values():
                if self.spec.reads:
                    check_column(trained, self.spec, self._read, path)
                else:
                    check_crops(trained, self.spec, self._given, path)
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(
                "the card of the weights does not say what they were trained on",
                where=path,
                found=f"inputs: {inputs}",
                next_step="take the file and its card as `avfd fit` wrote them",
            ) from error

    @property
    def _read(self) -> BackboneSpec:
        """Of the column that it reads."""
        from extract.backbones import load_all

        load_all()
        assert self.spec.reads
        return build(self.spec.reads).spec

    @property
    def _given(self) -> dict[str, object]:
        """Options that are not the default ones."""
        own = {f.name: getattr(self.options, f.name) for f in fields(self.options)}
        default = type(self.options)()
        return {name: value for name, value in own.items() if value != getattr(default, name)}

    def check_read(self, weights: str, shape: tuple[int, ...]) -> None:
        """Refuse weights that were trained on vectors of another shape than the column's."""
        read = self._read
        if shape != read.shape:
            raise InputError(
                "the network was trained on another column than it would read here",
                where=self._paths[weights],
                found=f"trained on vectors of {list(shape)}",
                accepted=f"{list(read.shape)}, as {read.name} has them",
                next_step=f"train it again with --audio {read.name}",
            )

    def trained(self, weights: str, settings: Settings) -> Settings:
        """The settings with what the card says instead.

        Args:
            weights: name of the file.
            settings: a frozen dataclass: as they are where nothing is said.

        Raises:
            InputError: the card says what these settings do not know.
        """
        said = self.cards[weights].get("settings", {})
        known = get_type_hints(type(settings))
        if not isinstance(said, Mapping):
            raise TypeError(f"settings: {said}")
        said = {n: v for n, v in said.items() if n not in getattr(settings, "retired", ())}
        odd = [f"{name}={said[name]!r}" for name in said if not _fits(said[name], known.get(name))]
        if unknown := sorted(set(said) - set(known)):
            raise InputError(
                "the card beside the weights has settings that this network does not know",
                where=card_path(self._paths[weights]),
                found=", ".join(unknown),
                accepted=", ".join(sorted(known)),
                next_step="train it again with this version, or extract with the one that wrote it",
            )
        if odd:
            raise ValueError(", ".join(odd))
        return replace(settings, **said)

    def check_told(self, weights: str, option: str, trained: object, told: object) -> None:
        """Refuse weights that were trained for another value of an option."""
        if trained != told:
            raise InputError(
                "the weights were trained otherwise than the backbone is asked for",
                where=self._paths[weights],
                found=f"{option}={trained}",
                accepted=f"{option}={told}",
                next_step=f"ask for {self.spec.name}:{option}={trained}",
            )


def _fits(value: object, kind: Any) -> bool:
    """Whether a value on a card can be that of a setting of this type."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return not isinstance(kind, type) or isinstance(value, kind)
