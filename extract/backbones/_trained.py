"""Networks that a run of `avfd fit` trained: their settings stand on the card beside the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from avfd.errors import AvfdError, InputError
from extract.backbones._network import NetworkBackbone
from extract.weights.finding import card_path, read_card

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
        """Refuse what cannot work; only loading shows it, as the card decides the sizes."""
        super().check(files)
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
