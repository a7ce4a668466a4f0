"""Facts of model files as data, one file a family in `known/`; importing this imports no torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from avfd.errors import MissingError
from extract.weights import known
from extract.weights.published_names import meant

if TYPE_CHECKING:
    from torch import Tensor

Origin = Literal["published", "unverified", "other", "trained here", "of no run", "for tests"]
"""What is known of a file: its digest is a published one; no digest was ever published; a digest
was, and this is another file; a run of `avfd fit` wrote it; only such a run makes weights of that
name, and nothing says that one made these; nobody publishes weights of that name, so they are
random or somebody's own."""


NOBODY = "nobody publishes"
"""Stands in the source of weights that only tests and slow machines have."""


@dataclass(frozen=True)
class WheelMember:
    """A file inside a wheel of the Python package index.

    Attributes:
        requirement: name and version of the package.
        member: path inside the wheel.
        tags: the wheel's Python version, implementation, ABI and platform. The file is the same
            in all of them, so one is named and the machine's own do not matter.
    """

    requirement: str
    member: str
    tags: tuple[str, str, str, str]


class Checkpoint(Protocol):
    """How a published checkpoint becomes the tensors that our network loads, strictly.

    `extract.weights.unwrapping.unwrapped` takes the usual wrappers off; one that also has
    `formulas` (`extract.weights.checking.Computed`) has them checked.
    """

    def expected(self) -> Mapping[str, tuple[int, ...]]:
        """Name → shape of every tensor that the network has."""

    def clean(self, raw: Mapping[str, Any]) -> dict[str, Tensor]:
        """The network's tensors out of a file's content, wrappers and prefixes taken off.

        Only what is known not to belong to the network (decoders, optimiser state) is dropped;
        whatever else is left over stays, so that it is reported.
        """


@dataclass(frozen=True)
class Weights:
    """Facts of a model file.

    Attributes:
        name: how backbones and the command line call it.
        file_name: what it is called in a weights folder.
        sha256: digests of the published files that are accepted; none where none is known: then
            any file is taken, as "unverified".
        size_bytes: about how large it is.
        licence, source: of the file; who made it and where it is to be had.
        needed_by: the columns that need it.
        urls: where it can be downloaded; none where only a person can fetch it.
        wheel: a wheel that carries it, None where none does.
        checkpoint: "module:NAME" of the `Checkpoint` that reads it; None: it is used as it is, and
            what is in it is the backbone's to check.
        trained_here: a run of `avfd fit` makes it; nobody publishes it.
        trained_as: what `avfd fit` calls its model, where not as the column that needs it.
    """

    name: str
    file_name: str
    sha256: tuple[str, ...]
    size_bytes: int
    licence: str
    source: str
    needed_by: tuple[str, ...]
    urls: tuple[str, ...] = ()
    wheel: WheelMember | None = None
    checkpoint: str | None = None
    trained_here: bool = False
    trained_as: str | None = None

    @property
    def for_tests(self) -> bool:
        """Whether the network is a small one that nobody publishes."""
        return NOBODY in self.source

    def reader(self) -> Checkpoint:
        """The `Checkpoint`, imported."""
        module, _, name = (self.checkpoint or "").partition(":")
        return cast("Checkpoint", getattr(importlib.import_module(module), name))

    def origin_of(self, sha256: str) -> Origin:
        """What a file of that digest is."""
        if self.for_tests:
            return "for tests"
        if self.trained_here:
            return "of no run"
        if not self.sha256:
            return "unverified"
        return "published" if sha256 in self.sha256 else "other"

    def said_of(self, origin: Origin) -> str:
        """An origin in words, for people."""
        if origin == "of no run":
            return f"{origin}: nothing says that a run of avfd fit made it"
        if origin != "other":
            return origin
        published = ", ".join(digest[:12] for digest in self.sha256)
        return f"other: not made from the published file, {published}"

    @property
    def fetched(self) -> bool:
        """Whether `pull` has a road to it."""
        return bool(self.urls or self.wheel)

    @property
    def next_step(self) -> str:
        """What brings the file."""
        if self.for_tests:
            name = self.needed_by[0]
            return (
                f"ask for {name} without preset=small, which is for tests: {NOBODY} its weights"
                + (
                    f", and {name} takes those that `avfd fit --preset small` trained"
                    if self.trained_here
                    else ""
                )
                + f"; a file of your own comes in with `avfd weights add FILE --as {self.name}`"
            )
        if self.trained_here:
            return (
                "train it with `avfd fit --target emotion --model "
                f"{self.trained_as or self.needed_by[0]}` and "
                "name the run with --weights"
            )
        if self.fetched:
            return (
                f"run `avfd weights pull {self.name}`, or `avfd weights add FILE --as {self.name}`"
            )
        return f"fetch it ({self.source}) and run `avfd weights add FILE --as {self.name}`"


@dataclass(frozen=True)
class WeightsFile:
    """A model file found on disk, with the sha256 of its bytes.

    Attributes:
        card: what is known of it beside: of a trained one its data, training keys and score.
        replaced_sha256: of what `add` wrote, the digest of another file that lay there before.
    """

    path: Path
    sha256: str
    origin: Origin = "published"
    card: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    replaced_sha256: str | None = field(default=None, compare=False)

    @property
    def made_from_sha256(self) -> str | None:
        """Digest of the file as it was fetched or added; None where the card does not say.

        A card that is another file's says nothing of this one.
        """
        if not self.card:
            return self.sha256
        if self.card.get("file", {}).get("sha256") != self.sha256:
            return None
        added: Mapping[str, Any] = self.card.get("added_from", {})
        digest: str | None = added.get("sha256")
        return digest

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the card says of the network itself; all of it enters a column's fingerprint."""
        settings = self.card.get("settings")
        return settings if isinstance(settings, Mapping) else {}


def _known() -> Iterator[Weights]:
    for found in pkgutil.iter_modules(known.__path__, prefix=f"{known.__name__}."):
        yield from importlib.import_module(found.name).WEIGHTS


TABLE: dict[str, Weights] = {weights.name: weights for weights in _known()}


def register(*made: Weights) -> None:
    """Add the model files of a backbone from outside; a name that is taken is a bug."""
    for weights in made:
        if TABLE.setdefault(weights.name, weights) is not weights:
            raise KeyError(f"weights {weights.name!r} are registered twice")


def facts(name: str) -> Weights:
    """The facts of a model file; an unknown name lists the known ones."""
    if name not in TABLE:
        raise MissingError(
            "no such weights",
            where=name,
            accepted=", ".join(sorted(TABLE)),
            next_step=meant(name, sorted(TABLE)),
        )
    return TABLE[name]
