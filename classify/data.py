"""Samples from the home: a plan's units, the cache snapshots and the columns together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avfd.cache import Cache, ColumnReader, Reader
from avfd.errors import MissingError
from avfd.home import Home
from avfd.specs import DONE, PENDING, STATUS_NAMES
from classify.columns import CacheSource, PictureOptions, Unit
from classify.features import Index, Mask, Samples, Sequences
from classify.keys import modality_of, titles


@dataclass(frozen=True)
class Opened:
    """Caches of data sets and one snapshot of each, which nothing changes under us."""

    caches: Mapping[str, Cache]
    readers: Mapping[str, Reader]

    @classmethod
    def at(cls, home: Home, datasets: Sequence[str]) -> Opened:
        """Open the caches as they are now.

        Raises:
            CacheError: a cache has other files under the clip table's keys.
        """
        caches = {
            name: Cache.open(home.cache_url(name), dataset=name, lock_path=home.lock_path(name))
            for name in datasets
        }
        readers = {name: cache.snapshot() for name, cache in caches.items()}
        for name, reader in readers.items():
            reader.check_media(_sizes(home.clip_table(name)))
        return cls(caches, readers)

    @property
    def snapshots(self) -> dict[str, str]:
        """Data set → snapshot id."""
        return {name: reader.snapshot_id for name, reader in self.readers.items()}

    def column(self, name: str) -> ColumnReader:
        """The column in the first data set; the others' have its fingerprint."""
        return next(iter(self.readers.values())).column(name)


def _sizes(table: Path) -> dict[str, int]:
    """Clip key → bytes of its media, of a clip table."""
    from pyarrow.parquet import read_table

    columns = read_table(table, columns=["key", "bytes"]).to_pydict()
    return dict(zip(columns["key"], columns["bytes"], strict=True))


def samples_of(
    units: Sequence[Unit],
    classes: Sequence[str],
    opened: Opened,
    columns: Mapping[str, str],
    pictures: PictureOptions,
) -> Samples:
    """The units as samples, with a sequence a column.

    A label that is none of the classes counts as unlabelled.
    """
    number = {name: i for i, name in enumerate(classes)}

    def numbers(labels: Iterable[str | None]) -> Index:
        return np.array([number.get(label or "", -1) for label in labels], dtype=np.intp)

    return Samples(
        keys=tuple(unit.keys[0] for unit in units),
        datasets=tuple(unit.dataset for unit in units),
        groups=tuple(unit.group for unit in units),
        y=numbers(unit.label for unit in units),
        features={
            key: Sequences.of(CacheSource(opened.readers, column, units, pictures))
            for key, column in columns.items()
        },
        part_labels={
            "audio": numbers(unit.audio_label for unit in units),
            "video": numbers(unit.video_label for unit in units),
        },
        segments=tuple(unit.segments for unit in units),
    )


def check_covered(samples: Samples) -> None:
    """Refuse columns in which no clip has values."""
    for key, sequences in samples.features.items():
        if not sequences.covered.any():
            datasets = ", ".join(sorted(set(samples.datasets)))
            raise MissingError(
                f"no clip has values in this {modality_of(key)} column",
                where=sequences.source.name,
                found=f"{len(samples)} clips of {datasets}, all pending, failed or absent",
                next_step="see `avfd cache show`, or take another column",
            )


def status_counts(
    units: Sequence[Unit], columns: Mapping[str, str], opened: Opened
) -> dict[str, dict[str, int]]:
    """Key of the column → status name → clips of these units."""
    out: dict[str, dict[str, int]] = {}
    for key, name in columns.items():
        counts = np.zeros(len(STATUS_NAMES), dtype=int)
        for dataset, reader in opened.readers.items():
            clips = [clip for unit in units if unit.dataset == dataset for clip in unit.keys]
            statuses = reader.column(name).statuses(clips)
            counts += np.bincount(statuses, minlength=len(STATUS_NAMES))
        out[key] = {STATUS_NAMES[i]: int(n) for i, n in enumerate(counts) if n}
    return out


def partial_notes(samples: Samples) -> list[str]:
    """A sentence for each column that clips lack while another one covers them."""
    return lacking_notes({name: s.covered for name, s in _titled(samples).items()})


def _titled(samples: Samples) -> dict[str, Sequences]:
    """Sequences by what people call their columns."""
    said = titles({key: s.source.name for key, s in samples.features.items()})
    return {said[key]: s for key, s in samples.features.items()}


def lacking_notes(covered: Mapping[str, Mask]) -> list[str]:
    """The same from column → which clips have it, [clips] each."""
    notes = []
    for name, there in covered.items():
        others = [c for other, c in covered.items() if other != name]
        alone = int((~there & np.any(others, axis=0)).sum()) if others else 0
        if alone:
            rest = ", ".join(other for other in covered if other != name)
            what = f"their {rest} alone" if len(others) == 1 else f"what they have of {rest}"
            notes.append(f"{alone} clips without {name} are scored by {what}.")
    return notes


def telling_notes(samples: Samples, classes: Sequence[str]) -> list[str]:
    """A sentence for each column that some classes lack in all their clips and the rest in none.

    Whoever knows that alone knows the label, and a model may learn nothing else.
    """
    notes = []
    for title, sequences in _titled(samples).items():
        by_class = {name: sequences.covered[samples.y == i] for i, name in enumerate(classes)}
        having = [name for name, there in by_class.items() if len(there) and there.all()]
        lacking = [name for name, there in by_class.items() if len(there) and not there.any()]
        if having and lacking and len(having) + len(lacking) == len(classes):
            notes.append(
                f"Whether a clip has {title} tells its label: {', '.join(having)} always has it,"
                f" {', '.join(lacking)} never."
            )
    return notes


def coverage_notes(
    statuses: Mapping[str, Mapping[str, int]], columns: Mapping[str, str]
) -> list[str]:
    """Sentences on clips that a column does not cover."""
    notes = []
    for key, counts in statuses.items():
        rest = {name: n for name, n in counts.items() if name != STATUS_NAMES[DONE]}
        if rest:
            said = ", ".join(f"{n} {name}" for name, n in rest.items())
            notes.append(f"{columns[key]} does not cover {sum(rest.values())} clips: {said}.")
        if counts.get(STATUS_NAMES[PENDING]):
            notes.append(f"{columns[key]} is not fully extracted: run `avfd extract` again.")
    return notes
