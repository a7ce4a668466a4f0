"""Run folders: one fitted model with all that is needed to repeat it and to use it.

```
runs/<name>/
  run.json           what was asked, what it rests on, versions, notes (`facts`)
  model/             model files, one folder a fold
  scores.parquet     a row a clip and fold
  seconds.parquet    a row a second, where the model scores seconds
  metrics.json
  figures/           of the test side, where there is something to draw
  evaluations/       scores and metrics on other clips, a folder each
```

A run folder is complete or does not exist: it is written under another name and renamed.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avfd.errors import InputError, MissingError
from avfd.home import Home

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION = 1
RUN_FILE, METRICS_FILE = "run.json", "metrics.json"
SCORES_FILE, SECONDS_FILE = "scores.parquet", "seconds.parquet"
MODEL_FOLDER = "model"
WEIGHTS_FOLDER = "weights"
FIGURES_FOLDER = "figures"
EVALUATIONS_FOLDER = "evaluations"
EVALUATION_FILE = "evaluation.json"  # which clips and columns an evaluation saw
_PARTIAL = ".partial-"
_OLD = ".old"


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: its folder.
        facts: the content of run.json.
    """

    path: Path
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def model_dir(self) -> Path:
        return self.path / MODEL_FOLDER

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json."""
        content: dict[str, Any] = json.loads((self.path / METRICS_FILE).read_text())
        return content

    def scores(self) -> pd.DataFrame:
        """A row a clip and fold: see docs/classify.md for the columns."""
        import pandas as pd

        return pd.read_parquet(self.path / SCORES_FILE)

    def seconds(self) -> pd.DataFrame | None:
        """A row a second; None where the model does not score seconds."""
        import pandas as pd

        path = self.path / SECONDS_FILE
        return pd.read_parquet(path) if path.is_file() else None


def names(home: Home) -> list[str]:
    """Every finished run, sorted."""
    return sorted(p.parent.name for p in home.runs_dir.glob(f"[!.]*/{RUN_FILE}"))


def load(home: Home, run: str | Path) -> Run:
    """A run by its name or folder; an unknown format version is refused."""
    path = home.runs_dir / run
    if not (path / RUN_FILE).is_file() and (Path(run) / RUN_FILE).is_file():
        path = Path(run).absolute()
    if not (path / RUN_FILE).is_file():
        raise MissingError(
            "no such run",
            where=run,
            accepted=", ".join(names(home)) or "there is none yet",
            next_step="run `avfd fit` first",
        )
    facts = json.loads((path / RUN_FILE).read_text())
    if facts.get("format_version") != FORMAT_VERSION:
        raise InputError(
            "unknown format version of a run",
            where=path,
            found=facts.get("format_version"),
            accepted=FORMAT_VERSION,
            next_step="use the avfd version that wrote it, or fit again",
        )
    return Run(path, facts)


def stem_of(*words: str) -> str:
    """Words joined to a name that every file system takes.

    >>> stem_of("dfdc", "feature", "compare2016+faces")
    'dfdc-feature-compare2016+faces'
    """
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", "-".join(w for w in words if w)).lstrip(".") or "run"


@contextmanager
def writing(home: Home, stem: str) -> Iterator[PartialRun]:
    """A folder to fill; on leaving it becomes the next free `<stem>-<nnn>`, on an error nothing."""
    home.runs_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=home.runs_dir))
    partial = PartialRun(folder, home.runs_dir, stem)
    try:
        (folder / MODEL_FOLDER).mkdir()
        yield partial
        partial.finish()
    except BaseException:
        shutil.rmtree(partial.folder, ignore_errors=True)
        raise


class PartialRun:
    """A run on its way; use `writing`."""

    def __init__(self, folder: Path, runs_dir: Path, stem: str) -> None:
        self.folder, self._runs_dir, self._stem = folder, runs_dir, stem
        #: Never used before, unlike a name whose run was deleted.
        self.id = uuid.uuid4().hex[:12]
        self._facts: Mapping[str, Any] = {}

    @property
    def model_dir(self) -> Path:
        return self.folder / MODEL_FOLDER

    @property
    def figures_dir(self) -> Path:
        """Does not exist yet."""
        return self.folder / FIGURES_FOLDER

    @property
    def weights_dir(self) -> Path:
        """Where networks that stage 1 can run are put; does not exist yet."""
        return self.folder / WEIGHTS_FOLDER

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        self._facts = {"format_version": FORMAT_VERSION, "id": self.id, **facts}
        write_json(self.folder / RUN_FILE, self._facts)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        write_json(self.folder / METRICS_FILE, metrics)

    def write_scores(self, scores: pd.DataFrame) -> None:
        scores.to_parquet(self.folder / SCORES_FILE, index=False)

    def write_seconds(self, seconds: pd.DataFrame) -> None:
        seconds.to_parquet(self.folder / SECONDS_FILE, index=False)

    def finish(self) -> None:
        """Rename to the next free number; two processes never get the same one."""
        missing = [
            n for n in (RUN_FILE, METRICS_FILE, SCORES_FILE) if not (self.folder / n).is_file()
        ]
        if missing:
            raise RuntimeError(f"the run lacks {missing}")
        self.folder.chmod(0o755)
        number = 1 + max(map(self._number, self._runs_dir.iterdir()), default=0)
        while True:
            target = self._runs_dir / f"{self._stem}-{number:03d}"
            try:
                # A folder is renamed only onto nothing or an empty folder: no check goes before.
                self.folder.rename(target)
            except OSError:
                if not target.exists():
                    raise
                number += 1
            else:
                self.folder = target
                return

    def _number(self, path: Path) -> int:
        found = re.fullmatch(re.escape(self._stem) + r"-(\d+)", path.name)
        return int(found[1]) if found else 0

    def run(self) -> Run:
        """The finished run."""
        return Run(self.folder, self._facts)


@contextmanager
def evaluation(run: Run, name: str) -> Iterator[Path]:
    """A folder to fill with scores on other clips; on leaving it replaces `evaluations/<name>`."""
    above = run.path / EVALUATIONS_FOLDER
    above.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=above))
    try:
        yield folder
        folder.chmod(0o755)
        if (above / name).exists():
            (above / name).rename(folder / _OLD)
        folder.rename(above / name)
        shutil.rmtree(above / name / _OLD, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_json(path: Path, content: Mapping[str, Any] | None) -> None:
    """A JSON file for people too; NaN is refused, for JSON has none."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
