"""Taking columns, or clips out of columns; a collection then frees what nothing else holds.

Everything here but `is_empty` changes a column and runs inside one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import zarr

from avfd.cache.gc import empty_rows
from avfd.cache.layout import ClipArrays, array, column_group, column_names
from avfd.cache.records import Dropped
from avfd.cache.writer import reset_entries
from avfd.errors import InputError, MissingError
from avfd.specs import DONE


def is_empty(group: zarr.Group) -> bool:
    """Whether no clip of the column is done, failed or absent."""
    return not array(group, "status")[:].any()


def drop_columns(root: zarr.Group, columns: Sequence[str]) -> list[Dropped]:
    """Remove whole columns.

    Raises:
        MissingError: one is not there.
        InputError: a column that stays reads one of them.
    """
    names = list(dict.fromkeys(columns))
    _check_known(root, names)
    _check_unread(root, names)
    dropped = [_measured(column_group(root, name), name) for name in names]
    for name in names:
        del root[name]
    return dropped


def drop_clips(root: zarr.Group, columns: Sequence[str], keys: Sequence[str]) -> list[Dropped]:
    """Empty the clips' rows in columns and set them pending, their retired entries too.

    Args:
        columns: none: all there are.

    Raises:
        MissingError: a column or a clip is not there.
    """
    _check_known(root, columns)
    clips = ClipArrays.load(root)
    if unknown := set(keys) - set(clips.key.tolist()):
        raise MissingError(
            f"{len(unknown)} of {len(set(keys))} clips are not in the cache",
            where="--clips",
            found=", ".join(sorted(unknown)[:3]),
            accepted="clip keys, as the clip table has them, one a line",
        )
    wanted = set(keys)
    entries = np.flatnonzero([key in wanted for key in clips.key.tolist()])
    names = dict.fromkeys(columns or column_names(root))
    return [_emptied(column_group(root, name), name, clips, entries) for name in names]


def _emptied(
    group: zarr.Group,
    name: str,
    clips: ClipArrays,
    entries: np.ndarray[tuple[int], np.dtype[np.intp]],
) -> Dropped:
    status = array(group, "status")[:]
    held = entries[entries < len(status)]
    done = held[status[held] == DONE]
    empty_rows(group, clips, done)
    reset_entries(group, held)
    return Dropped(name, len(done), None)


def _measured(group: zarr.Group, name: str) -> Dropped:
    done = int((array(group, "status")[:] == DONE).sum())
    return Dropped(name, done, sum(each.nbytes_stored() for _, each in group.arrays()))


def _check_known(root: zarr.Group, columns: Sequence[str]) -> None:
    known = column_names(root)
    for name in columns:
        if name not in known:
            raise MissingError(
                "no such column in the cache",
                where=name,
                accepted=", ".join(known) or "there is none",
            )


def _check_unread(root: zarr.Group, dropped: Sequence[str]) -> None:
    """Refuse to drop what another column was made from: it could not be made again."""
    for name in column_names(root):
        spec = cast("dict[str, Any]", column_group(root, name).attrs["spec"])
        read = spec.get("reads")
        if name not in dropped and read in dropped:
            raise InputError(
                "another column reads it",
                where=read,
                found=f"{name} is made from {read}",
                next_step=f"drop both: `avfd cache drop {read} {name}`",
            )
