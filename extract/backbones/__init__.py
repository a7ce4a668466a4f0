"""Every backbone of avfd, one file each; importing this package imports none of them.

Others join in two ways: a distribution names a module under the entry-point group
`avfd.backbones`, or `$AVFD_BACKBONE_MODULES` lists importable modules, separated by commas. The
module registers its backbones when it is imported. Worker processes inherit both.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points

from avfd.errors import InputError, MissingError
from extract.backbones._slots import core_slots
from extract.backbones.base import build, names

__all__ = ["ENTRY_POINT_GROUP", "MODULES_VARIABLE", "build", "core_slots", "load_all", "names"]

ENTRY_POINT_GROUP = "avfd.backbones"
MODULES_VARIABLE = "AVFD_BACKBONE_MODULES"


def load_all() -> None:
    """Imports every backbone module, so that the registry is full; a second call does nothing.

    Raises:
        MissingError: a module from outside cannot be found.
        InputError: it is there and fails when it is imported, a name that is taken included.
    """
    for module in _shipped():
        importlib.import_module(module)
    for outside in _from_outside():
        outside.load()


@dataclass(frozen=True)
class _Outside:
    """A module from outside.

    Attributes:
        module: what is imported.
        named_by: who named it, for people.
        next_step: how it is got rid of.
    """

    module: str
    named_by: str
    next_step: str

    def load(self) -> None:
        try:
            importlib.import_module(self.module)
        except Exception as error:
            kind = MissingError if isinstance(error, ModuleNotFoundError) else InputError
            lines = str(error).strip().splitlines() or ["no message"]
            raise kind(
                "a backbone module cannot be imported",
                where=f"{self.module}, named by {self.named_by}",
                found=f"{type(error).__name__}: {lines[0]}",
                next_step=f"mend or install it, or {self.next_step}",
            ) from error


def _shipped() -> Iterator[str]:
    for found in pkgutil.iter_modules(__path__, prefix=f"{__name__}."):
        if not found.name.rpartition(".")[2].startswith("_"):
            yield found.name


def _from_outside() -> Iterator[_Outside]:
    for point in entry_points(group=ENTRY_POINT_GROUP):
        package = point.dist.name if point.dist else "a distribution"
        named_by = f"{package}'s entry point {point.name}"
        yield _Outside(point.module, named_by, f"uninstall {package}")
    for module in os.environ.get(MODULES_VARIABLE, "").split(","):
        if module.strip():
            yield _Outside(module.strip(), MODULES_VARIABLE, f"take it out of {MODULES_VARIABLE}")
