"""Where avfd keeps things: clip tables, caches, weights and runs below one folder.

```
avfd-home/
  datasets/<name>/clips.parquet   the clip table
  datasets/<name>/dataset.json    root, audio root, layout, protocol, notes of the last index
  cache/<name>/                   the data set's Icechunk repository
  weights/                        model files
  runs/<name>/                    fitted models
  trials/                         searches for settings, to go on with
  locks/                          one lock file a data set
  compiled/                       what `extract --compile` has made of networks
  spool/                          large results on their way to the cache; files without a name
```
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from avfd.errors import InputError, MissingError


@dataclass(frozen=True)
class DatasetFacts:
    """What `index` remembers of a data set.

    Attributes:
        name: the data set's name in this home.
        layout: name of the reader that found the clips ("folder", "dfdc", …, "table").
        root, audio_root: absolute folders of the media.
        protocol: the protocol that `fit` takes when none is named; None: see the manifest.
        notes: sentences for people: counts of what was missing, unlabelled or unverified.
        options: what else the reader was given (table, column names).
    """

    name: str
    layout: str
    root: str
    audio_root: str | None = None
    protocol: str | None = None
    notes: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Home:
    """The folder that holds everything avfd writes."""

    path: Path

    @classmethod
    def at(cls, path: str | Path | None = None) -> Home:
        """The given folder, else `$AVFD_HOME`, else `./avfd-home`."""
        return cls(Path(path or os.environ.get("AVFD_HOME") or "avfd-home").absolute())

    def writable(self) -> Home:
        """This home, its folder made; says so where nothing can be written there."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            why = None if os.access(self.path, os.W_OK | os.X_OK) else "no right to write there"
        except OSError as error:
            why = error.strerror
        if why is None:
            return self
        raise InputError(
            "avfd cannot keep anything there",
            where=self.path,
            found=why,
            next_step="name another folder with --home or AVFD_HOME",
        )

    def dataset_dir(self, dataset: str) -> Path:
        return self.path / "datasets" / dataset

    def clip_table(self, dataset: str) -> Path:
        return self.dataset_dir(dataset) / "clips.parquet"

    def cache_url(self, dataset: str) -> str:
        """Folder or object-store URL of the data set's cache (`$AVFD_CACHE` overrides the base)."""
        base = os.environ.get("AVFD_CACHE") or str(self.path / "cache")
        return f"{base.rstrip('/')}/{dataset}"

    def lock_path(self, dataset: str) -> Path:
        return self.path / "locks" / f"{dataset}.lock"

    @property
    def weights_dir(self) -> Path:
        return self.path / "weights"

    @property
    def compiled_dir(self) -> Path:
        return self.path / "compiled"

    @property
    def spool_dir(self) -> Path:
        return self.path / "spool"

    @property
    def runs_dir(self) -> Path:
        return self.path / "runs"

    @property
    def trials_dir(self) -> Path:
        return self.path / "trials"

    def datasets(self) -> list[str]:
        """Names of the indexed data sets, sorted."""
        return sorted(p.parent.name for p in self.path.glob("datasets/*/dataset.json"))

    def one_dataset(self, dataset: str | None) -> str:
        """The named data set, or the only one there is; an error lists what exists."""
        names = self.datasets()
        if dataset is None and len(names) == 1:
            return names[0]
        if dataset is None and not names:
            raise MissingError(
                "no data set is indexed",
                where=self.path,
                next_step="run `avfd index DATASET --root DIR` first",
            )
        if dataset is None:
            raise InputError(
                "several data sets are indexed",
                where=self.path,
                accepted=f"--dataset {' | '.join(names)}",
                next_step="say which with --dataset",
            )
        if dataset not in names:
            raise MissingError(
                "the data set is not indexed",
                where=dataset,
                accepted=names or "none is indexed yet",
                next_step=f"run `avfd index {dataset} --root DIR`",
            )
        return dataset

    def write_facts(self, facts: DatasetFacts) -> None:
        path = self.dataset_dir(facts.name) / "dataset.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(facts), indent=2, ensure_ascii=False))
        partial.replace(path)

    def read_facts(self, dataset: str) -> DatasetFacts:
        path = self.dataset_dir(self.one_dataset(dataset)) / "dataset.json"
        return DatasetFacts(**json.loads(path.read_text()))
