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
from importlib.metadata import entry_points

from avfd.errors import MissingError
from extract.backbones._slots import core_slots
from extract.backbones.base import build, names

__all__ = ["ENTRY_POINT_GROUP", "MODULES_VARIABLE", "build", "core_slots", "load_all", "names"]

ENTRY_POINT_GROUP = "avfd.backbones"
MODULES_VARIABLE = "AVFD_BACKBONE_MODULES"


def load_all() -> None:
    """Imports every backbone module, so that the registry is full; a second call does nothing.

    Raises:
        MissingError: a module from outside cannot be found.
    """
    for module in _shipped():
        importlib.import_module(module)
    for module in _from_outside():
        _import_outside(module)


def _shipped() -> Iterator[str]:
    for found in pkgutil.iter_modules(__path__, prefix=f"{__name__}."):
        if not found.name.rpartition(".")[2].startswith("_"):
            yield found.name


def _from_outside() -> Iterator[str]:
    for point in entry_points(group=ENTRY_POINT_GROUP):
        yield point.module
    for module in os.environ.get(MODULES_VARIABLE, "").split(","):
        if module.strip():
            yield module.strip()


def _import_outside(module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingError(
            "a backbone module cannot be imported",
            where=module,
            found=str(error),
            next_step=f"install it, or take it out of {MODULES_VARIABLE}",
        ) from error
